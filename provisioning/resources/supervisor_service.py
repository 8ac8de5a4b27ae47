"""A running service on a host without systemd as PID 1: supervisord keeps it, by the same rules."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning import log_entries, readiness
from provisioning.host import quote
from provisioning.resources.base import Difference
from provisioning.resources.service import ABSENT, FINGERPRINT, Service
from provisioning.site import CONFIGURATION, TOOLS

SUPERVISORCTL = f"{TOOLS}/bin/supervisorctl -c {CONFIGURATION}/supervisord.conf"
SUPERVISORD = f"{TOOLS}/bin/supervisord -c {CONFIGURATION}/supervisord.conf"

UP = (
    f"{SUPERVISORCTL} pid >/dev/null 2>&1 || (cd / && {SUPERVISORD} </dev/null 2>&1); "
    f"for i in 1 2 3 4 5 6 7 8 9 10; do {SUPERVISORCTL} pid >/dev/null 2>&1 && break; sleep 0.3; done"
)
"""Shell that starts supervisord where it does not run, and waits until it answers."""


@dataclass(frozen=True)
class SupervisorService(Service):
    """A service as a program of supervisord, on a host without systemd as PID 1."""

    account: str

    @property
    def name(self) -> str:
        """`program NAME`: not the service of a systemd that this host may have one day, which is undone otherwise."""
        return f"program {self.service}"

    def diff(self, actual: str) -> Difference | None:
        """Say, too, why supervisord does what systemd would."""
        difference = super().diff(actual)
        if difference is None or "active=active" in actual:
            return difference
        return Difference(f"{difference.text}, under supervisord: systemd is not PID 1 here")

    @property
    def _folder(self) -> str:
        return f"/run/vllm/{self.service}"

    def probe(self) -> str:
        """Print `active`, `phase`, `fingerprint` and `stale`."""
        return (
            f"[ -x {TOOLS}/bin/supervisorctl ] && [ -e {self._settings} ] || {{ echo active={ABSENT}; exit 0; }}; "
            # supervisorctl exits 3 for a program that does not run, 4 for one it does not know: both are answers.
            f"state=$({SUPERVISORCTL} status {quote(self.service)} 2>/dev/null); "
            "pid=; set -- $state; case ${2:-} in RUNNING) active=active; "
            'pid=$(printf "%s" "$state" | sed -n "s/.*pid \\([0-9]*\\),.*/\\1/p") ;; '
            'STARTING|BACKOFF|STOPPING) active=activating ;; *) active=inactive ;; esac; echo "active=$active"; '
            + readiness.phase(self.service)
            + f"; {FINGERPRINT}; {self._stale}; :"
        )

    def register(self) -> str:
        """Start supervisord if it does not run, and let it read its files again."""
        return (
            f"set -eu; mkdir -p /run/vllm {quote(self._folder)}; chown {quote(self.account)} {quote(self._folder)}; "
            f"{UP}; {SUPERVISORCTL} reread >/dev/null; {SUPERVISORCTL} update {quote(self.service)} >/dev/null"
        )

    def start(self) -> str:
        """Start the program."""
        return f"{SUPERVISORCTL} start {quote(self.service)} >/dev/null"

    def stop(self) -> str:
        """Stop the program, and wait until it has stopped."""
        return f"{SUPERVISORCTL} stop {quote(self.service)}"

    def lost(self) -> str:
        """Ask whether supervisord has given up."""
        return f"{SUPERVISORCTL} status {quote(self.service)} 2>/dev/null | grep -qE 'FATAL|BACKOFF|EXITED|STOPPED'"

    def log(self) -> str:
        """Follow the program's log file."""
        return f"exec tail -n 0 -F {quote(f'/var/log/vllm/{self.service}.log')} 2>/dev/null"

    def entries(self, lines: int, *, follow: bool = False, after: str = "") -> str:
        """Read the log file."""
        return log_entries.of_program(self.service, lines, follow=follow, after=after)

    def undo(self, actual: str) -> str:
        """Stop it; supervisord ends with its last program."""
        name = quote(self.service)
        folders = f"/var/cache/vllm/{name} /run/vllm/{name}"
        return (
            f"pid=$({SUPERVISORCTL} pid 2>/dev/null); {SUPERVISORCTL} stop {name} >/dev/null 2>&1; "
            f"rm -f /etc/vllm/supervisor.d/{name}.conf; {SUPERVISORCTL} update >/dev/null 2>&1; "
            f"ls /etc/vllm/supervisor.d/*.conf >/dev/null 2>&1 || {{ {SUPERVISORCTL} shutdown >/dev/null 2>&1; "
            'i=0; while kill -0 "$pid" 2>/dev/null && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done; '
            "rm -f /run/vllm/supervisor* /var/log/vllm/supervisord.log*; }; "
            f"rm -rf {folders} /var/log/vllm/{name}.log*; rmdir --ignore-fail-on-non-empty /run/vllm 2>/dev/null; :"
        )
