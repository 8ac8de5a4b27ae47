"""How tasks end: every error in a person's words, with its exit code."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from provisioning import asking, errors
from provisioning.command_line import command, whole_number
from provisioning.errors import ConfigurationError, ExitCode, ProvisioningError

PROJECT = Path(__file__).resolve().parents[2]
ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ProvisioningError)]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_its_code_and_is_shown_in_words(
    kind: type[ProvisioningError], capsys: pytest.CaptureFixture[str]
) -> None:
    @command
    def body() -> None:
        raise kind("it failed", cause="[bold]why[/]", remedy="do this")

    with pytest.raises(SystemExit) as caught:
        body()
    assert caught.value.code == kind.exit_code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "✗ it failed\n    [bold]why[/]\n  → do this\n"


def test_codes_differ() -> None:
    assert len({int(code) for code in ExitCode}) == len(ExitCode)


@pytest.mark.parametrize(("code", "ends"), [(ExitCode.OK, None), (None, None), (ExitCode.CHANGES, 2)])
def test_a_body_gives_the_code(code: ExitCode | None, ends: int | None) -> None:
    @command
    def body() -> ExitCode | None:
        return code

    if ends is None:
        body()
        return
    with pytest.raises(SystemExit) as caught:
        body()
    assert caught.value.code == ends


def invoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [Path(sys.executable).with_name("invoke"), "--search-root", PROJECT, *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("task", ["plan", "provision"])
def test_a_folder_that_was_removed(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    done = invoke(task, "--hosts", "nosuch")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "✗ the folder that this is run in was removed\n  → Go to another: cd\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["schema", "--output", "/nonexistent/x"], "--output: '/nonexistent/x' cannot be written\n    No such file"),
        (["schema", "--output", "~nobody-here/x"], "--output: '~nobody-here/x' cannot be written\n    No such file"),
        (["plan", "--inventory", "~nobody-here/x"], "there is no inventory ~nobody-here/x"),
        (["plan", "--offline", "~nobody-here/x"], "~nobody-here/x"),
        (["wheels", "--take", "~nobody-here/x"], "~nobody-here/x holds no exported wheel"),
        (["infer", "--input", "~nobody-here/x", "--output", "y"], "--input: ~nobody-here/x is not a file"),
        (["logs", "--lines", "abc"], "--lines: should be an integer of at least 1, not 'abc'"),
        (["logs", "--lines", "-5"], "--lines: should be an integer of at least 1, not '-5'"),
        (["logs", "--lines", "0"], "--lines: should be an integer of at least 1, not '0'"),
        (["logs", "--lines", "9" * 5000], "--lines: should be"),
        (["chat", "hi", "--max-tokens", "x"], "--max-tokens: should be an integer of at least 1, not 'x'"),
        (["infer", "hi", "--temperature", "hot"], "temperature: should be a valid number"),
        (
            ["build", "--device", "gpu"],
            'the command line has an error\n    command line/build/device: should be "cpu" or',
        ),
        (["infer", "hi", "--batch", "0"], "--batch: should be an integer of at least 1"),
        (["infer", "--input", "x"], "either a question, or --input with --output"),
        (["infer", "hi", "--input", "x", "--output", "y"], "either a question, or --input with --output"),
        (["plan", "--model", "/srv/a\nb"], "--model: should be an absolute path"),
        (["bench", "downlod"], 'no benchmark is called "downlod"\n  → Did you mean "download"?'),
        (["bench", "x"], "Known are compile, converge, download, serving."),
        (["plan", "--inventory", "x" * 5000], "cannot be read\n    File name too long"),
    ],
)
def test_the_value_of_an_option_is_wrong(arguments: list[str], says: str) -> None:
    done = invoke(*arguments)
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert done.stderr.startswith("✗ ")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["compile", "download", "serving"])
def test_a_benchmark_is_run_with_its_options(name: str) -> None:
    done = invoke("--dry", "bench", name, "--options", "--results 'a file'")
    assert done.returncode == 0, done.stderr
    assert f"-m benchmarks.{name}.benchmark --results 'a file'" in done.stdout


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("50", 50), ("0050", 50)])
def test_a_whole_number(text: str, number: int) -> None:
    assert whole_number("--lines", text) == number


@pytest.mark.parametrize("text", ["", " 5", "1_0", "1.5", "+5", "٣", "5\n"])
def test_no_whole_number(text: str) -> None:
    with pytest.raises(ConfigurationError):
        whole_number("--lines", text)


def test_ctrl_c_ends_with_130() -> None:
    script = "from provisioning.command_line import command\n@command\ndef body():\n    raise KeyboardInterrupt\nbody()"
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "\nInterrupted.\n"


def test_the_list_is_the_tasks() -> None:
    listed = invoke("--list").stdout
    for task in (
        "up",
        "plan",
        "provision",
        "build",
        "download",
        "serve",
        "doctor",
        "status",
        "logs",
        "remove",
        "schema",
    ):
        assert f"  {task} " in listed


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["chat"], "no inventory"),
        (["chat", "-"], "no inventory"),
        (["chat", "hello"], "no inventory"),
        (["chat", "--service", "demo", "hello", "--max-tokens", "5"], "no inventory"),
        (["chat", "--service", "demo"], "no inventory"),
        (["chat", "hello", "again"], "No idea what 'again' is!"),
        (["chat", "--nosuch"], "No idea what '--nosuch' is!"),
        (["chat", ""], "--question is empty"),
    ],
    ids=str,
)
def test_the_question_may_be_left_out(typed: list[str], said: str) -> None:
    """It is then what standard input says."""
    program = [
        Path(sys.executable).with_name("invoke"),
        "--search-root",
        PROJECT,
        *typed,
        "--inventory",
        "/nonexistent",
    ]
    done = subprocess.run(program, input="hi", capture_output=True, text=True, check=False, timeout=60)
    assert said in done.stderr
    nothing = subprocess.run(program, input=" \n", capture_output=True, text=True, check=False, timeout=60)
    assert ("there is no question" in nothing.stderr) == ("no inventory" in said and "hello" not in typed)


def test_a_terminal_that_knows_few_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    shown = invoke("infer", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "\\u2026" in shown.stdout
    snippets = invoke("curl", "--hosts", "localhost", "--inventory", str(PROJECT / "inventory.yaml"))
    assert (snippets.returncode, snippets.stderr) == (0, "")


def test_bytes_that_are_no_text_are_shown_and_asked_all_the_same() -> None:
    refused = invoke("chat", "--inventory", "\udcff.yaml", "a\udcff")
    assert refused.returncode == ExitCode.CONFIGURATION
    assert "there is no inventory \\udcff.yaml" in refused.stderr
    assert asking.question("a\udcff", "") == "a\ufffd"
    assert asking.question("天空", "") == "天空"


@pytest.mark.parametrize("redirected", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_streams_may_be_closed(redirected: str) -> None:
    words = [str(Path(sys.executable).with_name("invoke")), "--search-root", str(PROJECT), "chat", "-i", "/nonexistent"]
    done = subprocess.run(
        ["sh", "-c", f"{shlex.join(words)} {redirected}"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == ExitCode.CONFIGURATION, done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_written_is_told() -> None:
    program = [Path(sys.executable).with_name("invoke"), "--search-root", PROJECT]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*program, "schema"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr == "✗ standard output, or a file, cannot be written\n    No space left on device\n"


def test_help_is_no_question() -> None:
    assert "--max-tokens" in invoke("chat", "--help").stdout


INVENTORY = "all: {hosts: {web1: {ansible_connection: local}}}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("remove", "--yes", "--hosts", ""),
        ("remove", "--yes", "--hosts="),
        ("stop", "-h", ""),
        ("stop", "--service", ""),
        ("plan", "--inventory", ""),
        ("plan", "--hosts", " "),
        ("schema", "--output", ""),
    ],
)
def test_an_empty_option_is_not_one_left_out(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """`remove --yes --hosts "$UNSET"` must not mean every host."""
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    given = any(word.startswith(("--inventory", "schema")) for word in arguments)
    done = invoke(*arguments, *(() if given else ("--inventory", str(tmp_path / "inventory.yaml"))))
    assert done.returncode == ExitCode.CONFIGURATION, done.stdout + done.stderr
    assert "is empty" in done.stderr or "no host is left" in done.stderr


def test_options_keep_their_form() -> None:
    shown = invoke("--help", "plan").stdout
    assert "-h STRING, --hosts=STRING" in shown
    assert "--detailed-exitcode" in shown


def test_dry_writes_no_schema(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    assert "would write" in invoke("--dry", "schema", "--output", str(file)).stdout
    assert not file.exists()
    invoke("schema", "--output", str(file))
    assert file.read_text().startswith("{")


@pytest.mark.parametrize("task", ["test", "lint"])
def test_dry_says_what_checks_would_run(task: str) -> None:
    said = invoke("--dry", task).stdout
    assert "would run" in said
    assert "passed" not in said


def test_listing_tasks_imports_nothing_heavy() -> None:
    """`./run --list` answers at once, for what it does not need is not imported."""
    program = ["-X", "importtime", "-m", "invoke", "--search-root", str(PROJECT), "--list"]
    done = subprocess.run([sys.executable, *program], capture_output=True, text=True, check=True, timeout=60)
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    imported = {name.partition(".")[0] for name in modules}
    assert "provisioning" in imported
    # Invoke's own configuration brings yaml along; what of ours reads inventories is not there.
    assert not imported & {"fabric", "paramiko", "pydantic", "rich", "openai", "jinja2", "tenacity"}
    ours = {name for name in modules if name.startswith("provisioning")}
    assert ours <= {"provisioning", *(f"provisioning.{name}" for name in ("command_line", "invoke_program", "streams"))}


def test_a_broken_pipe_is_no_error() -> None:
    program = f"{Path(sys.executable).with_name('invoke')} --search-root {PROJECT} schema"
    done = subprocess.run(
        ["sh", "-c", f"{program} | head -n 1"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr
