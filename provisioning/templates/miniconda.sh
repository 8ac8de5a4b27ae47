# Downloads and installs Miniconda, as the account that owns it. Safe to run again after being cut off anywhere.
set -u
prefix={{ quote(prefix) }}
installer={{ quote(installer) }}
part=$installer.part
mkdir -p "${installer%/*}"

{% include 'download.sh' %}

download {{ quote(sha256) }} {% for url in urls %}{{ quote(url) }} {% endfor %}||
    { echo "no mirror gave the installer (miniconda.mirrors)"; exit 1; }

: >"$prefix.installing"
bash "$part" -b -u -p "$prefix" || { echo "the installer failed"; exit 1; }
"$prefix/bin/conda" --version || exit 1
{% if shells %}
"$prefix/bin/conda" init {{ shells | join(" ") }} >/dev/null || exit 1
{% endif %}
rm -f "$prefix.installing" "$part"
