"""Accounts and default compilers."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.host import Host, quote
from provisioning.resources.base import Difference, Resource, Tell
from provisioning.shell_reading import HOME_OF

ABSENT, HOMELESS = "absent", "homeless"


@dataclass(frozen=True)
class Account(Resource):
    """A system account without a password and without a login shell."""

    account: str
    home: str
    isolated = False

    @property
    def name(self) -> str:
        """`account NAME`."""
        return f"account {self.account}"

    def probe(self) -> str:
        """Print its home, and whether that is missing where we would have made it."""
        ours = quote(f"/var/lib/{self.account}")
        homeless = f"[ {quote(self.home)} != {ours} ] || [ -d {ours} ] || echo {HOMELESS}"
        found = f'printf "%s\\n" "$home"; {homeless}'
        # 2 is for an unknown name, which is an answer.
        return f"{HOME_OF}if home_of {quote(self.account)}; then {found}; else [ $? -eq 2 ] && echo {ABSENT}; fi"

    def diff(self, actual: str) -> Difference | None:
        """See whether it exists; an existing account is left as it is, unless making it was cut off."""
        if actual.strip() == ABSENT:
            return Difference(f"create {self.account}, home {self.home}")
        return Difference(f"make {self.home}, the home of {self.account}") if HOMELESS in actual.split() else None

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Create it with a home of its own, as useradd would; the home comes beside, and is then renamed."""
        account, home, new = quote(self.account), quote(self.home), quote(f"{self.home}.vllm-provisioning-new")
        host.run(
            f"set -eu; umask 022; getent passwd -- {account} >/dev/null || useradd --system --user-group "
            f"--no-create-home --home-dir {home} --shell /usr/sbin/nologin {account}; [ ! -d {home} ] || exit 0; "
            f"rm -rf {new}; mkdir {new}; [ ! -d /etc/skel ] || cp -a /etc/skel/. {new}; "
            f"chown -R {account}: {new}; chmod 755 {new}; mv -T {new} {home}"
        )

    def undo(self, actual: str) -> str:
        """Delete the account; its home goes too, for it was made with it."""
        if actual.strip() != ABSENT:
            return ""
        return f"userdel {quote(self.account)} && rm -rf -- {quote(self.home)}"


@dataclass(frozen=True)
class DefaultCompiler(Resource):
    """gcc and g++ of one major version as the default, through update-alternatives.

    Installing gcc-12 alone leaves an older g++ as the default: https://github.com/vllm-project/vllm/issues/1028
    """

    version: int

    @property
    def name(self) -> str:
        """`default compiler gcc-N`."""
        return f"default compiler gcc-{self.version}"

    def probe(self) -> str:
        """Print which versions `gcc` and `g++` really are, and what /usr/bin/gcc points to."""
        return (
            'for c in gcc g++; do printf "%s %s\\n" $c "$($c -dumpfullversion 2>/dev/null || echo none)"; done; '
            "readlink /usr/bin/gcc || echo none; readlink /usr/bin/g++ || echo none"
        )

    def diff(self, actual: str) -> Difference | None:
        """Compare the compilers' own words, not what packages say."""
        versions = dict(row.split(" ", 1) for row in actual.strip().splitlines()[:2])
        majors = {version.partition(".")[0] for version in versions.values()}
        if majors == {str(self.version)} and len(set(versions.values())) == 1:
            return None
        found = ", ".join(f"{name} {version}" for name, version in versions.items())
        return Difference(f"default compilers: {found} → gcc-{self.version} and g++-{self.version}")

    def apply(self, host: Host, actual: str, tell: Tell) -> None:
        """Install the alternative (g++ as the slave of gcc) and choose it."""
        n = self.version
        host.run(
            f"set -eu; update-alternatives --install /usr/bin/gcc gcc /usr/bin/gcc-{n} {n * 10} "
            f"--slave /usr/bin/g++ g++ /usr/bin/g++-{n}; update-alternatives --set gcc /usr/bin/gcc-{n}"
        )

    def undo(self, actual: str) -> str:
        """Take the alternative away, and point gcc and g++ where they pointed."""
        restore = f"update-alternatives --remove gcc /usr/bin/gcc-{self.version}"
        links = actual.strip().splitlines()[2:4]
        for name, target in zip(("gcc", "g++"), links, strict=False):
            # The link is dropped where its package was installed by us and is gone by then.
            if target not in ("none", f"/etc/alternatives/{name}"):
                restore += f"; [ -e /usr/bin/{name} ] || ln -s {quote(target)} /usr/bin/{name}"
        return restore
