"""What is asked to learn what a host is: shell, most of which starts no program."""

from __future__ import annotations

from collections.abc import Sequence

from provisioning import gpus
from provisioning.host import quote
from provisioning.places import INSTALLED_WHEEL, MANAGER_RECORD, SYSTEM_ACCOUNT
from provisioning.probe import Probe
from provisioning.shell_reading import HOME_OF, PYTHON_VERSION, show

# `uid` is what `becoming.check` found.
_ACCOUNT = f"""account={{account}}
[ "$account" != auto ] || case $uid in 0) account={SYSTEM_ACCOUNT} ;; *) account=$(id -un) ;; esac
"""
"""Shell that sets the account that serves."""

_ENTRY = """
entry=$(getent passwd -- "$account")
printf '%s\\n' "$account" "$entry" "$(id -gn -- "$account" 2>/dev/null)"
"""
"""Shell that prints the account, its entry and its group, a line each."""

_PYTHONS = (
    PYTHON_VERSION
    + r"""
start_python() { "$1" -ISc 'import sys; print("%d.%d" % sys.version_info[:2])'; }
for p in /usr/bin/python3 /usr/bin/python3.[0-9]* /usr/local/bin/python3 /usr/local/bin/python3.[0-9]*; do
    case $p in *-config | *[*]*) continue ;; esac
    if [ -x "$p" ]; then python_version "$p"; echo "$p $version"; fi
done"""
)

# The same compiler under another name is not started a second time.
_COMPILERS = r"""
version_of() { "/usr/bin/$1" -dumpfullversion 2>/dev/null; }
for c in gcc g++; do
    [ -x "/usr/bin/$c" ] && plain=$(version_of $c) || plain=
    echo "$c $plain"
    for path in /usr/bin/$c-[0-9]*; do
        name=${path##*/}
        [ -x "$path" ] || { case $name in *[*]*) ;; *) echo "$name " ;; esac; continue; }
        if [ "$path" -ef "/usr/bin/$c" ]; then echo "$name $plain"; else echo "$name $(version_of "$name")"; fi
    done
done"""

# Hardware is what it is until the next boot, but for the CPUs that may be used, and are switched on. What installs a
# program, or chooses another version of it, writes into these places, or to the file itself; a dpkg that is at work may
# die. Accounts may be kept on a server too. What systemd says of a service hangs on these files, and on that it lives:
# serve.py writes down how it fares, and /proc when it was started.
_KEYS = r"""
hardware=; software=; accounts=$uid; services=
if [ -r /proc/sys/kernel/random/boot_id ] && [ -r /sys/devices/system/cpu/online ] && [ -n "$cpus" ]; then
    read -r boot </proc/sys/kernel/random/boot_id
    read -r online </sys/devices/system/cpu/online
    hardware="$boot $cpus $online"
fi
set -- /var/lib/dpkg/status /var/lib/dpkg/updates /etc/alternatives /usr/bin /usr/local/bin
set -- "$@" /usr/bin/gcc* /usr/bin/g++* /usr/bin/python3* /usr/local/bin/python3*
set -- "$@" /etc/passwd /etc/group /etc/nsswitch.conf /etc/userdb /run/userdb /usr/lib/userdb /var/lib/systemd/home
set -- "$@" /etc/vllm /etc/vllm/* /usr/local/lib/vllm-provisioning/* /run/vllm/*/state.json
for units in /etc/systemd/system /run/systemd/system; do
    set -- "$@" $units $units/*.wants $units/*.requires $units/*.upholds
done
for units in /etc/systemd /run/systemd /usr/local/lib/systemd /usr/lib/systemd /lib/systemd; do
    for units in $units/system $units/system.control $units/system.attached; do
        set -- "$@" $units/vllm* $units/vllm*.d/* $units/service.d $units/service.d/*
    done
done
for each in $(stat -L -c '%n,%i,%s,%.9Z' "$@" 2>/dev/null); do
    case $each in
        /etc/passwd,* | /etc/group,* | /etc/nsswitch.conf,* | */userdb,* | /var/lib/systemd/*)
            accounts="$accounts $each" ;;
        /etc/vllm[/,]* | /usr/local/lib/* | /run/* | */systemd/system*) services="$services $each" ;;
        *) software="$software $each" ;;
    esac
done
[ -e /var/lib/dpkg/status ] || software=
for each in /var/lib/dpkg/updates/[0-9]*; do [ ! -e "$each" ] || software=; done
[ -r /etc/nsswitch.conf ] && while read -r database sources || [ -n "$database" ]; do
    case $database in passwd: | group:) ;; passwd* | group*) accounts= ;; *) continue ;; esac
    for source in $sources; do case $source in files | systemd) ;; *) accounts= ;; esac; done
done </etc/nsswitch.conf || accounts=
for session in /run/vllm/*/session; do
    pid= began=  # a FIFO of the account that serves would never end
    [ ! -f "$session" ] || read -r pid began <"$session"
    case $pid in '' | *[!0-9]*) services=; continue ;; esac
    lives=; read -r lives 2>/dev/null <"/proc/$pid/stat"
    set -- ${lives##*)}
    [ -n "$began" ] && [ "${20:-}" = "$began" ] || services=
done
printf '%s\n' "hardware=$hardware" "software=$software" "accounts=$accounts" "services=$services"
"""
_WHILE_SAME = {
    **dict.fromkeys(("machine", "topology"), "hardware"),
    **dict.fromkeys(("python", "compilers", "libc"), "software"),
    **dict.fromkeys(("user", "account"), "accounts"),
}
"""What decides the answers of some probes."""

_PROBES = {
    "keys": _KEYS,
    "user": 'printf \'%s\\n\' "$(id)" "$HOME"',
    "account": _ACCOUNT + _ENTRY,
    "folders": HOME_OF + _ACCOUNT,
    "os": show("/etc/os-release"),
    "machine": "uname -mr; nproc; grep -m1 -E '^(flags|Features)' /proc/cpuinfo; :",
    "topology": "lscpu -p=CPU,CORE,SOCKET,NODE 2>/dev/null; :",
    # The limits are those of a container, whose /proc/meminfo speaks of the machine around it.
    "memory": 'while read -r name size unit; do case $name in MemTotal: | MemAvailable:) echo "$name $size $unit" ;; '
    "esac; [ $name != MemAvailable: ] || break; done </proc/meminfo; "
    + "; ".join(map(show, ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"))),
    # The name of the library tells it: /usr/lib/systemd/libsystemd-shared-252.so, or with Debian's own revision behind.
    "init": "if [ -d /run/systemd/system ]; then echo systemd; version=; "
    "for file in /usr/lib/systemd/libsystemd-shared-[0-9]* /usr/lib/*/systemd/libsystemd-shared-[0-9]*; do "
    '! [ -e "$file" ] || { version=${file##*-shared-}; version=${version%.so}; }; done; '
    'if [ -n "$version" ]; then echo "systemd $version"; else systemctl --version; fi; else echo none; fi',
    "python": _PYTHONS,
    "manager": show(MANAGER_RECORD),
    "compilers": _COMPILERS,
    "libc": "getconf GNU_LIBC_VERSION 2>/dev/null; :",
    "wheel": show(INSTALLED_WHEEL),
    "nvidia": gpus.PROBE,
    "sudo": 'printf %s "$sudo_answer"',
}
NAMES = tuple(_PROBES)

# `~` in `$path` is the home of the account that serves, there or not yet.
_EXPAND = 'case $path in "~"*) path="$home${path#"~"}";; esac; '


def probes(account: str, conda_path: str, model_paths: Sequence[str]) -> dict[str, Probe]:
    """Give them by name (`NAMES`), to be asked after `becoming.check`."""
    folders = (
        'home_of "$account" || home=/var/lib/$account\n'
        f"path={quote(conda_path)}; {_EXPAND}"
        '[ ! -e "$path/bin/conda" ] || echo conda; '
        + "".join(
            f"path={quote(path)}; {_EXPAND}"
            'printf "%s\\t%s\\n" "$path" "$(head -c 4096 "$path/.vllm-provisioning/manifest.json" 2>/dev/null | '
            """sed -n 's/^ "\\(key\\|revision\\)": "\\(.*\\)",$/\\2/p' | tr '\\n' ' ')"; """
            for path in model_paths
        )
        + ":"
    )
    named = {name: _PROBES[name].replace("{account}", quote(account)) for name in ("account", "folders")}
    scripts = {**_PROBES, **named, "folders": named["folders"] + folders}
    return {
        name: Probe(script, isolated=name == "nvidia", while_same=_WHILE_SAME.get(name, ""))
        for name, script in scripts.items()
    }
