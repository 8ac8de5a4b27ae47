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

# What holds a password is no argument: the address of a wheel comes through a pipe, that of an index in a variable.
install() {
    {% if private %}
    printf '%s\n' {% for requirement in private %}{{ quote(requirement) }} {% endfor %}|
    {% endif %}
    uv pip install --python "$python" --compile-bytecode {{ '--excludes "$stamp.excludes"' if excludes }} \
        {{ "--requirements -" if private }} {% for requirement in public %}{{ quote(requirement) }} {% endfor %} 2>&1
}

# The configured indexes first: a mirror, a folder of wheels. Then those that are known to hold torch for CPUs.
installed=
for index in "" {% for index in torch_indexes %}{{ quote(index) }} {% endfor %}; do
    if [ -n "$index" ]; then
        echo "looking for torch at $(printf %s "$index" | sed 's,//[^/]*@,//***@,')"
        (export UV_INDEX="$index"; install) && installed=1 && break
    else
        install && installed=1 && break
    fi
done
[ -n "$installed" ] || {
    echo {{ quote(masked("these could not be installed: " + (private + public) | join(", "))) }}
    echo {{ quote(masked("tried: " + (["pip's configured indexes"] + torch_indexes) | join(", ") + " (pip.*, build.torch_indexes)")) }}
    exit 1
}

cat >"$stamp.check" <<'END_OF_CHECK'
{{ check }}
END_OF_CHECK
"$python" "$stamp.check" {{ device }} || exit 1
rm -f "$stamp.check"
printf '%s\n' {{ quote(state) }} >"$stamp.new" && mv "$stamp.new" "$stamp"
