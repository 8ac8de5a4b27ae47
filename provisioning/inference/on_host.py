"""Inference on a host: what has to be there, and the job that answers, told what the service's server is told."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning import converge, job, made, probe, readiness, server_environment
from provisioning.accounts import as_account
from provisioning.errors import JobError, ProvisioningError
from provisioning.figures import size
from provisioning.host import Host, quote
from provisioning.inference.cache import Cache
from provisioning.inference.progress import Answering
from provisioning.resources import Program
from provisioning.resources.base import Tell
from provisioning.serve_settings import ResolvedService
from provisioning.site import LIBRARY, Site

PROGRAM = Program(
    "infers", (*(f"infer{part}.py" for part in ("", "_engine", "_lines", "_results", "_run")), "serve_config.py")
)
LINES = "input.jsonl"
"""The lines of a run, in its folder."""
RESULT = "result "
"""How the line begins that holds the answer to a single question."""
GIB = 1 << 30
NEEDED = {"vllm": "invoke build", "model": "invoke download"}
"""What brings what is not there."""

# The weights, however they are kept, in bytes.
_WEIGHTS = "find -L {path} -maxdepth 1 -name '*.safetensors' -o -name '*.bin' | xargs -r -d '\\n' stat -Lc %s"


@dataclass(frozen=True)
class Inference:
    """A service's model on a host, to be asked without its server."""

    site: Site
    service: ResolvedService

    @property
    def cache(self) -> str:
        """The folder that the service itself has for what it caches; ours are in it."""
        return f"/var/cache/vllm/{self.service.name}"

    def folder(self, key: str) -> str:
        """Where the lines of a run and their results are."""
        return f"{self.cache}/infer/{key}"

    def job(self, task: Mapping[str, Any]) -> job.Job:
        """The job that answers. What is asked shows in no process list, and in no log."""
        site = self.site
        variables = {**self._variables(), **self._folders()}
        exports = "\n".join(f"export {name}={quote(value)}" for name, value in variables.items())
        told = f"exec /usr/bin/python3 -I {LIBRARY}/infer.py <<'END'\n{json.dumps(task)}\nEND"
        command = f"umask 077; cd {quote(self.cache)} || exit\n{exports}\n{told}"
        script = as_account(site.account, site.home, command)
        return job.Job(job_name(self.service.name, single="prompt" in task), script, interruptible=False)

    def _variables(self) -> dict[str, str]:
        index = list(self.site.settings.services).index(self.service.name)
        told = server_environment.environment(self.site, self.service, index)
        return {name: value for name, value in told.items() if name != "VLLM_API_KEY_FILE"}

    def _folders(self) -> dict[str, str]:
        """As the service's unit has them, so that what was compiled for it need not be compiled again."""
        cache, own = self.cache, self.service.environment
        folders = {
            **{"HOME": cache, "XDG_CACHE_HOME": cache, "XDG_CONFIG_HOME": f"{cache}/config"},
            **{"VLLM_CACHE_ROOT": f"{cache}/vllm", "VLLM_CONFIG_ROOT": f"{cache}/config/vllm"},
            **{"HF_HOME": f"{cache}/huggingface", "TORCHINDUCTOR_CACHE_DIR": f"{cache}/inductor"},
            **{"TRITON_CACHE_DIR": f"{cache}/triton", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"},
            **{"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        }
        return {name: value for name, value in folders.items() if name not in own}

    def prepare(self, host: Host, tell: Tell) -> None:
        """Bring the program, and the service's cache; both are recorded, for `remove`."""
        wanted = (PROGRAM, Cache(self.cache, self.site.account, self.site.group, "700"))
        for resource, answer in zip(wanted, probe.ask(host, [each.probe() for each in wanted]), strict=True):
            actual = answer.require(host.name, resource.name)
            if resource.diff(actual):
                made.write(host, [(resource, actual)])
                resource.apply(host, actual, tell)

    def make_folder(self, host: Host, key: str) -> bool:
        """Make the folder of a run; give whether its lines are there already, from one that was cut off."""
        folder = quote(self.folder(key))
        command = f"umask 077; mkdir -p {folder} && {{ [ ! -f {folder}/{LINES} ] || echo there; }}"
        return host.run(self._as_account(command)).stdout.strip() == "there"

    def clear(self, host: Host, key: str) -> None:
        """Forget a run."""
        host.run(self._as_account(f"rm -rf {quote(self.folder(key))}"))

    def fetch(self, host: Host, key: str, take: Any) -> None:
        """Give a run's results to `take` in pieces. Read as the account: through no link to what is not its own."""
        host.run(self._as_account(f"exec cat {quote(self.folder(key))}/results.jsonl"), on_output=take)

    def _as_account(self, command: str) -> str:
        return as_account(self.site.account, self.site.home, command)

    def require(self, host: Host, model: str) -> None:
        """Raise `ProvisioningError` where vLLM or the model are not there, or there is no room beside the server.

        `model` is what was given as --model.
        """
        wanted = {f"vllm {self.site.environment}", f"model {self.service.model}"}
        for looked in converge.look(host, self.site, list(NEEDED)):
            if looked.resource.name in wanted and looked.difference:
                raise ProvisioningError(
                    f"{host.name}: {looked.resource.name} is not as the inventory has it",
                    cause=looked.difference.text,
                    remedy=self._remedy(looked.step, model),
                )
        path = quote(self.site.model_path(self.service.model))
        asks = [readiness.phase(self.service.name), _WEIGHTS.format(path=path)]
        phase, weights = (answer.output for answer in probe.ask(host, asks))
        self._require_room(
            serves=any(f"phase={each}" in phase for each in readiness.SERVING),
            weights=sum(map(int, re.findall(r"^\d+$", weights, re.MULTILINE))),
        )

    def _remedy(self, step: str, model: str) -> str:
        if step == "model" and self.site.settings.models[self.service.model].method == "path":
            return "Put the model there, or name the folder on the host that it is in."
        if step == "model" and model:
            return f"Run `{NEEDED[step]} --model {quote(model)}` for this host."
        return f"Run `{NEEDED[step]}` for this host; `invoke up` does the whole job."

    def _require_room(self, *, serves: bool, weights: int) -> None:
        stop = f"invoke stop --service {self.service.name}"
        if self.site.settings.build.device == "cuda":
            if serves:
                raise ProvisioningError(
                    f"{self.site.name}: the service {self.service.name} has its GPUs' memory",
                    remedy=f"Ask it (`invoke chat`), or end it meanwhile: {stop}",
                )
            return
        cache = int(self._variables().get("VLLM_CPU_KVCACHE_SPACE") or 0) * GIB
        free = self.site.facts.memory_available
        if weights + cache > free:
            raise ProvisioningError(
                f"{self.site.name}: there is not enough memory for {self.service.model}",
                cause=f"{size(free)} are free; the weights take {size(weights)}, and the KV cache {size(cache)}.",
                remedy=(
                    f"The service {self.service.name} runs: end it meanwhile ({stop}). Or lower" * serves or "Lower"
                )
                + " kv_cache_gib, or take a smaller model.",
            )

    def run(self, host: Host, task: Mapping[str, Any], tell: Tell) -> str:
        """Answer, or join who does; give the log. Raises `JobError` with the likely cause."""
        try:
            return job.run(host, self.job(task), Answering(tell))
        except JobError as error:
            killed = "signal 9" if error.status == "137" else ""
            cause, remedy = readiness.likely_cause(f"{error.cause}\n{killed}")
            why = f"likely cause: {cause}\n" if cause else ""
            raise JobError(
                error.message, status=error.status, cause=why + error.cause, remedy=f"{remedy}\n{error.remedy}"
            ) from error


def job_name(service: str, *, single: bool) -> str:
    """A single question does not wait for a file's thousands."""
    return f"infer-{service}{'-prompt' if single else ''}"
