#!/bin/sh
# A stand-in for the Miniconda installer: takes its flags, lays down a `conda` that does what provisioning asks of it.
set -eu
SIZE=@SIZE@
PREFIX=$HOME/miniconda3
BATCH=0 FORCE=0 UPDATE=0

while getopts bfhkmp:sut option; do
    case $option in
    b) BATCH=1 ;;
    f) FORCE=1 ;;
    p) PREFIX=$OPTARG ;;
    u) UPDATE=1 ;;
    k | m | s | t) ;;
    h)
        printf 'usage: %s [options]\n\n' "$0"
        printf '%s\n' 'Installs Miniconda3 (stand-in for tests)' '' \
            '-b           run install in batch mode (without manual intervention)' \
            '-f           no error if install prefix already exists' \
            '-h           print this help message and exit' \
            '-p PREFIX    install prefix, defaults to ~/miniconda3, must not contain spaces.' \
            '-u           update an existing installation'
        exit 0
        ;;
    *)
        echo "ERROR: did not recognize option '$option', please try -h" >&2
        exit 1
        ;;
    esac
done

actual=$(wc -c <"$0")
if [ "$actual" -ne "$SIZE" ]; then
    echo "ERROR: size of $0 should be $SIZE bytes, and is $actual" >&2
    exit 1
fi
if [ $BATCH = 0 ]; then
    echo "ERROR: without -b the licence would be shown now; the stand-in cannot" >&2
    exit 1
fi
case $PREFIX in
*' '*)
    echo "ERROR: Cannot install into directories with spaces" >&2
    exit 1
    ;;
esac
if [ $FORCE = 0 ] && [ $UPDATE = 0 ] && [ -e "$PREFIX" ]; then
    echo "ERROR: File or directory already exists: '$PREFIX'" >&2
    echo "If you want to update an existing installation, use the -u option." >&2
    exit 1
fi

echo "PREFIX=$PREFIX"
mkdir -p "$PREFIX/bin" "$PREFIX/condabin" "$PREFIX/conda-meta" "$PREFIX/envs" "$PREFIX/pkgs" "$PREFIX/etc/profile.d"
PREFIX=$(cd "$PREFIX" && pwd)
echo "Unpacking payload ..."
sed -n '/^#CONDA /s/^#CONDA //p' "$0" | sed "s|@PREFIX@|$PREFIX|g" >"$PREFIX/bin/conda"
chmod 755 "$PREFIX/bin/conda"
ln -sf ../bin/conda "$PREFIX/condabin/conda"
ln -sf "$(command -v python3 || echo /usr/bin/python3)" "$PREFIX/bin/python"
"$PREFIX/bin/conda" shell.posix hook >"$PREFIX/etc/profile.d/conda.sh"
echo '==> installed by the stand-in for tests <==' >>"$PREFIX/conda-meta/history"
echo "installation finished."
exit 0
