"""Debian packages."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from provisioning import job
from provisioning.host import Host, quote
from provisioning.places import STATE
from provisioning.probe import Probe
from provisioning.progress import Installing
from provisioning.resources.base import Difference, Resource, Tell

MADE = f"{STATE}/packages"
"""Every package that an installation of ours brought, dependencies included: one a line."""
JOB = "packages"
"""Its job."""
INTERRUPTED = "dpkg interrupted"
_JOURNAL = '(set -- /var/lib/dpkg/updates/[0-9]*; [ -e "$1" ])'

# apt waits by itself for dpkg's lock, but neither for the lists' lock nor for another apt's archives.
_INSTALL = """
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C.UTF-8
end=$(($(date +%s) + {lock_timeout}))
locked='Could not get lock|Unable to acquire the dpkg|Unable to lock|lock was locked by another process'
patiently() {{
    while :; do
        rm -f {folder}/apt.code
        {{ "$@" 2>&1; echo $? >{folder}/apt.code; }} | tee {folder}/apt.out
        code=$(cat {folder}/apt.code)
        [ "${{code:-1}}" -ne 0 ] && grep -qE "$locked" {folder}/apt.out || return "${{code:-1}}"
        if [ "$(date +%s)" -ge "$end" ]; then
            echo "gave up after {lock_timeout} s: another program holds the package manager's lock (apt.lock_timeout)"
            return 75
        fi
        holder=$(grep -m1 -oE '(held|locked) by .*process.*' {folder}/apt.out || echo 'held by another program')
        [ "$holder" = "${{said:-}}" ] || echo "warning: waiting for the package manager's lock, $holder"
        said=$holder
        sleep 3
    done
}}
is_in() {{ [ "$(dpkg-query -W -f '${{db:Status-Status}}' "$2" 2>/dev/null)" = "$1" ]; }}
# apt refuses its work also for entries of dpkg's journal, of which the audit says nothing.
if dpkg --audit | grep -q . || {journal}; then
    echo "finishing an interrupted dpkg"
    patiently dpkg --configure -a --force-confdef --force-confold
fi
patiently apt-get update -q || {{
    [ $? -ne 75 ] || exit 75
    echo "apt-get update failed; trying with the lists that are here"
}}
# dpkg died while it unpacked these. apt itself says that they are not fully installed, and leaves them so.
broken=$(dpkg-query -W -f '${{db:Status-Eflag}} ${{binary:Package}}\\n' | sed -n 's/^reinstreq //p')
[ -z "$broken" ] || patiently apt-get install -q -y --reinstall -o Dpkg::Options::=--force-confdef \\
    -o Dpkg::Options::=--force-confold $broken
# What is not written down first is not installed: nothing would take it back.
apt-get install -s -q --no-install-recommends {names} >{folder}/simulated 2>&1 || {{
    code=$?; cat {folder}/simulated; exit $code
}}
sed -n 's/^Inst \\([^ ]*\\) (.*/\\1/p' {folder}/simulated >{folder}/new && cat {folder}/new >>{made} || exit
while read -r p; do
    ! is_in config-files "$p" || echo "$p" >>{made}.configured || exit
done <{folder}/new
patiently apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confdef \\
    -o Dpkg::Options::=--force-confold -o Acquire::Retries=3 -o APT::Status-Fd=1 {names}
"""

# Only what our installations brought, and none of it that something else has come to need.
_REMOVE = """
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
ours=$(sort -u {made} 2>/dev/null); [ -n "$ours" ] || exit 0
takes() {{ apt-get -s remove "$@" 2>/dev/null | sed -n 's/^Remv \\([^ ]*\\) .*/\\1/p' | sort -u; }}
foreign() {{ takes "$@" | while read -r p; do printf '%s\\n' "$ours" | grep -qxF "$p" || echo "$p"; done; }}
is_in() {{ [ "$(dpkg-query -W -f '${{db:Status-Status}}' "$2" 2>/dev/null)" = "$1" ]; }}
installed=$(for p in $ours; do is_in installed "$p" && echo "$p"; done)
[ -n "$installed" ] || exit 0
gone=$installed
if [ -n "$(foreign $installed)" ]; then
    gone=; for p in $installed; do [ -n "$(foreign "$p")" ] || gone="$gone $p"; done
fi
[ -n "$gone" ] || exit 0
apt-get remove -y -q -o DPkg::Lock::Timeout=300 $gone || exit
# Their configuration goes too, unless it was there before.
new=$(for p in $gone; do grep -qxF "$p" {made}.configured 2>/dev/null || echo "$p"; done)
[ -z "$new" ] || dpkg --purge $new
# git-lfs takes its lines out of this file, and leaves it.
! printf '%s\\n' $new | grep -qx git-lfs || [ -s /etc/gitconfig ] || rm -f /etc/gitconfig
"""


@dataclass(frozen=True)
class Packages(Resource):
    """Debian packages, each at least installed in some version."""

    names: tuple[str, ...]
    lock_timeout: int = 300
    """Seconds to wait for another package manager's lock."""

    @property
    def name(self) -> str:
        """`packages`: a host has one such resource for each list."""
        return f"packages {' '.join(self.names)}"

    def probe(self) -> str:
        """Print each package that is fully installed, and whether dpkg's journal has entries that nobody works on."""
        names = " ".join(map(quote, self.names))
        # dpkg-query exits 1 when a name is unknown to it, which is an answer; over 1 is a failure to look.
        query = "dpkg-query -W -f '${Package} ${db:Status-Status}\\n' "
        journal = f"! {_JOURNAL} || pgrep -x dpkg >/dev/null 2>&1 || echo {INTERRUPTED}"
        return f"{{ {query}{names} 2>/dev/null || [ $? -eq 1 ]; }} && {{ {journal}; }}"

    def question(self) -> Probe:
        """Ask, unless dpkg has written nothing since."""
        return replace(super().question(), while_same="software")

    def diff(self, actual: str) -> Difference | None:
        """Name the packages that are missing."""
        if missing := self._missing(actual):
            return Difference("install " + " ".join(missing))
        return Difference("finish an interrupted dpkg") if INTERRUPTED in actual.splitlines() else None

    def _missing(self, actual: str) -> list[str]:
        installed = set(re.findall(r"^(\S+) installed$", actual, re.MULTILINE))
        return [name for name in self.names if name.partition(":")[0] not in installed]

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Install with apt-get, in a job; an interrupted dpkg is finished first, a held lock waited for."""
        names = self._missing(actual)
        script = _INSTALL.format(
            lock_timeout=self.lock_timeout,
            journal=_JOURNAL,
            names=" ".join(map(quote, names)),
            made=MADE,
            folder=f"{job.JOBS}/{JOB}",
        )
        job.run(host, job.Job(JOB, script, interruptible=False), Installing(tell))

    def made(self, actual: str) -> str:
        """Name the packages that are missing now."""
        return f"packages {' '.join(self._missing(actual))}, and what they needed"

    def undo(self, actual: str) -> str:
        """Remove the packages that our installations brought."""
        return _REMOVE.format(made=MADE) if self._missing(actual) else ""
