"""How root is become on a host: it is root already, by sudo with or without a password, or not at all."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from provisioning.errors import CommandError

if TYPE_CHECKING:
    from provisioning.host import Host

NO_SUDO = {
    "missing": ("sudo is not installed", "Install it, or connect as root (ansible_user: root)."),
    "refused": (
        "sudo wants a password, and none is known",
        "Put it into PROVISION_SUDO_PASSWORD, or name a file in become_password_file; "
        "or connect as root (ansible_user: root).",
    ),
    "terminal": (
        "sudo wants a terminal (requiretty)",
        "Put `Defaults !requiretty` into its settings by visudo, or connect as root (ansible_user: root).",
    ),
    "forbidden": (
        "ansible_become is false",
        "Leave it out of the inventory, or connect as root (ansible_user: root).",
    ),
}
"""Why sudo cannot be used, and what to do."""


# To read a few lines takes the shell less time than to start `id` and `nproc`.
_WHO = r"""export LC_ALL=C; uid=; cpus=
while read -r name value rest; do
    case $name in Uid:) uid=$value ;; Cpus_allowed_list:) cpus=$value; break ;; esac
done 2>/dev/null </proc/self/status
[ -n "$uid" ] || uid=$(id -u)
"""


def check(password: str | None) -> str:
    """Shell that sets `uid`, `cpus` that may be used, and `sudo_answer`: how root is become.

    That is `root`, `free`, `password`, `missing`, or sudo's words. A known password is offered once, with nothing
    behind it: sudo takes every further line for another attempt.
    """
    offer = "sudo -k -n true" if password is None else f"printf '%s\\n' {quote(password)} | sudo -k -S -p '' true"
    return (
        f"{_WHO}case $uid in 0) sudo_answer=root ;; "
        "*) if ! command -v sudo >/dev/null 2>&1; then sudo_answer=missing; "
        "elif sudo -k -n true 2>/dev/null; then sudo_answer=free; "
        f"elif sudo_answer=$({offer} 2>&1); then sudo_answer=password; fi ;; esac\nexport uid cpus sudo_answer\n"
    )


def settle(host: Host, answer: str, password: str | None) -> None:
    """Tell the host how it becomes root, from what `check(password)` found."""
    if answer == "root":
        host.sudo = "none"
    else:
        host.sudo = _sudo(host, answer, password) if host.may_become else "forbidden"


def find_out(host: Host) -> None:
    """Look how root is become, where no facts were gathered before (one round trip)."""
    password = host.known_sudo_password()
    settle(host, _ask(host, password), password)


def _ask(host: Host, password: str | None) -> str:
    with host.echo.instead():  # it holds the password
        return host.run(check(password) + 'printf %s "$sudo_answer"', as_root=False).stdout


def _sudo(host: Host, answer: str, password: str | None) -> str:
    if answer in ("free", "password", "missing"):
        return answer
    if "you must have a tty" in answer:
        return "terminal"
    if password is not None:
        raise CommandError(
            f"{host.name}: sudo refuses the password",
            cause=_without_lecture(answer),
            remedy="Check PROVISION_SUDO_PASSWORD, or the file that become_password_file names.",
        )
    if (asked := host.sudo_password) is None:
        return "refused"
    return _sudo(host, _ask(host, asked), asked)


def _without_lecture(answer: str) -> str:
    said = [line for line in answer.splitlines() if line.startswith("sudo:")]
    return "\n".join(said) or answer
