"""Every way this project fails: one root, each error with its exit code, its cause and what to do next."""

from __future__ import annotations

import enum

from provisioning.masking import masked


class ExitCode(enum.IntEnum):
    """Exit codes of every task; the README lists them."""

    OK = 0
    FAILED = 1
    CHANGES = 2  # only `plan --detailed-exitcode`, as Terraform does
    CONFIGURATION = 3
    UNREACHABLE = 4
    LOCKED = 5
    NOT_READY = 6
    INCOMPATIBLE = 7
    DECLINED = 8
    INTERRUPTED = 130


class ProvisioningError(Exception):
    """What failed, why (`cause`), what to do next (`remedy`), and where the `log` is, if there is one.

    Shown to people, never as a traceback. Secrets are masked, whoever's words these are.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, *, cause: str = "", remedy: str = "", log: str = "") -> None:
        super().__init__(masked(message))
        self.message = masked(message)
        self.cause = masked(cause.strip())
        self.remedy = masked(remedy.strip())
        self.log = masked(log)

    def __str__(self) -> str:
        return "\n".join(part for part in (self.message, self.cause, self.remedy, self.log) if part)


class ConfigurationError(ProvisioningError):
    """The inventory or the command line is wrong; raised before any connection is made."""

    exit_code = ExitCode.CONFIGURATION


class UnreachableError(ProvisioningError):
    """No connection to the host: name, port, key, password or host key. `retryable` says whether waiting can help."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, message: str, *, cause: str = "", remedy: str = "", retryable: bool = False) -> None:
        super().__init__(message, cause=cause, remedy=remedy)
        self.retryable = retryable
        self.phase = ""
        """What was being done meanwhile; "" where it is not known."""


class ConnectionLostError(UnreachableError):
    """The connection broke while a command ran; whether the command went on is not known."""

    def __init__(self, message: str, *, cause: str = "", remedy: str = "") -> None:
        super().__init__(message, cause=cause, remedy=remedy, retryable=True)


class CommandError(ProvisioningError):
    """A command on the host failed; trying it again would fail again."""


class JobError(CommandError):
    """A job failed; `status` is its exit status, or `lost`."""

    def __init__(self, message: str, *, status: str = "lost", cause: str = "", remedy: str = "", log: str = "") -> None:
        super().__init__(message, cause=cause, remedy=remedy, log=log)
        self.status = status


class ProbeError(ProvisioningError):
    """The host could not be looked at: this is not the same as "absent"."""


class NotConvergedError(ProvisioningError):
    """A change was made without complaint, and the host still differs."""


class LockedError(ProvisioningError):
    """Another run holds the host's lock."""

    exit_code = ExitCode.LOCKED


class NotReadyError(ProvisioningError):
    """A service did not generate its first token."""

    exit_code = ExitCode.NOT_READY


class IncompatibleError(ProvisioningError):
    """Versions, devices or compilers that cannot work together; raised before anything is installed."""

    exit_code = ExitCode.INCOMPATIBLE


class SkippedError(ProvisioningError):
    """The host was not begun, for too many others have failed: nothing was done on it."""


class DeclinedError(ProvisioningError):
    """The user was asked and said no."""

    exit_code = ExitCode.DECLINED


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with what came of it in sentences."""
