# Functions that download a file into $part, and go on where an earlier attempt was cut off. `set -e` would stop them at
# the first failure, except where their outcome is asked for.

# Exit codes of curl that waiting can mend: DNS, connect, partial, timeout, TLS and connection resets.
passes() { case $1 in 5|6|7|16|18|28|35|52|55|56|92) return 0 ;; *) return 1 ;; esac; }

# An address may hold a password: it is shown without, and is no argument of curl's.
shown() { printf %s "$1" | sed 's,//[^/]*@,//***@,'; }
address() { printf 'url = "%s"\n' "$(printf %s "$1" | sed 's/[\\"]/\\&/g')"; }

there() { stat -c %s "$part" 2>/dev/null || echo 0; }

# told DONE SIZE RATE FINISHED: where the download stands, as the programs that download models say it.
told() { printf 'progress {"done": %s, "size": %s, "rate": %s, "finished": %s, "of": 1}\n' "$1" "$2" "$3" "$4"; }

# follow PID: tell it twice a second for as long as curl runs. The last of the answers tells how much is to come.
follow() {
    from=$(there) before=$from
    while kill -0 "$1" 2>/dev/null; do
        sleep 0.5
        now=$(there)
        rest=$(awk '/^HTTP\// { n = 0 } tolower($1) == "content-length:" { n = $2 + 0 } END { printf "%.0f", n }' \
            "$part.head" 2>/dev/null)
        rate=$(((now - before) * 2)) before=$now
        [ "$rate" -lt 0 ] || told "$now" "$((${rest:-0} ? from + ${rest:-0} : 0))" "$rate" 0
    done
}

fetch() {
    attempt=1
    name=$(shown "$1")
    while :; do
        [ -e "$part" ] && echo "resuming after $(stat -c %s "$part") bytes: $name" || echo "downloading $name"
        : >"$part.head"
        address "$1" | curl --config - --fail --silent --show-error --location --connect-timeout 10 \
            --speed-limit 1000 --speed-time 60 --continue-at - --dump-header "$part.head" --output "$part" \
            >"$part.said" 2>&1 &
        follow $!
        wait $!
        code=$? words=$(cat "$part.said")
        rm -f "$part.head" "$part.said"
        [ $code -eq 0 ] && { told "$(there)" "$(there)" 0 1; return 0; }
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
            33|36) rm -f "$part" ;;  # the server cannot resume: from the beginning
            23) return 23 ;;         # disk full, or no permission
            *) passes $code || return 1 ;;
        esac
        [ $attempt -ge 4 ] && return 1
        sleep $((1 << attempt))
        attempt=$((attempt + 1))
    done
}

# verified URL HASH: whether $part is what was wanted; what is not is deleted. A hash of 32 digits is an MD5.
verified() {
    case $(printf %s "$2" | wc -c) in
        0) echo "warning: the hash of $(shown "$1") is not known, and not checked"; return 0 ;;
        32) found=$(md5sum <"$part" | cut -c 1-32) kind=MD5 ;;
        *) found=$(sha256sum <"$part" | cut -c 1-64) kind=SHA-256 ;;
    esac
    [ "$found" = "$2" ] && return 0
    echo "warning: wrong $kind of $(shown "$1"): $found instead of $2"
    rm -f "$part"
    return 1
}

# download HASH URL...: from the first of these addresses that gives what has this hash ("" where nobody knows it).
download() {
    wanted=$1
    shift
    for url; do
        [ -n "$wanted" ] || rm -f "$part"  # two mirrors' "latest" may differ, so nothing is resumed
        fetch "$url"
        case $? in
            0) verified "$url" "$wanted" && return 0 ;;
            23) echo "cannot write $part: $(df -h --output=avail "${part%/*}" | tail -n 1) free"; exit 1 ;;
        esac
    done
    return 1
}
