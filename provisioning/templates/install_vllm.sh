# Installs vLLM and torch with uv, as the account that owns the environment, then proves that they work there.
set -u
python={{ quote(python) }}
stamp={{ quote(stamp) }}
rm -f "$stamp"
{% for name in excludes %}
printf '%s\n' {{ name }} >>"$stamp.excludes.new"
{% endfor %}
{% if excludes %}
mv "$stamp.excludes.new" "$stamp.excludes"
{% endif %}

install() {
    uv pip install --python "$python" --compile-bytecode {{ '--excludes "$stamp.excludes"' if excludes }} "$@" \
        {% for requirement in requirements %}{{ quote(requirement) }} {% endfor %} 2>&1
}

# The configured indexes first: a mirror, a folder of wheels. Then those that are known to hold torch for CPUs.
installed=
for index in "" {% for index in torch_indexes %}{{ quote(index) }} {% endfor %}; do
    if [ -n "$index" ]; then
        echo "looking for torch at $index"
        install --index "$index" && installed=1 && break
    else
        install && installed=1 && break
    fi
done
[ -n "$installed" ] || {
    echo "these could not be installed: {{ requirements | join(', ') }}"
    echo "tried: pip's configured indexes{% for index in torch_indexes %}, {{ index }}{% endfor %} (pip.*, build.torch_indexes)"
    exit 1
}

cat >"$stamp.check" <<'END_OF_CHECK'
{{ check }}
END_OF_CHECK
"$python" "$stamp.check" {{ device }} || exit 1
rm -f "$stamp.check"
printf '%s\n' {{ quote(state) }} >"$stamp.new" && mv "$stamp.new" "$stamp"
