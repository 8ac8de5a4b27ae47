# The configured indexes first: a mirror, a folder of wheels. Then those that are known to hold torch for CPUs. An
# index's address may hold a password, so it comes in a variable: command lines show.
#
# uv takes a package for installed once its metadata are there: after an installation that was cut off, all are put
# there again (from uv's cache).
#
# What a full disk ends is tried nowhere else: no other index would help, and its words would be the last.
install_with_torch() {
    unfinished=${python%/bin/*}/.vllm-provisioning.unfinished
    [ ! -e "$unfinished" ] || set -- --reinstall "$@"
    : >"$unfinished"
    for index in "" {% for index in torch_indexes %}{{ quote(index) }} {% endfor %}; do
        if [ -n "$index" ]; then
            echo "looking for torch at $(printf %s "$index" | sed 's,//[^/]*@,//***@,')"
            (export UV_INDEX="$index"; uv_install "$@") && rm -f "$unfinished" && return
        else
            uv_install "$@" && rm -f "$unfinished" && return
        fi
        [ $? -ne 75 ] || { echo "the disk is full: make room there"; return 1; }
    done
    echo {{ quote(masked("these could not be installed: " + (private + public) | join(", "))) }}
    echo {{ quote(masked("tried: " + (["pip's configured indexes"] + torch_indexes) | join(", ") + " (pip.*, build.torch_indexes)")) }}
    return 1
}
uv_install() {
    { uv pip install --python "$python" "$@" 2>&1; echo "uv ended with $?"; } | {
        full=
        while IFS= read -r line; do
            case $line in
                "uv ended with "*) code=${line##* }; continue ;;
                *"No space left on device"*) full=75 ;;
            esac
            printf '%s\n' "$line"
        done
        [ "$code" = 0 ] || exit "${full:-$code}"
    }
}
