"""How a host is reached, from Ansible's connection variables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr

from provisioning.ssh_arguments import DIRECT, Proxy, proxy
from provisioning.validation import unreadable_values
from provisioning.variables import Variables
from provisioning.yaml_document import shortened

TRUE = frozenset(("yes", "true", "on", "y", "t", "1"))
FALSE = frozenset(("no", "false", "off", "n", "f", "0"))
OVER_SSH = frozenset(("ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"))
HERE = frozenset(("local", "ansible.builtin.local"))
SUDO = ("sudo", "ansible.builtin.sudo")
BECOME_USER = ("ansible_become_user", "ansible_sudo_user")
ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
"""In the order in which Ansible hands them to ssh, where the first of two options counts."""
ADDRESS = ("ansible_host", "ansible_ssh_host")
PORT = ("ansible_port", "ansible_ssh_port")
USER = ("ansible_user", "ansible_ssh_user")
KEY_FILE = ("ansible_private_key_file", "ansible_ssh_private_key_file")
SUDO_PASSWORD = ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass")
PASSWORD = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")

CONNECTION = (
    *("ansible_connection", *ADDRESS, *PORT, *USER, *KEY_FILE, *ARGUMENTS),
    *("ansible_become", *BECOME_USER, "ansible_become_method"),
)
"""Variables that say how a host is reached, and hold no secret."""
PASSWORDS = (*SUDO_PASSWORD, *PASSWORD)


@dataclass(frozen=True)
class SshSettings:
    """How a host is reached. What is None is left to `~/.ssh/config`, or to the defaults of SSH and sudo."""

    address: str
    port: int | None = None
    user: str | None = None
    connection: Literal["ssh", "local"] = "ssh"
    private_key_file: str | None = None
    become: bool | None = None
    become_password: SecretStr | None = None
    password: SecretStr | None = None
    proxy: Proxy = DIRECT


class SshVariables:
    """Reads connection variables; what is wrong gathers in `problems`, one line each."""

    def __init__(self, host: str, variables: Variables) -> None:
        """`variables` are all those of the host called `host`."""
        self.host = host
        self.variables = variables
        self.problems: list[str] = []

    def read(self) -> SshSettings:
        """The settings, with None for whatever is missing or wrong."""
        connection, user = self._connection("ansible_connection"), self._text(*USER)
        become = self._flag("ansible_become")
        if become is not False and user != "root":
            self._sudo_only()
        return SshSettings(
            address=self._text(*ADDRESS) or self.host,
            port=self._port(*PORT),
            user=user,
            connection=connection,
            private_key_file=self._text(*KEY_FILE),
            become=become,
            become_password=self._secret(*SUDO_PASSWORD),
            password=self._secret(*PASSWORD),
            proxy=self._proxy(*ARGUMENTS) if connection == "ssh" else DIRECT,
        )

    def _sudo_only(self) -> None:
        """Refuse another account than root, and another way to it than sudo: what is done on hosts is root's."""
        for name in BECOME_USER:
            if (user := self._text(name)) not in (None, "root"):
                self._refuse(name, f'should be root, not "{user}": what is done on hosts needs root')
        if (method := self._text("ansible_become_method")) not in (None, *SUDO):
            self._refuse(
                "ansible_become_method", f'should be sudo, not "{method}"; or connect as root (ansible_user: root)'
            )

    def _proxy(self, *names: str) -> Proxy:
        """The first of these arguments that says how to get to the host."""
        found = DIRECT
        for name in names:
            try:
                told = proxy(self._text(name) or "")
            except ValueError as error:
                self._refuse(name, str(error))
            else:
                found = found if found != DIRECT else told
        return found

    def _text(self, *names: str) -> str | None:
        """The value under the last of these names that is there: later names win, as in Ansible."""
        name = next((name for name in reversed(names) if name in self.variables), None)
        if name is None or self.variables[name].value is None:
            return None
        variable = self.variables[name]
        if problem := next(unreadable_values(variable.value), None):
            self._refuse(name, problem[1])
            return None
        if isinstance(variable.value, (dict, list)):
            self._refuse(name, "should be text")
            return None
        text = variable.document.texts.get(variable.path, str(variable.value))
        if any(ord(character) < 32 or ord(character) == 127 for character in text):
            self._refuse(name, "should be one line, without control characters")
            return None
        return text or None

    def _port(self, *names: str) -> int | None:
        text = self._text(*names)
        if text is None or (re.fullmatch("[0-9]{1,9}", text) and 1 <= int(text) <= 65535):
            return int(text) if text else None
        name = next(name for name in reversed(names) if name in self.variables)
        self._refuse(name, f'should be an integer between 1 and 65535, not "{shortened(text)}"')
        return None

    def _flag(self, name: str) -> bool | None:
        text = (self._text(name) or "").lower()
        if text and text not in TRUE | FALSE:
            self._refuse(name, f'should be true or false, not "{shortened(text)}"')
            return None
        return text in TRUE if text else None

    def _secret(self, *names: str) -> SecretStr | None:
        text = self._text(*names)
        return None if text is None else SecretStr(text)

    def _connection(self, name: str) -> Literal["ssh", "local"]:
        text = self._text(name) or "ssh"
        if text not in OVER_SSH | HERE:
            self._refuse(name, f'should be ssh or local, not "{shortened(text)}"')
        return "local" if text in HERE else "ssh"

    def _refuse(self, name: str, words: str) -> None:
        self.problems.append(self.variables[name].describe(words))
