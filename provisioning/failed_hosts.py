"""The hosts that a task left undone, remembered on the controller for `--retry-failed`: for each inventory and task."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from provisioning.data_folder import data_folder
from provisioning.errors import ConfigurationError, ProvisioningError
from provisioning.inventory import LOCALHOST, HostEntry, Inventory
from provisioning.inventory_file import inventory_file
from provisioning.outcome import DONE, Outcome, some
from provisioning.report import Report
from provisioning.whole_file import write_whole


class FailedHosts:
    """What is remembered of one task with one inventory: hosts that failed, were unreachable, or were skipped."""

    def __init__(self, path: str, task: str, **options: str | bool) -> None:
        """`path` names the inventory as a person did, or not at all; `options` are what else the task was told."""
        self.inventory = inventory_file(path).resolve()
        self.task = task
        told = {"inventory": path, **options}
        words = [(f"--{name.replace('_', '-')}", value) for name, value in told.items() if value]
        self._command = shlex.join(
            ("invoke", task, "--retry-failed", *(word for pair in words for word in pair if word is not True))
        )
        name = hashlib.sha256(str(self.inventory).encode(errors="surrogateescape")).hexdigest()[:16]
        self._file = data_folder("failed-hosts") / f"{name}.json"
        self._gone: set[str] = set()

    def statuses(self) -> dict[str, str]:
        """How each of them ended."""
        return self._read().get(self.task, {})

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            found = json.loads(self._file.read_text("utf-8", "surrogateescape"))["tasks"]
            return {task: dict(hosts) for task, hosts in found.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # there is none, or it is of a version to come

    def choose(self, known: Inventory, pattern: str) -> list[HostEntry]:
        """Those of the chosen hosts that are remembered. Raises `ConfigurationError` where there is none."""
        statuses = self.statuses()
        self._gone = {name for name in statuses if name not in known.hosts and name not in LOCALHOST}
        for name in sorted(self._gone):
            self._tell(f"{name} ({statuses[name]}) is no longer in the inventory, and is left out")
        left = [name for name in statuses if name not in self._gone]
        named = {entry.name for entry in known.select(pattern)} if pattern else set(left)
        chosen = [entry for entry in known.select(",".join(left)) if entry.name in named] if left else []
        if not chosen:
            raise self._nothing(left)
        self._tell("again: " + ", ".join(f"{entry.name} ({statuses[entry.name]})" for entry in chosen))
        return chosen

    def _tell(self, text: str) -> None:
        Report().line("--retry-failed", text)

    def _nothing(self, left: Sequence[str]) -> ConfigurationError:
        others = [f"{task}: {', '.join(hosts)}" for task, hosts in self._read().items() if task != self.task]
        cause = f"Those that did are: {', '.join(left)}." if left else ""
        cause = cause or ("Of other tasks: " + "; ".join(others) if others else "")
        of = " of --hosts" if left else ""
        return ConfigurationError(
            f"no host{of} is left from a run of `{self.task}` that failed",
            cause=cause,
            remedy="Leave --retry-failed out: hosts that are as they should be cost nothing.",
        )

    def conclude(self, outcomes: Sequence[Outcome], report: Report) -> None:
        """Remember how it went, and say how to go on with those that are left."""
        undone = [f"{each.host} ({each.status})" for each in outcomes if each.status not in DONE]
        try:
            self.note(outcomes)
        except ProvisioningError as error:
            report.error(error)
            return
        if undone and len(outcomes) > 1:
            report.hint(f"left to do: {some(undone)}; when that is mended, for these alone: {self._command}")

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Remember those that did not go well, and forget those that did.

        Raises `ProvisioningError` where that cannot be written.
        """
        ended = {outcome.host: outcome.status for outcome in outcomes}
        undone = {host: status for host, status in ended.items() if status not in DONE}
        try:
            with self._alone():
                tasks = self._read()
                before = tasks.pop(self.task, {})
                kept = {host: how for host, how in before.items() if host not in ended and host not in self._gone}
                if kept or undone:
                    tasks[self.task] = {**kept, **undone}
                self._write(tasks)
        except OSError as error:
            words = "the hosts that failed cannot be remembered for --retry-failed"
            raise ProvisioningError(words, cause=f"{self._file}: {error.strerror or error}") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other runs of this machine from writing meanwhile."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._file.parent / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, tasks: Mapping[str, Mapping[str, str]]) -> None:
        if not tasks:
            self._file.unlink(missing_ok=True)
            return
        content = {"inventory": str(self.inventory), "tasks": tasks}
        # The path of an inventory need not be UTF-8.
        write_whole(self._file, json.dumps(content, ensure_ascii=False, indent=2) + "\n", errors="surrogateescape")
