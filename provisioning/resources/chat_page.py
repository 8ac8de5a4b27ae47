"""The chat page as a running service: its process has the wanted fingerprint, and it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from provisioning import log_entries
from provisioning.errors import NotReadyError
from provisioning.host import Host, quote
from provisioning.resources.base import Difference, Tell
from provisioning.resources.service import ABSENT, FINGERPRINT, SHOWN, Supervised, probed_state
from provisioning.resources.supervisor_service import SUPERVISORCTL, UP
from provisioning.site import CONFIGURATION

NAME = "vllm-webui"
UNIT = f"/etc/systemd/system/{NAME}.service"
SUPERVISOR_PROGRAM = f"{CONFIGURATION}/supervisor.d/{NAME}.conf"
"""What supervisord is told of it."""
PATIENCE = 180
"""Seconds that it may take to start: Gradio imports much, and a machine that loads a model has other things to do."""


@dataclass(frozen=True)
class ChatPage(Supervised):
    """The page, kept by systemd or supervisord; with `wanted` false, one that runs is stopped and stays so."""

    url: str
    fingerprint: str
    systemd: bool
    wanted: bool = True
    service = "webui"
    """What it is called where services have names."""
    waits_for = "its answer"

    @property
    def name(self) -> str:
        """`chat page`."""
        return "chat page"

    @staticmethod
    def serves(found: Mapping[str, str]) -> bool:
        """Whether it answers."""
        return found.get("active") == "active" and found.get("answers") == "yes"

    def probe(self) -> str:
        """Print `active`, `enabled`, `answers` and `fingerprint`."""
        look = (
            f'{SHOWN.format(unit=NAME)}[ "$load" != not-found ] || active={ABSENT}; '
            'echo "active=$active"; echo "reload=$reload"; '
            '[ "$file" = enabled ] && echo enabled=yes || echo enabled=no; '
            if self.systemd
            else f"[ -e {SUPERVISOR_PROGRAM} ] || {{ echo active={ABSENT}; exit 0; }}; "
            f"state=$({SUPERVISORCTL} status {NAME} 2>/dev/null); "
            "pid=; set -- $state; case ${2:-} in RUNNING) echo active=active; echo enabled=yes; "
            'pid=$(printf "%s" "$state" | sed -n "s/.*pid \\([0-9]*\\),.*/\\1/p") ;; *) echo active=inactive ;; esac; '
        )
        if not self.wanted:
            return f"[ -e {UNIT if self.systemd else SUPERVISOR_PROGRAM} ] || exit 0; {look}:"
        return f"{look}{FINGERPRINT}; {self._answers} && echo answers=yes; :"

    @property
    def _answers(self) -> str:
        return f"curl --silent --max-time 10 --noproxy '*' --output /dev/null {quote(self.url)}"

    def diff(self, actual: str) -> Difference | None:
        """Compare what runs with what should."""
        found = probed_state(actual)
        runs = found.get("active") == "active"
        if not self.wanted:
            return Difference(f"{NAME}: stop") if runs or found.get("enabled") == "yes" else None
        if not runs or found.get("answers") != "yes":
            return Difference(f"{NAME}: start; a chat page at {self.url}")
        if found.get("fingerprint") != self.fingerprint or found.get("reload") == "yes":
            return Difference(f"{NAME}: restart (what it was started with has changed)")
        return None if found.get("enabled") == "yes" else Difference(f"{NAME}: start at boot")

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Start it anew, or end it."""
        if not self.wanted:
            host.run(self._end())
        else:
            self.restart(host, tell)

    def restart(self, host: Host, tell: Tell) -> None:
        """Start it anew, and wait until it answers. Raises `NotReadyError` with its last lines."""
        host.run(self._start())
        tell(f"waiting for {self.url}")
        wait = f"i=0; until {self._answers}; do [ $i -lt {PATIENCE} ] || exit 1; i=$((i + 1)); sleep 1; done"
        if host.run(wait, timeout=PATIENCE * 12, check=False).exit_code:
            log = (
                f"journalctl --no-pager -o cat -n 20 -u {NAME}"
                if self.systemd
                else f"tail -n 20 /var/log/vllm/{NAME}.log"
            )
            raise NotReadyError(
                f"{host.name}: the chat page does not answer at {self.url}",
                cause=host.run(log, check=False).stdout,
                remedy="If the port is taken by another program: another webui.port.",
            )

    def _start(self) -> str:
        if self.systemd:
            return f"systemctl daemon-reload && systemctl enable --quiet {NAME} && systemctl restart {NAME}"
        return (
            f"set -eu; mkdir -p /run/vllm; {UP}; {SUPERVISORCTL} reread >/dev/null; "
            f"{SUPERVISORCTL} update {NAME} >/dev/null; "
            f"{SUPERVISORCTL} restart {NAME} >/dev/null"
        )

    def details(self) -> str:
        """Shell that prints the bytes of memory that it takes, where systemd knows."""
        return f"systemctl show {NAME} -p MemoryCurrent --value 2>/dev/null; :"

    def register(self) -> str:
        """Shell that does nothing: a start does it."""
        return ":"

    def stop(self) -> str:
        """Shell that stops it, until it is started or the host boots."""
        return f"systemctl stop {NAME}" if self.systemd else f"{SUPERVISORCTL} stop {NAME}"

    def entries(self, lines: int, *, follow: bool = False, after: str = "") -> str:
        """Shell that prints its log, as `Service.entries` does."""
        if self.systemd:
            return log_entries.of_unit(f"{NAME}.service", lines, follow=follow, after=after)
        return log_entries.of_program(NAME, lines, follow=follow, after=after)

    def _end(self) -> str:
        if self.systemd:
            return f"systemctl disable --now --quiet {NAME}"
        stop, forget = f"{SUPERVISORCTL} stop {NAME}", f"rm -f {SUPERVISOR_PROGRAM}; {SUPERVISORCTL} update"
        return f"{stop} >/dev/null 2>&1; {forget} >/dev/null 2>&1; :"

    def undo(self, actual: str) -> str:
        """Stop it, and forget it."""
        if self.systemd:
            link = f"/etc/systemd/system/multi-user.target.wants/{NAME}.service"
            stop = f"{self._end()} 2>/dev/null; systemctl reset-failed {NAME} 2>/dev/null"
            undo = f"if [ -d /run/systemd/system ]; then {stop}; else rm -f {link}; fi"
        else:
            undo = self._end()
        return f"{undo}; rm -rf /var/cache/vllm/{NAME} /var/log/vllm/{NAME}.log*; :"
