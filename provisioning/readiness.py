"""Following a service from its start to its first token: the phase from its log, and the likely cause if it fails."""

from __future__ import annotations

import re
import secrets

from provisioning.errors import NotReadyError
from provisioning.host import Host, quote
from provisioning.resources.base import Tell

SERVING = ("ready", "busy")
"""Phases of serve.py in which requests are answered."""

# What vLLM's log says while it starts, and what that means to a person.
PHASES = (
    (r"Starting to load model|Loading weights|Loading safetensors", "loading weights"),
    (
        r"Dynamo bytecode|Compiling a graph|torch\.compile|Warming up model for the compilation",
        "compiling (cached for the next start)",
    ),
    (r"KV cache size|# (CPU|GPU) blocks|init engine", "preparing the KV cache"),
    (r"Started server process|Application startup complete", "waiting for the first token"),
)

CAUSES = (
    (r"No space left on device", "the disk is full", "Make room, then run the same command again."),
    (
        r"cannot listen on|Address already in use",
        "the port is taken by another program",
        "Choose another `port`, or stop that program (ss -ltnp shows it).",
    ),
    (
        r"[Oo]ut ?of ?[Mm]emory|Cannot allocate memory|MemoryError|SIGKILL|signal 9|oom-kill|OOM killer",
        "out of memory",
        "Lower kv_cache_gib or max_model_len, or serve a smaller model.",
    ),
    (
        r"Illegal instruction|SIGILL|signal 4",
        "this wheel uses instructions that the CPU lacks",
        "See `invoke doctor` for its instruction sets; choose another release or wheel (build.vllm, build.wheel).",
    ),
    (
        r"InvalidCxxCompiler|No working C\+\+ compiler",
        "no C++ compiler for what torch compiles at start-up",
        "Run `invoke provision`; or set `eager: true`.",
    ),
    (
        r"cannot open shared object file",
        "a shared library is missing",
        "The log names it; add its Debian package to apt.packages.",
    ),
    (r"Python\.h: No such file", "Python's headers are missing", "Run `invoke provision`, which installs python3-dev."),
    (
        r"max seq len .*larger than the available|User-specified max_model_len|decreasing `max_model_len`",
        "the context is longer than the model or the KV cache allows",
        "Lower max_model_len, or raise kv_cache_gib.",
    ),
    (
        r"Failed to infer device type",
        "vLLM finds no device it was built for",
        "Run `invoke build` with the right --device.",
    ),
    (r"unrecognized arguments|error: argument", "vLLM does not know an argument", "Check `arguments` of the service."),
    (
        r"Can't load the configuration|does not recognize this architecture|Model architectures .* are not supported",
        "this vLLM cannot serve that model",
        "Check the model's folder, or choose another release (build.vllm).",
    ),
    (
        r"SafetensorError|Error while deserializing header|PytorchStreamReader|unexpected EOF",
        "the weights are incomplete or damaged",
        "Get the model's files again; compare their sizes and hashes with those of their source.",
    ),
    (
        r"Failed at step \w+ spawning|status=2\d\d/[A-Z]+|Failed to load environment files",
        "the supervisor cannot start the program as its unit says",
        "The log says which setting it is: see `systemctl cat vllm@NAME`, drop-ins included.",
    ),
    (r"Permission denied", "the account that serves may not read or write something", "The log names it."),
)

_FOLLOW = """
state=/run/vllm/{name}/state.json
since=@$(date +%s.%6N)
({log}) & logger=$!
trap 'kill $logger 2>/dev/null' EXIT
sleep 0.2
({stop}) >/dev/null 2>&1
rm -f "$state"
{start}
quiet=0
while :; do
    phase=$(sed -n 's/.*"phase": "\\([a-z]*\\)".*/\\1/p' "$state" 2>/dev/null)
    failed=$(sed -n 's/.*"restarts": \\([0-9]*\\).*/\\1/p' "$state" 2>/dev/null)
    case $phase in
        ready|busy) answer=ready; break ;;
        hung|stopped|waiting|failed) answer=$phase; break ;;
    esac
    [ "${{failed:-0}}" = 0 ] || {{ answer=failed; break; }}
    # Without a word from serve.py, only its supervisor knows that it could not even be started.
    if [ -z "$phase" ] && [ $quiet -eq 20 ] && ( {lost} ); then answer=failed; break; fi
    kill -0 $logger 2>/dev/null || {{ ({log}) & logger=$!; }}
    quiet=$(((quiet + 1) % 25)); [ $quiet -ne 0 ] || printf '\\000'
    sleep 0.2
done
# What it said last, and why it failed, may still be on its way into the journal.
[ "$answer" = ready ] || [ ! -d /run/systemd/system ] || timeout 10 journalctl --sync 2>/dev/null
sleep 0.5
message=$(sed -n 's/.*"message": "\\(.*\\)", "fingerprint".*/\\1/p' "$state" 2>/dev/null)
printf '\\001{tag} %s %s\\n' "$answer" "$message"
"""


def phase(service: str) -> str:
    """Shell that prints the phase that serve.py last wrote."""
    state = quote(f"/run/vllm/{service}/state.json")
    return (
        # The account that serves owns the folder: it may be a FIFO, which would never end.
        f"state=; ! [ -f {state} ] || IFS= read -r state <{state} || :; "
        """case $state in *'"phase": "'*) state=${state#*\'"phase": "\'}; echo "phase=${state%%\'"\'*}" ;; esac"""
    )


def restart(host: Host, service: str, *, stop: str, start: str, lost: str, log: str, tell: Tell) -> None:
    """Stop and start a service (shell for both, for its log since `$since`, and for whether starting failed), until
    it is ready.

    Raises `NotReadyError` at its first failure, with its last lines and the likely cause.
    """
    tag = f"service-{secrets.token_hex(12)}"
    received = bytearray()

    told = 0

    def on_output(chunk: bytes) -> None:
        nonlocal told
        received.extend(chunk.replace(b"\0", b""))
        *lines, rest = received[told:].split(b"\n")
        told = len(received) - len(rest)
        for line in (each.decode(errors="replace") for each in lines):
            if line and not line.startswith("\x01"):
                tell(f"{service}: {what} …" if (what := meaning(line)) else f"{service}: {line}")

    script = _FOLLOW.format(name=quote(service), log=log, stop=stop, start=start, lost=lost, tag=tag)
    with host.echo.instead(f"{stop}\n{start}"):
        host.run(script, timeout=60, on_output=on_output)
    text, _, answer = received.decode(errors="replace").partition(f"\x01{tag} ")
    if not answer.startswith("ready"):
        raise _failure(host, service, text, answer.strip())


def meaning(line: str) -> str:
    """What a line of vLLM's log means to somebody who waits; "" for most lines."""
    return next((what for pattern, what in PHASES if re.search(pattern, line)), "")


def likely_cause(log: str) -> tuple[str, str]:
    """Give the likely cause of a failed start and what to do, from the log's end."""
    for pattern, cause, remedy in CAUSES:
        if re.search(pattern, log):
            return cause, remedy
    return "", ""


def _failure(host: Host, service: str, log: str, answer: str) -> NotReadyError:
    message = answer.partition(" ")[2]
    if message not in log:  # that line may still be on its way through the supervisor's log
        log = f"{log.rstrip()}\nserve: {message}"
    cause, remedy = likely_cause(log[-200000:])
    lines = "\n".join(log.rstrip().splitlines()[-20:])
    why = f"likely cause: {cause}" if cause else f"it says: {message or answer}"
    return NotReadyError(
        f"{host.name}: the service {service} did not become ready",
        cause=f"{why}\n{lines}",
        remedy=remedy or "When that is mended, run the same command again.",
        log=f"invoke logs --hosts {host.name} --service {service} --lines 500",
    )
