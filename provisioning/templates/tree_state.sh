# Prints what identifies a folder's content without reading it: tree_state.sh FOLDER
cd "$1" && printf 'tree:%s\n' "$(
    find . -name .git -prune -o ! -type d -printf '%P %s %T@\n' | sed 's/\.[0-9]*$//' | LC_ALL=C sort |
        sha256sum | cut -c 1-64
)"
