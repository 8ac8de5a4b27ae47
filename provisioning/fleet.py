"""Many hosts side by side: one failing host stops no other."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from provisioning import steps
from provisioning.accounts import network_environment
from provisioning.batches import ALL_AT_ONCE, Batch, Rollout
from provisioning.endings import Endings
from provisioning.errors import ConfigurationError, ExitCode, ProvisioningError
from provisioning.host import Host
from provisioning.inventory import HostEntry
from provisioning.masking import hide
from provisioning.outcome import Outcome
from provisioning.parallel import HOSTS
from provisioning.profile import PROFILE
from provisioning.prompts import ask_secret, read_secret_file
from provisioning.transport.base import Transport
from provisioning.transport.local import LocalTransport

if TYPE_CHECKING:
    from provisioning.report import Report
    from provisioning.transport.target import SshTarget

T = TypeVar("T")


def open_host(entry: HostEntry, *, patient: bool = True) -> Host:
    """Give the host of an inventory entry; it connects on first use, and again where the connection broke.

    One that is not `patient` is tried once each time: for work that says at once that a host is away, and waits itself.
    """
    PROFILE.mark("hosts")
    return Host(
        entry.name,
        _transport(entry, patient),
        known_sudo_password=lambda: known_sudo_password(entry),
        ask_sudo_password=lambda: ask_secret(
            "password for sudo (on every host that wants one)", variable="PROVISION_SUDO_PASSWORD"
        ),
        may_become=entry.ssh.become is not False,
        environment=_environment(entry),
        look_timeout=entry.settings.look_timeout,
        silence_timeout=entry.settings.silence_timeout,
    )


def _environment(entry: HostEntry) -> str:
    """Shell that sets how the host reaches the network: not at all, as this machine does, or as it does by itself."""
    if entry.offline:
        return entry.offline.exports()
    return network_environment() if entry.ssh.connection == "local" else ""


def known_sudo_password(entry: HostEntry) -> str | None:
    """The password for sudo, where nobody need be asked. Raises `ConfigurationError` where its file cannot be read."""
    if entry.settings.become_password_file:
        try:
            return read_secret_file(entry.settings.become_password_file)
        except ValueError as error:
            raise ConfigurationError(f"{entry.name}: become_password_file: {error}") from error
    if entry.ssh.become_password:
        return hide(entry.ssh.become_password.get_secret_value())
    password = os.environ.get("PROVISION_SUDO_PASSWORD")
    return None if password is None else hide(password)


def target_of(entry: HostEntry) -> SshTarget:
    """Where the host of an inventory entry is reached over SSH, and as whom."""
    from provisioning.transport.target import SshTarget

    return SshTarget(
        name=entry.name,
        address=entry.ssh.address,
        port=entry.ssh.port,
        user=entry.ssh.user,
        private_key_file=entry.ssh.private_key_file,
        password=hide(entry.ssh.password.get_secret_value()) if entry.ssh.password else None,
        accept_new_host_keys=entry.settings.host_keys == "accept-new",
        timeout=entry.settings.connect_timeout,
        proxy=entry.ssh.proxy,
    )


def _transport(entry: HostEntry, patient: bool) -> Transport:
    if entry.ssh.connection == "local":
        return LocalTransport()
    from provisioning.retry import connecting, connecting_again
    from provisioning.transport.connect import open_connection
    from provisioning.transport.ssh import SshTransport

    target = target_of(entry)
    first, again = connecting(entry.settings.connect_attempts), connecting_again()

    def connect() -> Any:
        with PROFILE.phase(entry.name, "connect"):
            return first(open_connection, target) if patient else open_connection(target)

    return SshTransport(entry.name, connect, reconnect=(lambda: again(open_connection, target)) if patient else connect)


def on_each(
    entries: Sequence[HostEntry], work: Callable[[Host, HostEntry], T], meanwhile: Callable[[], None] = lambda: None
) -> list[T | ProvisioningError]:
    """Do `work` on every host, in parallel; give each one's result or its error, in the order of the entries.

    `meanwhile` is called now and then, as long as one is at work.
    """

    def guarded(entry: HostEntry) -> T | ProvisioningError:
        host = open_host(entry)
        try:
            with PROFILE.phase(entry.name, "other"):
                return work(host, entry)
        except ProvisioningError as error:
            return error
        except Exception as error:  # a mistake of ours on one host stops no other
            remedy = "This is a mistake of this program, not yours: please report it with these lines."
            return ProvisioningError(f"{entry.name}: {error!r}", cause=traceback.format_exc(limit=-5), remedy=remedy)
        finally:
            host.close()

    PROFILE.mark("hosts")
    if any(entry.ssh.connection != "local" for entry in entries):
        import fabric  # noqa: F401 - once, before many threads would wait for one another to do it
    pool = ThreadPoolExecutor(max_workers=min(HOSTS.get(), max(1, len(entries))))
    try:
        working = [pool.submit(guarded, entry) for entry in entries]
        steps.load()  # while the hosts are yet to answer
        # Python notes a signal at once, yet acts on one that came just before an endless wait only after that wait.
        while wait(working, timeout=0.5).not_done:
            meanwhile()
        return [each.result() for each in working]
    finally:
        # Ctrl-C: what runs on hosts is safe to leave (jobs go on, files are renamed into place), so nobody waits.
        pool.shutdown(wait=False, cancel_futures=True)


def outcomes(
    entries: Sequence[HostEntry],
    work: Callable[[Host, HostEntry, Outcome], Outcome],
    report: Report | None = None,
    rollout: Rollout = ALL_AT_ONCE,
) -> list[Outcome]:
    """Like `on_each`, for work that fills in an outcome: an error keeps the changes that were made before it.

    `report` shows what every host is doing now, and on Ctrl-C where things stand. `rollout`: batches, one by one.
    """
    started = {entry.name: Outcome(entry.name, "skipped") for entry in entries}
    with report.running(list(started)) if report else nullcontext():
        for batch in rollout.batches(entries):
            if report and len(batch.entries) < len(entries):
                report.line(f"{batch.title}:", batch.names)
            _work_on(batch, work, started, report)
            if report and batch.is_broken and any(outcome.status == "skipped" for outcome in started.values()):
                report.error(batch.verdict())
    return list(started.values())


def _work_on(
    batch: Batch,
    work: Callable[[Host, HostEntry, Outcome], Outcome],
    started: Mapping[str, Outcome],
    report: Report | None,
) -> None:
    endings = Endings(report.ended if report else lambda outcome: None)

    def watched(host: Host, entry: HostEntry) -> None:
        outcome = started[entry.name]
        framed = report.working(entry.name) if report else nullcontext()
        with endings.noting(outcome), batch.counting(entry.name), framed:
            outcome.status = "ok"
            work(host, entry, outcome)

    for entry, result in zip(batch.entries, on_each(batch.entries, watched, endings.tell), strict=True):
        if isinstance(result, ProvisioningError):
            started[entry.name].fail(result)


def exit_code(finished: Sequence[Outcome]) -> ExitCode:
    """The exit code of a run."""
    return common_code(outcome.error.exit_code for outcome in finished if outcome.error)


def common_code(failures: Iterable[ExitCode]) -> ExitCode:
    """The exit code of several failures: theirs if all are of one kind, else 1; 0 where there is none."""
    codes = set(failures)
    if not codes:
        return ExitCode.OK
    return codes.pop() if len(codes) == 1 else ExitCode.FAILED
