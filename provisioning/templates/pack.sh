# Packs what a host of this kind needs: debs/, wheels/, tools/, controller/, with conda also miniconda/ and conda/, and a
# list with hashes. Run as the account that owns the environment. What was packed before it was cut off, or the last
# time, is not fetched again.
set -eu
out={{ quote(folder) }}
python={{ quote(python) }}
mkdir -p "$out/archives/partial" "$out/wheels" "$out/tools"
cd "$out"

# Debian packages. Seen from a system without any, so that nothing which the other host may lack is left out; what they
# need in an exact version (libc6-dev its libc6) comes too. Lists and configuration are those of this host.
: >status
apt() {
    apt-get -q -o Debug::NoLocking=1 -o Dir::State::status="$out/status" -o Dir::Cache::archives="$out/archives/" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Acquire::Retries=3 --no-install-recommends "$@"
}
names='{{ packages | join(" ") }}'
apt -s install $names >simulated || { cat simulated; exit 1; }
# "Inst NAME (VERSION ARCHIVE [ARCHITECTURE])"; apt writes the colon of an epoch as %3a, archives leave the epoch out.
sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) [^)[]*\[\([^]]*\)\]).*/\1 \2 \3/p' simulated | while read -r name version architecture; do
    echo "${name}_$(printf %s "$version" | sed 's/:/%3a/g')_$architecture.deb ${name}_${version#*:}_$architecture.deb"
done >names
# What this host's apt has kept is not fetched again; apt compares hashes.
while read -r kept deb; do
    [ -e "archives/$kept" ] || cp "/var/cache/apt/archives/$kept" archives/ 2>/dev/null || :
done <names
apt -y --download-only install $names
rm -rf debs.new && mkdir debs.new
while read -r kept deb; do
    ln "archives/$kept" "debs.new/$deb"
    dpkg-deb -f "debs.new/$deb" >>debs.new/Packages
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' \
        "$deb" "$(stat -c %s "debs.new/$deb")" "$(sha256sum <"debs.new/$deb" | cut -c 1-64)" >>debs.new/Packages
done <names
rm -rf debs && mv debs.new debs

# Python packages, pinned as they are installed here; what comes as source is built, for the other host may not be able
# to. Versions with a "+" may lie at torch's own indexes; an address may hold a password, so it comes in a variable.
fetch() {
    [ -s "$2" ] || return 0
    rm -rf new
    for index in "" {% for index in torch_indexes %}{{ quote(index) }} {% endfor %}; do
        [ -z "$index" ] || grep -q '+' "$2" || break
        if [ -n "$index" ]; then export PIP_EXTRA_INDEX_URL="$index"; fi
        "$3" -m pip wheel --no-deps --no-input --disable-pip-version-check --progress-bar off -w new -r "$2" || continue
        mv new/*.whl "$1/"
        return 0
    done
    echo "these could not be packed: $(tr '\n' ' ' <"$2")"
    return 1
}
pack() {
    cat >program.py <<'END_OF_PROGRAM'
{{ program }}
END_OF_PROGRAM
    "$2" -E -s program.py "$1" <"$1.pins" >"$1.missing"
    grep '+' "$1.missing" >"$1.special" || :
    grep -v '+' "$1.missing" >"$1.plain" || :
    fetch "$1" "$1.plain" "$2"
    (fetch "$1" "$1.special" "$2")
}
uv pip freeze --python "$python" >freeze
{% if not conda %}
"$python" -m pip --version | sed 's/^pip \([^ ]*\) .*/pip==\1/' >>freeze
{% endif %}
grep -E '^[^ @]+==' freeze | sort -u >wheels.pins
pack wheels "$python"
{{ tools }}/bin/python -m pip freeze --disable-pip-version-check | grep -E '^[^ @]+==' | sort -u >tools.pins
pack tools {{ tools }}/bin/python

{% if conda %}
(
{% include 'pack_conda.sh' %}
)
{% endif %}
# What this program itself needs, for a machine without network on which it is to run.
cat >controller.txt <<'END_OF_REQUIREMENTS'
{{ controller }}
END_OF_REQUIREMENTS
cat >constraints.txt <<'END_OF_CONSTRAINTS'
{{ constraints }}
END_OF_CONSTRAINTS
if ! cat controller.txt constraints.txt | cmp -s - controller/.for; then
    rm -rf controller.new
    {{ tools }}/bin/python -m pip wheel --no-input --disable-pip-version-check --progress-bar off \
        -w controller.new -r controller.txt -c constraints.txt
    cat controller.txt constraints.txt >controller.new/.for
    rm -rf controller && mv controller.new controller
fi

# Models lie where they are served from. Their records tell a file by its time, so that goes with it.
rm -rf models && mkdir models
{% for name, path in models %}
ln -s {{ quote(path) }} models/{{ name }}
{% endfor %}
{% include 'pack_list.sh' %}
