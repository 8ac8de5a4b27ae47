"""A running service: its process has the wanted fingerprint, and its first token was generated."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

from provisioning import log_entries, readiness
from provisioning.host import Host, quote
from provisioning.probe import Probe
from provisioning.resources.base import Difference, Resource, Tell
from provisioning.site import CONFIGURATION, LIBRARY

# A process knows what it was started with: a file that changed after its start, for whatever reason, shows here.
FINGERPRINT = (
    '[ "${pid:-0}" = 0 ] || tr "\\0" "\\n" </proc/$pid/environ 2>/dev/null | while IFS= read -r variable; do '
    'case $variable in VLLM_FINGERPRINT=*) echo "fingerprint=${variable#*=}"; break ;; esac; done'
)

STALE = """[ -e /run/vllm/{name}/session ] && for f in {files}; do
    [ "$f" -nt /run/vllm/{name}/session ] && {{ echo stale=yes; break; }}
done"""
"""Shell that says so where a file was written after the server had been started with it: by hand, or to mend that."""

SHOWN = """properties=MainPID,ActiveState,LoadState,NeedDaemonReload,UnitFileState
shown=$(systemctl show {unit} -p "$properties") || exit 1
while IFS== read -r name value; do
    case $name in
        MainPID) pid=$value ;;
        ActiveState) active=$value ;;
        LoadState) load=$value ;;
        NeedDaemonReload) reload=$value ;;
        UnitFileState) file=$value ;;
    esac
done <<END
$shown
END
"""
"""Shell that sets what systemd says of a unit. One question: systemctl takes longer to start than to answer."""

ABSENT = "absent"
"""State of a service that its supervisor does not know."""


def probed_state(actual: str) -> dict[str, str]:
    """Give what a service's probe printed, by name."""
    return dict(row.split("=", 1) for row in actual.splitlines() if "=" in row)


class Supervised(Resource):
    """What systemd or supervisord keeps running, by what its probe found."""

    @staticmethod
    def is_there(found: Mapping[str, str]) -> bool:
        """Whether the supervisor knows it."""
        return found.get("active", ABSENT) != ABSENT

    @staticmethod
    def is_stopped(found: Mapping[str, str]) -> bool:
        """Whether nothing of it runs, and nothing will by itself."""
        return found.get("active") in ("inactive", "failed")


@dataclass(frozen=True)
class Service(Supervised):
    """A service that runs with `fingerprint`, is ready, and starts at boot if `enabled`."""

    service: str
    fingerprint: str
    enabled: bool
    url: str

    waits_for = "its first token"
    """What a start ends with."""

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
            problems.append(f"start (it is {found.get('active') or ABSENT}, {found.get('phase') or 'not started'})")
        elif found.get("fingerprint") != self.fingerprint or found.get("stale") == "yes":
            problems.append("restart (what it was started with has changed)")
        elif found.get("reload") == "yes":
            problems.append("restart (its unit has changed)")
        if found.get("enabled", "yes") != ("yes" if self.enabled else "no"):
            problems.append("start at boot" if self.enabled else "no longer start at boot")
        return Difference(f"vllm@{self.service}: {'; '.join(problems)}") if problems else None

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Start it, and follow it to its first token. Raises `NotReadyError` with the last lines and the cause."""
        found = probed_state(actual)
        fits = found.get("fingerprint") == self.fingerprint and "yes" not in (found.get("reload"), found.get("stale"))
        host.run(self.register())
        if not (self.serves(found) and fits):
            self.restart(host, tell)

    def restart(self, host: Host, tell: Tell) -> None:
        """Start it anew, and follow it to its first token."""
        commands = {"stop": self.stop(), "start": self.start(), "lost": self.lost(), "log": self.log()}
        readiness.restart(host, self.service, **commands, tell=tell)

    @property
    def _settings(self) -> str:
        """The file that tells the service's program what to do, for the shell."""
        return quote(f"{CONFIGURATION}/{self.service}.env")

    @property
    def _stale(self) -> str:
        key, programs = quote(f"{CONFIGURATION}/{self.service}.key"), f"{LIBRARY}/serve*.py"
        return STALE.format(name=quote(self.service), files=f"{self._settings} {key} {programs}")

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
    def entries(self, lines: int, *, follow: bool = False, after: str = "") -> str:
        """Give shell that prints the last entries of the log, an object of JSON each (see `log_entries`).

        `follow`: for ever. `after`: the cursor of an entry, to print all that came since instead.
        """


@dataclass(frozen=True)
class SystemdService(Service):
    """A service as an instance of the template unit."""

    def probe(self) -> str:
        """Print `active`, `enabled`, `reload`, `phase`, `fingerprint` and `stale`."""
        unit = quote(f"vllm@{self.service}.service")
        return (
            # systemd calls a unit that does not exist inactive; and the template makes every name one that does.
            SHOWN.format(unit=unit)
            + f'{{ [ "$load" != not-found ] && [ -e {self._settings} ]; }} || '
            + f'[ "$active" != inactive ] || active={ABSENT}; echo "active=$active"; echo "reload=$reload"; '
            '[ "$file" = enabled ] && echo enabled=yes || echo enabled=no; '
            + readiness.phase(self.service)
            + f"; {FINGERPRINT}; {self._stale}; :"
        )

    def question(self) -> Probe:
        """Ask anew where one of the files changed that decide what systemd says, or the service does not live."""
        return replace(super().question(), while_same="services")

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

    def entries(self, lines: int, *, follow: bool = False, after: str = "") -> str:
        """Read the journal."""
        return log_entries.of_unit(f"vllm@{self.service}.service", lines, follow=follow, after=after)

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
