"""What a share is made of on its source: settings for rsync's daemon, a line in authorized_keys, and their end."""

from __future__ import annotations

from provisioning.host import quote

DAYS = 2
"""How long the key is let in at most, should the source lose its power before it is taken back."""


def daemon_settings(folder: str, path: str) -> str:
    """Settings of rsync's daemon: one folder, read only (https://download.samba.org/pub/rsync/rsyncd.conf.5)."""
    return (
        "use chroot = no\nread only = yes\nlist = no\nlog file = /dev/null\n"
        f"auth users = copy\nsecrets file = {folder}/secret\n[model]\npath = {path}\n"
    )


# `$1` is a home, `$2` marks our lines, `$3` is the new one, or nothing.
# `grep` ends with 1 where no line is left, and with 2 where it could not write.
AUTHORIZE = f"""
set -eu; umask 077
mkdir -p "$1/.ssh"; exec 9<"$1/.ssh"; flock 9
f=$(readlink -f "$1/.ssh/authorized_keys"); n=$f.vllm-provisioning-new
: >"$n"
if [ -e "$f" ]; then
    grep -vF -- "$2" "$f" >"$n" || [ $? -eq 1 ]
    chmod --reference="$f" "$n"
fi
[ -z "$3" ] || printf 'expiry-time="%s",%s\\n' "$(date -d '{DAYS} days' +%Y%m%d%H%M)" "$3" >>"$n"
if [ -s "$n" ]; then mv "$n" "$f"; else rm -f "$n" "$f"; fi
"""
"""Shell that lets a key in, or takes that back, as the owner of the file: beside, then renamed."""

# Whoever shares the same again, over a new connection, has another turn: the end of the old one takes nothing from it.
SHARE = (
    """
exec 2>&1; set -eu; umask 022
d={folder}
authorize() {{
    [ -n {user} ] || return 1
    set -- sh -c """
    + quote(AUTHORIZE).replace("{", "{{").replace("}", "}}")
    + """ sh "$(getent passwd -- {user} | cut -d: -f6)" {tag} "$1"
    if [ "$(id -un)" = {user} ]; then "$@"; else runuser -u {user} -- "$@"; fi
}}
clean() {{
    [ "$(cat "$d/turn" 2>/dev/null)" = {turn} ] || return 0
    authorize '' >/dev/null 2>&1 || :
    rm -rf -- "$d"
}}
trap clean EXIT; trap 'exit 1' HUP INT TERM PIPE
rm -rf -- "$d"; mkdir -p -- "$d"
echo {turn} >"$d/turn"
printf %s {daemon} | base64 -d >"$d/rsyncd.conf"
(umask 077; printf 'copy:%s\\n' {secret} >"$d/secret")
[ -z {account} ] || chown -- {account} "$d/secret"
if said=$(authorize {line} 2>&1); then echo direct; else echo "shared $said" | tr '\\n' ' '; echo; fi
while beat=$(timeout 60 dd bs=64 count=1 2>/dev/null) && [ -n "$beat" ]; do :; done
"""
)
"""Shell that shares, tells `direct` where the key is let in and else `shared`, and ends with its input."""
