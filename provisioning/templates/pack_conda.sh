# Miniconda's installer, which is gone once it has run.
{% include 'download.sh' %}

mkdir -p miniconda conda
installer=miniconda/{{ quote(installer.file) }} sha256={{ quote(installer.sha256) }}
find miniconda -type f ! -path "$installer*" -delete
part=$installer
[ -n "$sha256" ] && [ -e "$part" ] && verified "$installer" "$sha256" || {
    part=$installer.part
    download "$sha256" {% for url in urls %}{{ quote(url) }} {% endfor %}||
        { echo "no mirror gave the installer (miniconda.mirrors)"; exit 1; }
    mv "$part" "$installer"
}

# The packages of conda in the environment, as they are installed here: from conda's caches, which lack those that came
# with the installer. An older conda knows MD5 only. Its list leaves logins out: what needs one is had from a cache alone.
conda={{ quote(conda) }}
"$conda" list --prefix {{ quote(environment) }} --explicit --sha256 >conda.list 2>conda.errors ||
    "$conda" list --prefix {{ quote(environment) }} --explicit --md5 >conda.list
"$conda" info --json >conda.info
cat >program.py <<'END_OF_PROGRAM'
{{ conda_program }}
END_OF_PROGRAM
"$python" -E -s program.py conda conda.list conda.info >conda.missing
while read -r hash path url; do
    part=conda/$path.part
    download "${hash#-}" "$url" || { echo "this package of conda could not be packed: $(shown "$url")"; exit 1; }
    mv "$part" "conda/$path"
done <conda.missing
