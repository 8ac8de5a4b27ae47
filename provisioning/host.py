"""A host: run shell on it as root or as the connecting user. Quoting lives here and nowhere else.

A script never appears on a command line: it goes through standard input, so that it is as long as it likes, shows in
no process list, and arrives byte for byte.
"""

from __future__ import annotations

import base64
import secrets
import shlex
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain

from provisioning import becoming
from provisioning.echo import Echo
from provisioning.errors import CommandError
from provisioning.transport.base import Completed, Held, OnOutput, Transport, pieces

quote = shlex.quote

# `eval` rather than `sh -s`: the whole script has been read when its first command runs, so no command can eat its
# tail. Its last line says that it is whole: what a cut connection left of a script is not run.
END = "# the end of the script"
RUN = f'script=$(cat); case $script in *"{END}") eval "$script" ;; *) echo "only a part arrived" >&2; exit 255 ;; esac'

OVER = 124
"""Exit code of what took too long."""


@dataclass(frozen=True)
class Result:
    """What a script printed, and its exit code."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def words(self) -> str:
        """What it said, for an error message: its standard error, or else the end of its output."""
        return (self.stderr.strip() or self.stdout.strip())[-2000:]


class Host:
    """One host of the inventory, reached through a transport."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        known_sudo_password: Callable[[], str | None] = lambda: None,
        ask_sudo_password: Callable[[], str | None] = lambda: None,
        environment: str = "",
        may_become: bool = True,
        look_timeout: int = 20,
        silence_timeout: int = 120,
    ) -> None:
        """`look_timeout`: seconds that one probe may take; `silence_timeout`: that a command may give no output."""
        self.name, self.transport = name, transport
        self.look_timeout, self._silence_timeout = look_timeout, silence_timeout
        self.round_trips = 0
        self.echo = Echo()
        self.sudo = ""
        """How root is become: `none` (root already), `free`, `password`, or a key of NO_SUDO; "" is not known yet."""
        self._known_sudo_password = known_sudo_password
        self._ask_sudo_password = ask_sudo_password
        self._environment = environment
        self.may_become = may_become

    @property
    def sudo_password(self) -> str | None:
        """The password for sudo, asked for when it is first needed."""
        known = self._known_sudo_password()
        return self._ask_sudo_password() if known is None else known

    def known_sudo_password(self) -> str | None:
        """The password for sudo if it can be had without asking a person."""
        return self._known_sudo_password()

    def run(
        self,
        script: str,
        *,
        as_root: bool = True,
        timeout: float | None = None,
        limit: int | None = None,
        on_output: OnOutput | None = None,
        check: bool = True,
    ) -> Result:
        """Run a POSIX shell script in one round trip.

        `timeout`: seconds without output (else the host's). `limit`: seconds that it may take, after which its exit
        code is `OVER`. Raises `CommandError` on a non-zero exit (unless `check` is false) and `ConnectionLostError`
        when the connection breaks.
        """
        self.echo(script)
        command, preamble = self._command(as_root, limit)
        self.round_trips += 1
        completed = self.transport.execute(
            command,
            pieces(preamble + f"{self._environment}{script}\n{END}".encode(errors="surrogateescape")),
            timeout=timeout or self._silence_timeout,
            on_output=on_output,
        )
        result = _decoded(completed)
        if check and result.exit_code:
            raise CommandError(f"{self.name}: a command failed (exit {result.exit_code})", cause=result.words)
        return result

    def _command(self, as_root: bool, limit: int | None = None) -> tuple[str, bytes]:
        """Give the command line, and what its standard input begins with; for root, look first how root is become."""
        if as_root and not self.sudo:
            becoming.find_out(self)
        if as_root and self.sudo in becoming.NO_SUDO:
            cause, remedy = becoming.NO_SUDO[self.sudo]
            raise CommandError(f"{self.name}: this needs root, and sudo cannot be used", cause=cause, remedy=remedy)
        if not as_root or self.sudo == "none":
            return f"exec {_bounded(RUN, limit)}", b""
        command, preamble = _with_sudo(self.sudo_password if self.sudo == "password" else None, limit)
        return f"exec {command}", preamble.encode(errors="surrogateescape")

    def inner(self, script: str, sudo: str, limit: int) -> str:
        """Shell for a script of the connecting user's, one with `becoming.check`, that runs another one as root.

        That is run only if root is become as `sudo` says, `none`, `free` or `password`: a wrong password is offered to
        sudo no second time, which may lock the account. What it says goes from shell to shell, and shows nowhere.
        `limit`: seconds that it may take.
        """
        if sudo == "none":
            return script
        command, preamble = _with_sudo(self.known_sudo_password() if sudo == "password" else None, limit)
        whole = quote(f"{preamble}{self._environment}{script}\n{END}")
        return f"[ \"$sudo_answer\" != {sudo} ] || printf '%s\\n' {whole} | {command}"

    def hold_command(self, *, as_root: bool = True) -> tuple[str, bytes]:
        """Give the command line and standard input of a shell whose input stays open after its script: one line."""
        command, preamble = self._command(as_root)
        return command.replace(RUN, 'IFS= read -r script && eval "$script"'), preamble

    def keep(self, script: str, *, as_root: bool = True, silence: float | None = 60) -> AbstractContextManager[Held]:
        """Run a script and keep it running, its input open; see `Transport.hold`. It shows in no process list."""
        command, preamble = self.hold_command(as_root=as_root)
        encoded = base64.b64encode(script.encode(errors="surrogateescape")).decode()
        self.round_trips += 1
        line = f'eval "$(printf %s {encoded} | base64 -d)"\n'
        return self.transport.hold(command, preamble + line.encode(), silence=silence)

    def feed(self, script: str, data: Iterable[bytes], *, timeout: float | None = None) -> Result:
        """Run one line of shell as root, in one round trip, with pieces of data on its standard input.

        `timeout`: seconds without output (else the host's). Raises `ConnectionLostError` when the connection breaks.
        """
        command, preamble = self.hold_command()
        self.round_trips += 1
        first = preamble + f"{script}\n".encode(errors="surrogateescape")
        # It reports nothing but its end; what it writes meanwhile are signs of life.
        said = bytearray()
        completed = self.transport.execute(
            command, chain([first], data), timeout=timeout or self._silence_timeout, on_output=said.extend
        )
        return _decoded(Completed(completed.exit_code, bytes(said.replace(b"\0", b"")), completed.stderr))

    def close(self) -> None:
        """Drop the connection."""
        self.transport.close()


def _bounded(script: str, limit: int | None) -> str:
    """Give the command line of a shell, which is ended after so many seconds."""
    return f"{f'timeout {limit} ' if limit else ''}/bin/sh -c {quote(script)}"


def _allowed(script: str, limit: int | None) -> str:
    """As `_bounded`, and always a shell, for a sudo that allows that alone."""
    return f"/bin/sh -c {quote(f'exec {_bounded(script, limit)}')}" if limit else _bounded(script, limit)


def _with_sudo(password: str | None, limit: int | None = None) -> tuple[str, str]:
    """Give the command line that runs a script as root, and what is to stand before that on its standard input.

    sudo reads a password line only if it needs one, so what it may leave is skipped up to a random line.
    """
    if password is None:
        return f"sudo -n -- {_allowed(RUN, limit)}", ""
    marker = secrets.token_hex(8)
    skip = f'while IFS= read -r line && [ "$line" != {marker} ]; do :; done; {RUN}'
    return f"sudo -S -p '' -- {_allowed(skip, limit)}", f"{password}\n{marker}\n"


def _decoded(completed: Completed) -> Result:
    return Result(
        completed.exit_code,
        completed.stdout.decode(errors="surrogateescape"),
        completed.stderr.decode(errors="replace"),
    )
