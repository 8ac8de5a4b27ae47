# The configured indexes first: a mirror, a folder of wheels. Then those that are known to hold torch for CPUs.
install_with_torch() {
    for index in "" {% for index in torch_indexes %}{{ quote(index) }} {% endfor %}; do
        if [ -n "$index" ]; then
            echo "looking for torch at $index"
            uv pip install --python "$python" --compile-bytecode --index "$index" "$@" 2>&1 && return
        else
            uv pip install --python "$python" --compile-bytecode "$@" 2>&1 && return
        fi
    done
    echo "these could not be installed: {{ requirements | join(', ') }}"
    echo "tried: pip's configured indexes{% for index in torch_indexes %}, {{ index }}{% endfor %} (pip.*, build.torch_indexes)"
    return 1
}
