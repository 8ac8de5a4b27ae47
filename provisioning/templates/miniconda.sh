# Downloads and installs Miniconda, as the account that owns it. Safe to run again after being cut off anywhere.
set -u
prefix={{ quote(prefix) }}
installer={{ quote(installer) }}
part=$installer.part
mkdir -p "${installer%/*}"

# Exit codes of curl that waiting can mend: DNS, connect, partial, timeout, TLS and connection resets.
passes() { case $1 in 5|6|7|16|18|28|35|52|55|56|92) return 0 ;; *) return 1 ;; esac; }

# An address may hold a password: it is shown without, and is no argument of curl's.
shown() { printf %s "$1" | sed 's,//[^/]*@,//***@,'; }
address() { printf 'url = "%s"\n' "$(printf %s "$1" | sed 's/[\\"]/\\&/g')"; }

fetch() {
    attempt=1
    name=$(shown "$1")
    while :; do
        [ -e "$part" ] && echo "resuming after $(stat -c %s "$part") bytes: $name" || echo "downloading $name"
        words=$(address "$1" | curl --config - --fail --silent --show-error --location --connect-timeout 10 \
            --speed-limit 1000 --speed-time 60 --continue-at - --output "$part" 2>&1)
        code=$?
        [ $code -eq 0 ] && return 0
        echo "warning: $name: $words (curl $code)"
        case $code in
            22) case $words in
                    *416*) return 0 ;;  # all of it is here; the hash decides
                    *429*|*50[0-9]*) ;;
                    *) # The server's own words: a filtered network answers in its own voice.
                       said=$(address "$1" |
                           curl --config - --silent --location --connect-timeout 10 --max-time 20 --range 0-500 |
                           sed 's/<[^>]*>//g' | tr -s ' \n' ' ' | cut -c1-300)
                       echo "warning: it says: $said"
                       return 1 ;;
                esac ;;
            33) rm -f "$part" ;;  # the server cannot resume: from the beginning
            23) return 23 ;;      # disk full, or no permission
            *) passes $code || return 1 ;;
        esac
        [ $attempt -ge 4 ] && return 1
        sleep $((1 << attempt))
        attempt=$((attempt + 1))
    done
}

verified() {
{% if sha256 %}
    printf '%s  %s\n' {{ sha256 }} "$part" | sha256sum --check --status && return 0
    echo "warning: wrong SHA-256 of $(shown "$1"): $(sha256sum <"$part" | cut -d' ' -f1) instead of {{ sha256 }}"
    rm -f "$part"
    return 1
{% else %}
    echo "warning: miniconda.version is latest: the installer's hash is not known, and not checked"
{% endif %}
}

got=
for url in {% for url in urls %}{{ quote(url) }} {% endfor %}; do
{% if not sha256 %}
    rm -f "$part"  # two mirrors' "latest" may differ, so nothing is resumed
{% endif %}
    fetch "$url"
    case $? in
        0) verified "$url" && got=1 && break ;;
        23) echo "cannot write $part: $(df -h --output=avail "${part%/*}" | tail -n 1) free"; exit 1 ;;
    esac
done
[ -n "$got" ] || { echo "no mirror gave the installer (miniconda.mirrors)"; exit 1; }

: >"$prefix.installing"
bash "$part" -b -u -p "$prefix" || { echo "the installer failed"; exit 1; }
"$prefix/bin/conda" --version || exit 1
{% if shells %}
"$prefix/bin/conda" init {{ shells | join(" ") }} >/dev/null || exit 1
{% endif %}
rm -f "$prefix.installing" "$part"
