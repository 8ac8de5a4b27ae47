#!/bin/sh
# A stand-in for conda: environments are virtual environments of a Python that the host has.
set -eu
PREFIX='@PREFIX@'
VERSION='@VERSION@'
TERMS='@TERMS@'
ANY_PYTHON='@ANY_PYTHON@'
CHANNEL='@CHANNEL@'
ACCEPTED=$HOME/.conda/tos-accepted

fail() {
    printf '\n%s\n' "$@" >&2
    exit 1
}

environments() {
    echo "$PREFIX"
    for folder in "$PREFIX"/envs/*/conda-meta; do
        [ ! -d "$folder" ] || dirname "$folder"
    done
}

as_json_list() {
    sed 's/.*/    "&"/; $!s/$/,/'
}

block() {
    cat <<END
# >>> conda initialize >>>
# !! Contents within this block are managed by 'conda init' !!
__conda_setup="\$('$PREFIX/bin/conda' 'shell.$1' 'hook' 2> /dev/null)"
if [ \$? -eq 0 ]; then
    eval "\$__conda_setup"
else
    if [ -f "$PREFIX/etc/profile.d/conda.sh" ]; then
        . "$PREFIX/etc/profile.d/conda.sh"
    else
        export PATH="$PREFIX/bin:\$PATH"
    fi
fi
unset __conda_setup
# <<< conda initialize <<<

END
}

init() {
    reverse=0
    [ "${1-}" != --reverse ] || { reverse=1 && shift; }
    [ $# -gt 0 ] || set -- bash
    changed=0
    for shell; do
        file=$HOME/.${shell}rc
        case $shell in bash | zsh) ;; *) fail "CondaValueError: the stand-in initialises bash and zsh, not $shell" ;; esac
        if [ $reverse = 1 ]; then
            [ ! -e "$file" ] || sed -i '/^# >>> conda initialize >>>/,/^# <<< conda initialize <<</d' "$file"
            echo "modified      $file"
            changed=1
        elif grep -q '^# >>> conda initialize >>>' "$file" 2>/dev/null; then
            echo "no change     $file"
        else
            printf '\n' >>"$file"
            block "$shell" >>"$file"
            echo "modified      $file"
            changed=1
        fi
    done
    if [ $changed = 0 ]; then
        echo 'No action taken.'
    else
        printf '\n%s\n\n' '==> For changes to take effect, close and re-open your current shell. <=='
    fi
}

hook() {
    cat <<END
conda() {
    case "\${1-}" in
    activate)
        if [ "\${2-base}" = base ]; then export PATH="$PREFIX/bin:\$PATH"; else . "$PREFIX/envs/\$2/bin/activate"; fi
        export CONDA_DEFAULT_ENV="\${2-base}"
        ;;
    deactivate) deactivate 2>/dev/null; unset CONDA_DEFAULT_ENV ;;
    *) "$PREFIX/bin/conda" "\$@" ;;
    esac
}
END
}

# Sets name, target (a folder), python, override, offline, file, hash, channels, all and rest (from the first word that
# is no option).
options() {
    name='' target='' python='' override=0 offline=0 file='' hash='' channels='' all=0
    while [ $# -gt 0 ]; do
        case $command,$1 in run,-*) ;; run,*) break ;; esac
        case $1 in
        -n | --name) name=$2 target=$PREFIX/envs/$2 && shift ;;
        --name=*) name=${1#*=} target=$PREFIX/envs/${1#*=} ;;
        -p | --prefix) target=$2 && shift ;;
        --prefix=*) target=${1#*=} ;;
        -c | --channel) channels="$channels $2" && shift ;;
        --channel=*) channels="$channels ${1#*=}" ;;
        --override-channels) override=1 ;;
        --all) all=1 ;;
        --offline) offline=1 ;;
        --file) file=$2 && shift ;;
        --md5 | --sha256) hash=${1#--} ;;
        python | python=*) python=$(echo "$1" | sed 's/^python=*//; s/\.\*$//') ;;
        -*) ;;
        esac
        shift
    done
    [ "$name" != base ] || target=$PREFIX
    rest=$#
}

terms() {
    [ "$TERMS" = 1 ] && [ ! -e "$ACCEPTED" ] && [ $override = 0 ] || return 0
    ! grep -q '^default_channels:' "$HOME/.condarc" 2>/dev/null || return 0
    fail 'CondaToSNonInteractiveError: Terms of Service have not been accepted for the following channels.' \
        'Please accept or remove them before proceeding:' \
        '    - https://repo.anaconda.com/pkgs/main' '    - https://repo.anaconda.com/pkgs/r'
}

# Notes that a package, whose file is in the cache now, is in the environment.
record() {
    file=${1##*/} package=${file%.conda}
    version=${package#*-} version=${version%-*}
    printf '{"name": "%s", "version": "%s", "fn": "%s", "url": "%s", "md5": "%s", "sha256": "%s"}\n' \
        "${package%%-*}" "$version" "$file" "$1" "$(md5sum <"$PREFIX/pkgs/$file" | cut -c 1-32)" \
        "$(sha256sum <"$PREFIX/pkgs/$file" | cut -c 1-64)" >"$target/conda-meta/$package.json"
}

list() {
    [ -d "$target/conda-meta" ] || fail "EnvironmentLocationNotFound: Not a conda environment: $target"
    echo '# This file may be used to create an environment using:'
    echo '# $ conda create --name <env> --file <this file>'
    echo '# platform: linux-64'
    echo "# created-by: conda $VERSION"
    echo '@EXPLICIT'
    cat "$target"/conda-meta/*.json | sed 's/.*"url": "\([^"]*\)".*"'"${hash:-sha256}"'": "\([^"]*\)".*/\1#\2/'
}

# Takes the packages that an @EXPLICIT file names into the cache; sets python.
take() {
    [ $offline = 1 ] || fail 'the stand-in takes packages from files only (--offline)'
    grep -q '^@EXPLICIT$' "$file" || fail 'the stand-in solves nothing: the file names packages by their addresses'
    grep -v '^[@#]' "$file" >"$PREFIX/.explicit"
    while IFS='#' read -r url sum; do
        case $url in
        file://*/linux-64/*.conda | file://*/noarch/*.conda) ;;
        *) fail "EnforceUnusedAdapter called with url $url" \
            'This command is using a remote connection in offline mode.' ;;
        esac
        [ "$(sha256sum <"${url#file://}" | cut -c 1-64)" = "$sum" ] ||
            fail 'ChecksumMismatchError: Conda detected a mismatch between the expected content and downloaded content' \
                "for url '$url'."
        cp "${url#file://}" "$PREFIX/pkgs/"
        case ${url##*/} in python-*) python=${url##*/python-} python=${python%%-*} ;; esac
    done <"$PREFIX/.explicit"
}

create() {
    [ -n "$target" ] || fail 'ArgumentError: one of the arguments -n/--name -p/--prefix is required'
    [ $offline = 1 ] || terms
    [ -z "$file" ] || take
    interpreter=$(command -v "python$python" || command -v python3 || true)
    found=$("${interpreter:-false}" -c 'import sys; print("%d.%d" % sys.version_info[:2])' || true)
    case $found in
    '') fail 'the stand-in makes environments of the Python that the host has, and there is none' ;;
    "${python:-$found}") ;;
    *) [ "$ANY_PYTHON" = 1 ] || fail 'PackagesNotFoundError: The following packages are not available from current channels:' "  - python=$python*" ;;
    esac
    rm -rf "$target"
    "$interpreter" -m venv "$target" >/dev/null 2>&1 || "$interpreter" -m venv --clear --without-pip "$target"
    mkdir -p "$target/conda-meta"
    echo "# cmd: conda create (stand-in), channels:$channels" >"$target/conda-meta/history"
    if [ -n "$file" ]; then
        sed 's/#.*//' "$PREFIX/.explicit" | while read -r url; do record "$url"; done
    else
        for package in "linux-64/python-$found-0.conda" noarch/pip-25.1-0.conda; do
            echo "$package" >"$PREFIX/pkgs/${package#*/}"
            record "$CHANNEL/$package"
        done
    fi
    printf '#\n# To activate this environment, use\n#\n#     $ conda activate %s\n' "${name:-$target}"
}

remove() {
    [ $all = 1 ] || [ "$command" = env ] || fail 'the stand-in removes whole environments only (--all)'
    [ -d "$target/conda-meta" ] || fail "EnvironmentLocationNotFound: Not a conda environment: $target"
    rm -rf "$target"
}

case " $* " in *' --json '*) json=1 ;; *) json=0 ;; esac
command=${1-}
[ $# = 0 ] || shift
case $command in
-V | --version) echo "conda $VERSION" ;;
shell.*) hook ;;
init)
    init "$@"
    ;;
create)
    options "$@"
    create
    ;;
remove)
    options "$@"
    remove
    ;;
list)
    options "$@"
    list
    ;;
run)
    options "$@"
    [ -d "$target" ] || fail "EnvironmentLocationNotFound: Not a conda environment: $target"
    shift $(($# - rest))
    PATH=$target/bin:$PATH CONDA_PREFIX=$target exec "$@"
    ;;
tos)
    case ${1-} in
    accept) mkdir -p "$HOME/.conda" && : >"$ACCEPTED" && echo 'accepted Terms of Service for defaults' ;;
    *) [ -e "$ACCEPTED" ] && echo accepted || echo 'not accepted' ;;
    esac
    ;;
info | env)
    case "$command ${1-}" in
    'env remove')
        options "$@"
        remove
        ;;
    'env list' | 'info --json' | 'info --envs' | 'info -e')
        if [ $json = 0 ]; then
            environments
        else
            echo '{'
            if [ "$command" = info ]; then
                printf '  "conda_version": "%s",\n  "root_prefix": "%s",\n' "$VERSION" "$PREFIX"
                printf '  "platform": "linux-64",\n  "conda_prefix": "%s",\n' "$PREFIX"
                printf '  "pkgs_dirs": [\n    "%s/pkgs",\n    "%s/.conda/pkgs"\n  ],\n' "$PREFIX" "$HOME"
            fi
            printf '  "envs": [\n%s\n  ]\n}\n' "$(environments | as_json_list)"
        fi
        ;;
    *) fail "the stand-in does not know: conda $command $*" ;;
    esac
    ;;
clean) ;;
*)
    echo "conda: error: argument COMMAND: invalid choice: '$command' (stand-in)" >&2
    exit 2
    ;;
esac
