"""The tasks: what a person can type. Each parses, loads the inventory, works on hosts, and ends with an exit code.

Heavy modules are imported where they are used, so that `invoke --list` answers at once.
"""

from __future__ import annotations

import gc
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from provisioning.command_line import COMMON, ROLLING, SHARED, WithOptionalWord, command, one_of, whole_number
from provisioning.invoke_program import grouped

# A tenth of a short run was the search for garbage among modules that are being imported.
gc.set_threshold(100_000, 20, 20)

CHANGING = {**COMMON, **ROLLING}
OFFLINE = {"offline": "A folder that `bundle` packed: everything comes from it, and no host asks a network."}
SERVICE = {"service": "Name of one service; all of the host's if left out."}
ONE_SERVICE = {"service": "Name of the service; the host's first if left out."}
MODEL = {
    "model": "Serve this instead: a name of `models`, OWNER/NAME to download, or a folder on the host.",
    "service": "With --model: whose model to replace; the host's first service if left out.",
}


@task(help={**CHANGING, **MODEL, **OFFLINE, "device": "cpu or cuda."})
@command
def up(
    ctx: Context,
    hosts: str = "",
    inventory: str = "",
    model: str = "",
    service: str = "",
    device: str = "",
    offline: str = "",
    rolling: Any = None,
) -> Any:
    """Do the whole job, from a bare host to a service that answers.

    Environment, vLLM, model, service, first token; then the model is asked a question.

    Example: invoke up --hosts 'web,!web3' --serial 1
    """
    from provisioning import recall

    options: dict[str, Any] = {"model": model, "service": service, "device": device, "offline": offline}
    return recall.converge(ctx, "up", inventory, hosts, **options, **rolling)


@task(
    help={
        **COMMON,
        **MODEL,
        **OFFLINE,
        "device": "cpu or cuda.",
        "json": "Print an object `hosts` instead of text.",
        "detailed_exitcode": "Exit with 0 for nothing to do, 1 for an error, 2 for changes.",
    }
)
@command
def plan(
    ctx: Context,
    hosts: str = "",
    inventory: str = "",
    model: str = "",
    service: str = "",
    device: str = "",
    offline: str = "",
    json: bool = False,
    detailed_exitcode: bool = False,
) -> Any:
    """Show what `up` would change, as diffs; change nothing.

    Example: invoke plan --hosts web --detailed-exitcode
    """
    from provisioning import commands

    overrides = {"model": model, "service": service, "device": device, "offline": offline}
    return commands.plan(inventory, hosts, as_json=json, detailed_exitcode=detailed_exitcode, **overrides)


@task(help={**CHANGING, **OFFLINE})
@command
def provision(
    ctx: Context,
    hosts: str = "",
    inventory: str = "",
    offline: str = "",
    rolling: Any = None,
) -> Any:
    """Install packages, compilers, Miniconda and the environment.

    With mirrors for all of them, where the inventory names some.

    Example: invoke provision --hosts gpu
    """
    from provisioning import recall

    options: dict[str, Any] = {"offline": offline}
    return recall.converge(ctx, "provision", inventory, hosts, **options, **rolling)


@task(help={**CHANGING, **OFFLINE, "device": "cpu or cuda.", "method": "auto, wheel or source."})
@command
def build(
    ctx: Context,
    hosts: str = "",
    inventory: str = "",
    device: str = "",
    method: str = "",
    offline: str = "",
    rolling: Any = None,
) -> Any:
    """Install vLLM into the environment, and prove that it works.

    From a wheel, or compiled.

    Example: invoke build --device cpu --method source
    """
    from provisioning import recall

    options: dict[str, Any] = {"device": device, "method": method, "offline": offline}
    return recall.converge(ctx, "build", inventory, hosts, **options, **rolling)


@task(
    help={
        "export": "Names of wheels, with commas between, or all.",
        "to": "With --export: the folder to write.",
        "take": "Take the wheels of an exported folder.",
        "prune": "Delete all but the newest N of each kind.",
    }
)
@command
def wheels(ctx: Context, export: str = "", to: str = "", take: str = "", prune: str = "") -> Any:
    """List the wheels that were compiled; copy or delete them.

    Example: invoke wheels --export all --to /srv/wheels
    """
    from provisioning.wheels import wheels as manage

    return manage(ctx, export=export, to=to, take=take, prune=prune)


@task(help=COMMON)
@command
def releases(ctx: Context, hosts: str = "", inventory: str = "") -> Any:
    """Show vLLM's releases, and which one each host would take.

    Example: invoke releases --hosts gpu1
    """
    from provisioning.wheels import show_releases

    return show_releases(inventory, hosts)


@task(help={**CHANGING, **MODEL, **OFFLINE, "verify": "Hash every file again, and download what is wrong."})
@command
def download(
    ctx: Context,
    hosts: str = "",
    inventory: str = "",
    model: str = "",
    service: str = "",
    verify: bool = False,
    offline: str = "",
    rolling: Any = None,
) -> Any:
    """Put the models of the services on the hosts.

    Example: invoke download --model Qwen/Qwen2.5-0.5B-Instruct
    """
    from provisioning import recall

    options: dict[str, Any] = {"model": model, "service": service, "offline": offline}
    return recall.converge(ctx, "download", inventory, hosts, verify=verify, **options, **rolling)


@task(help={**CHANGING, **MODEL, **OFFLINE})
@command
def serve(
    ctx: Context,
    hosts: str = "",
    inventory: str = "",
    model: str = "",
    service: str = "",
    offline: str = "",
    rolling: Any = None,
) -> Any:
    """Start the services; done when each has generated a token.

    They are registered with what supervises them, and start when the host does.

    Example: invoke serve --hosts lab1
    """
    from provisioning import recall

    options: dict[str, Any] = {"model": model, "service": service, "offline": offline}
    return recall.converge(ctx, "serve", inventory, hosts, **options, **rolling)


@task(
    optional=["report"],
    help={**COMMON, "report": "Write one file to attach to a bug report, without secrets; one of today if left out."},
)
@command
def doctor(ctx: Context, hosts: str = "", inventory: str = "", report: Any = None) -> Any:
    """Look for what would go wrong, before anything is changed.

    Example: invoke doctor --hosts gpu
    """
    from provisioning import commands

    return commands.doctor(inventory, hosts, "" if report is True else report)


@task(
    optional=["watch"],
    help={
        **COMMON,
        "json": "Print an object `hosts` instead of text.",
        "watch": "Go on until Ctrl-C, with a look every so many seconds (2 if left out).",
    },
)
@command
def status(ctx: Context, hosts: str = "", inventory: str = "", json: bool = False, watch: Any = None) -> Any:
    """Show how hosts and services fare, and what differs.

    Example: invoke status --watch
    """
    from provisioning import status

    every = 0 if watch is None else 2 if watch is True else whole_number("--watch", watch)
    return status.status(inventory, hosts, as_json=json, every=every)


@task(
    help={
        **COMMON,
        "to": "Folder to pack into: a new one, or one that is to be gone on with.",
        "models": "Pack models whose folder the inventory names (path), too; downloaded ones always are.",
    }
)
@command
def bundle(ctx: Context, hosts: str = "", inventory: str = "", to: str = "", models: bool = False) -> Any:
    """Pack what a host has, for hosts without network.

    They are to be of its kind, and take it by `up --offline`.

    Example: invoke bundle --hosts gpu1 --to /media/usb/bundle
    """
    from provisioning import packing

    return packing.bundle(ctx, inventory, hosts, to, models=models)


@task(help={**COMMON, **SERVICE, "follow": "Go on until Ctrl-C.", "lines": "Lines to show of each service."})
@command
def logs(
    ctx: Context, hosts: str = "", inventory: str = "", service: str = "", follow: bool = False, lines: str = "50"
) -> Any:
    """Show the services' logs.

    Example: invoke logs --hosts web --service demo --follow
    """
    from provisioning import logs

    return logs.logs(inventory, hosts, service, follow=follow, lines=whole_number("--lines", lines))


@task(help={**COMMON, **SERVICE, **ROLLING})
@command
def start(
    ctx: Context,
    hosts: str = "",
    inventory: str = "",
    service: str = "",
    rolling: Any = None,
) -> Any:
    """Start services, and wait for their first token.

    Example: invoke start --service demo
    """
    from provisioning import control

    return control.control(ctx, inventory, hosts, service, "start", **rolling)


@task(help={**COMMON, **SERVICE, **ROLLING})
@command
def stop(
    ctx: Context,
    hosts: str = "",
    inventory: str = "",
    service: str = "",
    rolling: Any = None,
) -> Any:
    """Stop services.

    Example: invoke stop --hosts web1
    """
    from provisioning import control

    return control.control(ctx, inventory, hosts, service, "stop", **rolling)


@task(help={**COMMON, **SERVICE, **ROLLING})
@command
def restart(
    ctx: Context,
    hosts: str = "",
    inventory: str = "",
    service: str = "",
    rolling: Any = None,
) -> Any:
    """Restart services, and wait for their first token.

    Example: invoke restart --serial 1
    """
    from provisioning import control

    return control.control(ctx, inventory, hosts, service, "restart", **rolling)


@task(
    klass=WithOptionalWord,
    positional=["question"],
    help={
        **COMMON,
        **ONE_SERVICE,
        "question": "What to ask; - takes it from standard input. Without one, talk at the terminal.",
        "max_tokens": "Length of the answer at most, in tokens.",
    },
)
@command
def chat(
    ctx: Context, question: str = "", hosts: str = "", inventory: str = "", service: str = "", max_tokens: str = "512"
) -> Any:
    """Ask a service, or talk to it at the terminal.

    Through the OpenAI client, and an SSH tunnel for a remote host.

    Example: invoke chat "Why is the sky blue?"
    """
    from provisioning import conversation

    return conversation.chat(inventory, hosts, service, question, whole_number("--max-tokens", max_tokens))


@task(
    klass=WithOptionalWord,
    positional=["prompt"],
    help={
        **COMMON,
        **ONE_SERVICE,
        "prompt": "What to ask; - takes it from standard input.",
        "input": 'Instead: a file (- for standard input) of lines such as {"prompt": "…"} or {"messages": […]}.',
        "output": "With --input: the file to write, a line for each that was answered.",
        "model": "Ask this instead: a name of `models`, or a folder on the host.",
        "system": "System message; the model's own if left out.",
        "max_tokens": "Length of an answer at most, in tokens; 512 if left out.",
        "temperature": "0.7 if left out; 0 takes the likeliest token each time.",
        "top_p": "0.8 if left out.",
        "repetition_penalty": "1.05 if left out.",
        "seed": "Whole number that sampling begins with, for each line anew.",
        "batch": "Lines that are asked at once, and saved together; 256 on GPUs and 16 on CPUs if left out.",
        "stop": "End what is answered on the host; what was saved is gone on with by the same command.",
    },
)
@command
def infer(
    ctx: Context,
    prompt: str = "",
    hosts: str = "",
    inventory: str = "",
    service: str = "",
    model: str = "",
    input: str = "",
    output: str = "",
    system: str = "",
    max_tokens: str = "",
    top_p: str = "",
    temperature: str = "",
    repetition_penalty: str = "",
    seed: str = "",
    batch: str = "",
    stop: bool = False,
) -> Any:
    """Answer a question, or each line of a file, without a server.

    With vLLM's own LLM on a host.

    Example: invoke infer --hosts lab1 --input asked.jsonl --output answered.jsonl
    """
    from provisioning.inference import command as inference

    given = {"temperature": temperature, "top_p": top_p, "repetition_penalty": repetition_penalty}
    sampling: dict[str, Any] = {**given, "max_tokens": max_tokens, "seed": seed}
    files = {"input": input, "output": output, "batch": whole_number("--batch", batch) if batch else 0}
    asked: dict[str, Any] = {"prompt": prompt, "service": service, "model": model, "system": system, **files}
    return inference.infer(ctx, inventory, hosts, stop=stop, **asked, **sampling)


@task(
    help={
        **COMMON,
        **ONE_SERVICE,
        "language": "curl, python, or all: Python in a shell, too.",
        "run": "Run them here, one after another.",
    }
)
@command
def curl(
    ctx: Context, hosts: str = "", inventory: str = "", service: str = "", language: str = "all", run: bool = False
) -> Any:
    """Print snippets that ask a service: for curl and for Python.

    Streamed, and not.

    Example: invoke curl --hosts lab1 --language curl
    """
    from provisioning import pasting

    return pasting.curl(inventory, hosts, service, language, run=run)


@task(
    help={
        **COMMON,
        "service": "Name of one service; all if left out.",
        "port": "Port of the page.",
        "listen": "Address of the page; beyond 127.0.0.1 it wants --user.",
        "user": "Who may log in; the password is asked for, or taken from PROVISION_WEBUI_PASSWORD.",
        "share": "Make a public link, through Gradio's servers; wants --user.",
        "language": "en or zh; the browser's if left out.",
    },
)
@command
def webui(
    ctx: Context,
    hosts: str = "",
    inventory: str = "",
    service: str = "",
    port: str = "7860",
    listen: str = "127.0.0.1",
    user: str = "",
    share: bool = False,
    language: str = "",
) -> Any:
    """Chat with the services in a browser, until Ctrl-C.

    Through SSH tunnels where they are remote.

    Example: invoke webui --service demo --port 7861
    """
    from provisioning import webui as page

    options = page.Options(
        listen, whole_number("--port", port), share, one_of("--language", language, "en", "zh"), user
    )
    return page.webui(ctx, inventory, hosts, service, options)


@task(help={**COMMON, "yes": "Do not ask.", "keep_models": "Leave the models' folders."})
@command
def remove(ctx: Context, hosts: str = "", inventory: str = "", yes: bool = False, keep_models: bool = False) -> Any:
    """Show what this project made, ask, and remove just that.

    Example: invoke remove --hosts web1 --keep-models
    """
    from provisioning import removal

    return removal.remove(ctx, inventory, hosts, yes=yes, keep_models=keep_models)


@task(
    optional=["from_ssh_config"],
    help={
        **SHARED,
        "output": "File to write; inventory.yaml of this folder, or inventory.local.yaml beside the project's own.",
        "hosts": "Hosts with commas between, such as user@10.0.0.5:2222; localhost is this machine.",
        "device": "cpu, cuda, or auto: what each host has.",
        "model": "demo, OWNER/NAME to download, or a folder on the hosts.",
        "mirrors": "tsinghua, none, or auto: tsinghua where the host's own package index is slow.",
        "from_ssh_config": "Take the hosts of ~/.ssh/config, or those that match a pattern.",
        "from_ansible": "Take the hosts of an Ansible inventory, YAML or INI.",
        "yes": "Do not ask: take the defaults.",
    },
)
@command
def init(
    ctx: Context,
    output: str = "",
    hosts: str = "",
    device: str = "",
    model: str = "",
    mirrors: str = "",
    from_ssh_config: str = "",
    from_ansible: str = "",
    yes: bool = False,
) -> Any:
    """Ask, look at the hosts, and write a commented inventory.

    Never over another one.

    Example: invoke init --hosts root@192.0.2.10,localhost
    """
    from provisioning.init import command as initial

    sources = {"ssh_config": from_ssh_config, "ansible": from_ansible}
    return initial.init(ctx, output, hosts=hosts, device=device, model=model, mirrors=mirrors, yes=yes, **sources)


@task(help={"output": "File to write instead of standard output."})
@command
def schema(ctx: Context, output: str = "") -> Any:
    """Print the JSON Schema of the inventory, for editors.

    Example: invoke schema --output inventory.schema.json
    """
    from provisioning.schema import write

    return write(ctx, output)


@task(
    help={
        "full": "Run the long tests too.",
        "select": "Run only tests that match this expression (pytest -k).",
        "path": "Run only the tests of this file or folder.",
    }
)
@command
def test(ctx: Context, full: bool = False, select: str = "", path: str = "") -> Any:
    """Run the tests.

    As root they boot real Debian hosts; otherwise those are skipped, with the reason.

    Example: invoke test --path tests/unit
    """
    from provisioning import development

    return development.test(ctx, full=full, select=select, path=path)


@task(
    positional=["name"],
    help={
        "name": "A folder of benchmarks: compile, converge, download or serving.",
        "options": "Options of that benchmark, in quotes; --options --help lists them.",
    },
)
@command
def bench(ctx: Context, name: str, options: str = "") -> Any:
    """Run a benchmark: its README says what it wants.

    Some want root, and an otherwise idle machine.

    Example: invoke bench download --options --help
    """
    from provisioning import development

    return development.bench(ctx, name, options)


@task
@command
def lint(ctx: Context) -> Any:
    """Check style, types, shell and packages.

    With ruff, mypy, shellcheck and pip-audit.

    Example: invoke lint
    """
    from provisioning import development

    return development.lint(ctx)


namespace = grouped(
    {
        "Take hosts there": (up, plan, provision, build, download, serve, remove),
        "Look": (doctor, status, logs, releases),
        "Talk": (chat, infer, webui, curl),
        "Services": (start, stop, restart),
        "Prepare": (init, schema, bundle, wheels),
        "Develop": (test, bench, lint),
    }
)
