"""A running service: its process has the wanted fingerprint, and its first token was generated."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from provisioning import readiness
from provisioning.host import Host, quote
from provisioning.resources.base import Difference, Resource, Tell
from provisioning.site import CONFIGURATION, TOOLS

# A process knows what it was started with: a file that changed after its start, for whatever reason, shows here.
_FINGERPRINT = (
    '[ "${pid:-0}" = 0 ] || tr "\\0" "\\n" </proc/$pid/environ 2>/dev/null | '
    'sed -n "s/^VLLM_FINGERPRINT=/fingerprint=/p"'
)

SUPERVISORCTL = f"{TOOLS}/bin/supervisorctl -c {CONFIGURATION}/supervisord.conf"
SUPERVISORD = f"{TOOLS}/bin/supervisord -c {CONFIGURATION}/supervisord.conf"


def probed_state(actual: str) -> dict[str, str]:
    """Give what a service's probe printed, by name."""
    return dict(row.split("=", 1) for row in actual.splitlines() if "=" in row)


@dataclass(frozen=True)
class Service(Resource):
    """A service that runs with `fingerprint`, is ready, and starts at boot if `enabled`."""

    service: str
    fingerprint: str
    enabled: bool
    url: str

    @property
    def name(self) -> str:
        """`service NAME`."""
        return f"service {self.service}"

    @staticmethod
    def serves(found: Mapping[str, str]) -> bool:
        """Whether what the probe found answers requests."""
        return found.get("phase") in readiness.SERVING and found.get("active") == "active"

    def diff(self, actual: str) -> Difference | None:
        """Compare what runs with what should."""
        found = probed_state(actual)
        problems = []
        if not self.serves(found):
            problems.append(f"start (it is {found.get('active') or 'absent'}, {found.get('phase') or 'not started'})")
        elif found.get("fingerprint") != self.fingerprint:
            problems.append("restart (what it was started with has changed)")
        elif found.get("reload") == "yes":
            problems.append("restart (its unit has changed)")
        if found.get("enabled", "yes") != ("yes" if self.enabled else "no"):
            problems.append("start at boot" if self.enabled else "no longer start at boot")
        return Difference(f"vllm@{self.service}: {'; '.join(problems)}") if problems else None

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Start it, and follow it to its first token. Raises `NotReadyError` with the last lines and the cause."""
        found = probed_state(actual)
        fits = found.get("fingerprint") == self.fingerprint and found.get("reload") != "yes"
        host.run(self.register())
        if not (self.serves(found) and fits):
            self.restart(host, tell)

    def restart(self, host: Host, tell: Tell) -> None:
        """Start it anew, and follow it to its first token."""
        commands = {"stop": self.stop(), "start": self.start(), "lost": self.lost(), "log": self.log()}
        readiness.restart(host, self.service, **commands, tell=tell)

    @abstractmethod
    def register(self) -> str:
        """Give shell that makes the supervisor know the service, and start it at boot or not."""

    @abstractmethod
    def start(self) -> str:
        """Give shell that starts the service, counting attempts anew, without waiting for it."""

    @abstractmethod
    def stop(self) -> str:
        """Give shell that stops the service."""

    @abstractmethod
    def lost(self) -> str:
        """Give shell that succeeds when a start has failed."""

    @abstractmethod
    def log(self) -> str:
        """Give shell that prints the service's log from `$since` (@seconds) or from now on, for ever."""

    @abstractmethod
    def recent(self, lines: int, follow: bool) -> str:
        """Give shell that prints the last lines of the log, and goes on in the background if told."""


@dataclass(frozen=True)
class SystemdService(Service):
    """A service as an instance of the template unit."""

    def probe(self) -> str:
        """Print `active`, `enabled`, `reload`, `phase` and `fingerprint`."""
        unit = quote(f"vllm@{self.service}.service")
        return (
            f'show() {{ systemctl show {unit} -p "$1" --value; }}; pid=$(show MainPID) || exit 1; '
            'echo "active=$(show ActiveState)"; echo "reload=$(show NeedDaemonReload)"; '
            '[ "$(show UnitFileState)" = enabled ] && echo enabled=yes || echo enabled=no; '
            + readiness.phase(self.service)
            + f"; {_FINGERPRINT}; :"
        )

    def register(self) -> str:
        """Reload units, and enable or disable this one."""
        verb = "enable" if self.enabled else "disable"
        return f"systemctl daemon-reload && systemctl {verb} --quiet {quote(f'vllm@{self.service}.service')}"

    def start(self) -> str:
        """Start, without waiting for READY=1."""
        unit = quote(f"vllm@{self.service}.service")
        return f"systemctl reset-failed {unit} 2>/dev/null; systemctl start --no-block {unit}"

    def stop(self) -> str:
        """Stop, and wait until it has stopped."""
        return f"systemctl stop {quote(f'vllm@{self.service}.service')}"

    def lost(self) -> str:
        """Ask whether systemd has started it again, or given up."""
        unit = quote(f"vllm@{self.service}.service")
        return f'systemctl -q is-failed {unit} || [ "$(systemctl show {unit} -p NRestarts --value)" != 0 ]'

    def log(self) -> str:
        """Follow the journal, from before the start: journalctl takes a while to begin."""
        return f"exec journalctl --follow --since=$since --output=cat --unit={quote(f'vllm@{self.service}.service')}"

    def recent(self, lines: int, follow: bool) -> str:
        """Read the journal."""
        go_on = "--follow" if follow else ""
        unit = quote(f"vllm@{self.service}.service")
        return f"journalctl --no-pager --output=short-iso --lines={lines} {go_on} --unit={unit}"

    def undo(self, actual: str) -> str:
        """Stop it, and forget it."""
        unit = quote(f"vllm@{self.service}.service")
        folders = quote(f"/var/cache/vllm/{self.service}") + " " + quote(f"/run/vllm/{self.service}")
        return (
            # Where PID 1 is no longer systemd (WSL has a switch for it) only the link that starts it at boot is left.
            "if [ -d /run/systemd/system ]; then "
            f"systemctl disable --now --quiet {unit}; systemctl reset-failed {unit} 2>/dev/null; "
            f"else rm -f /etc/systemd/system/multi-user.target.wants/{unit}; fi; rm -rf {folders}; "
            "rmdir --ignore-fail-on-non-empty /var/cache/vllm /run/vllm 2>/dev/null; "
            "[ ! -d /run/systemd/system ] || systemctl daemon-reload"
        )


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
        """Print `active`, `phase` and `fingerprint`."""
        return (
            f"[ -x {TOOLS}/bin/supervisorctl ] || {{ echo active=absent; exit 0; }}; "
            # supervisorctl exits 3 for a program that does not run, 4 for one it does not know: both are answers.
            f"state=$({SUPERVISORCTL} status {quote(self.service)} 2>/dev/null); "
            "case $state in *RUNNING*) echo active=active; "
            'pid=$(printf "%s" "$state" | sed -n "s/.*pid \\([0-9]*\\),.*/\\1/p");; '
            "*) echo active=inactive;; esac; " + readiness.phase(self.service) + f"; {_FINGERPRINT}; :"
        )

    def register(self) -> str:
        """Start supervisord if it does not run, and let it read its files again."""
        return (
            f"set -eu; mkdir -p /run/vllm {quote(self._folder)}; chown {quote(self.account)} {quote(self._folder)}; "
            f"{SUPERVISORCTL} pid >/dev/null 2>&1 || (cd / && {SUPERVISORD} </dev/null 2>&1); "
            f"for i in 1 2 3 4 5 6 7 8 9 10; do {SUPERVISORCTL} pid >/dev/null 2>&1 && break; sleep 0.3; done; "
            f"{SUPERVISORCTL} reread >/dev/null; {SUPERVISORCTL} update {quote(self.service)} >/dev/null"
        )

    def start(self) -> str:
        """Start the program."""
        return f"{SUPERVISORCTL} start {quote(self.service)} >/dev/null"

    def stop(self) -> str:
        """Stop the program, and wait until it has stopped."""
        return f"{SUPERVISORCTL} stop {quote(self.service)} >/dev/null 2>&1"

    def lost(self) -> str:
        """Ask whether supervisord has given up."""
        return f"{SUPERVISORCTL} status {quote(self.service)} 2>/dev/null | grep -qE 'FATAL|BACKOFF|EXITED|STOPPED'"

    def log(self) -> str:
        """Follow the program's log file."""
        return f"exec tail -n 0 -F {quote(f'/var/log/vllm/{self.service}.log')} 2>/dev/null"

    def recent(self, lines: int, follow: bool) -> str:
        """Read the log file."""
        return f"tail -n {lines} {'-F' if follow else ''} {quote(f'/var/log/vllm/{self.service}.log')}"

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
