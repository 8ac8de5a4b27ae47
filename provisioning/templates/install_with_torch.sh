# The configured indexes first: a mirror, a folder of wheels. Then those that are known to hold torch for CPUs. An
# index's address may hold a password, so it comes in a variable: command lines show.
install_with_torch() {
    for index in "" {% for index in torch_indexes %}{{ quote(index) }} {% endfor %}; do
        if [ -n "$index" ]; then
            echo "looking for torch at $(printf %s "$index" | sed 's,//[^/]*@,//***@,')"
            (export UV_INDEX="$index"; uv pip install --python "$python" "$@" 2>&1) && return
        else
            uv pip install --python "$python" "$@" 2>&1 && return
        fi
    done
    echo {{ quote(masked("these could not be installed: " + (private + public) | join(", "))) }}
    echo {{ quote(masked("tried: " + (["pip's configured indexes"] + torch_indexes) | join(", ") + " (pip.*, build.torch_indexes)")) }}
    return 1
}
