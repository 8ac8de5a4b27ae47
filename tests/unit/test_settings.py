from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from provisioning.env_file import SHELLS_OWN
from provisioning.settings import Health, HostSettings, Model, Serve, Service
from provisioning.spelling import did_you_mean, is_foreign, misspelt
from provisioning.validation import check, conflicts

SHIPPED = Path(__file__).parents[2] / "inventory.yaml"
DEMO: dict[str, Any] = {"models": {"demo": {"method": "demo"}}}


def told(settings: dict[str, Any]) -> list[str]:
    return ["/".join(path) + ": " + words for path, words in (*check(settings), *conflicts(settings))]


def test_everything_has_a_default() -> None:
    settings = HostSettings()
    assert settings.environment.python == "3.10"
    assert settings.serve.port == 8000
    assert settings.resolved_services() == {}


def test_nothing_changes_after_loading() -> None:
    with pytest.raises(ValidationError):
        HostSettings().account = "other"


def test_a_service_takes_from_serve_what_it_does_not_give() -> None:
    serve = {"dtype": "half", "port": 9000, "health": {"interval": 3, "busy_timeout": 60}, "arguments": ["--a"]}
    service = {"model": "demo", "port": 8000, "health": {"interval": 5}}
    settings = HostSettings.model_validate({**DEMO, "serve": serve, "services": {"one": service}})
    resolved = settings.resolved_services()["one"]
    assert (resolved.name, resolved.model, resolved.dtype, resolved.arguments) == ("one", "demo", "half", ("--a",))
    assert resolved.port == 8000, "what a service gives wins, also where it is the default"
    assert resolved.health == Health(interval=5, busy_timeout=60)


def test_an_integer_is_good_where_a_number_is_wanted() -> None:
    assert HostSettings.model_validate({"serve": {"kv_cache_gib": 4}}).serve.kv_cache_gib == 4.0


@pytest.mark.parametrize("key", [{"env": "KEY"}, {"file": "~/.key"}, "none", "generate"])
def test_api_keys(key: Any) -> None:
    HostSettings.model_validate({"serve": {"api_key": key}})


def test_text_of_several_lines_is_for_arguments_and_variables_alone() -> None:
    HostSettings.model_validate({"serve": {"arguments": ["a\nb"], "environment": {"A": "b\n\tc"}}})
    for broken in (
        {"become_password_file": "a\nb"},
        {"models": {"m": {"path": "/a\nb"}}},
        {"pip": {"find_links": ["\0"]}},
    ):
        assert check(broken)


AUTO = 'models/m: "endpoint" goes with one method; for auto, name servers in hubs'
RATE = 'bytes a second such as "500K", "5M" or "1.5G"'
PORT = "should be an integer between 1 and 65535, not "


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"serve": {"port": "8000"}}, f'serve/port: {PORT}"8000"'),
        ({"serve": {"port": True}}, f"serve/port: {PORT}true"),
        ({"serve": {"port": 80.0}}, f"serve/port: {PORT}80.0"),
        ({"serve": {"port": 0}}, f"serve/port: {PORT}0"),
        ({"serve": {"port": 65536}}, f"serve/port: {PORT}65536"),
        ({"serve": {"port": None}}, f"serve/port: {PORT}null"),
        ({"serve": {"eager": "yes"}}, 'serve/eager: should be true or false, not "yes"'),
        ({"serve": {"kv_cache_gib": 0}}, 'serve/kv_cache_gib: should be a number above 0 or "auto", not 0'),
        (
            {"serve": {"health": {"interval": 0}}},
            "serve/health/interval: should be an integer between 1 and 1000000, not 0",
        ),
        ({"serve": {"health": {"intervall": 3}}}, 'serve/health/intervall: unknown key; did you mean "interval"?'),
        ({"serve": None}, "serve: should be a mapping, not null"),
        ({"build": {"device": "gpu"}}, 'build/device: should be "cpu" or "cuda", not "gpu"'),
        (
            {"apt": {"packages": "git"}},
            'apt/packages: should be a list (each item the name of a Debian package), not "git"',
        ),
        ({"apt": {"packages": ["git", "-y"]}}, 'apt/packages/1: should be the name of a Debian package, not "-y"'),
        ({"apt": {"mirror": "ftp://x"}}, 'apt/mirror: should be "none", "tuna" or an http(s) URL, not "ftp://x"'),
        (
            {"serve": {"api_key": {"env": "A", "file": "b"}}},
            'serve/api_key: should be "none", "generate", {env: …} or {file: …}, not this mapping',
        ),
        (
            {"conda": {"condarc": 3}},
            'conda/condarc: should be "tuna", "tuna-2024", "none" or a mapping, not 3',
        ),
        (
            {"serve": {"environment": {"A B": "x"}}},
            "serve/environment/A B: the key should be the name of an environment variable",
        ),
        (
            {"serve": {"environment": {"UID": "1"}}},
            "serve/environment/UID: the key should be the name of an environment variable that is not the shell's own "
            f"({', '.join(sorted(SHELLS_OWN))})",
        ),
        (
            {"services": {"a/b": {"model": "demo"}}, **DEMO},
            "services/a/b: the key should be a name of letters, digits, '.', '_' and '-'",
        ),
        ({"services": {"a": {}}, **DEMO}, "services/a/model: is missing: name of a model in models"),
        ({"services": {"a": None}, **DEMO}, "services/a: should be {model: …}, not null"),
        (
            {"models": {"m": {}}},
            'models/m: needs "id: OWNER/NAME" for method git, or "path: FOLDER", or "method: demo"',
        ),
        ({"models": {"m": {"method": "path"}}}, 'models/m: needs "path: FOLDER" or "method: demo"'),
        ({"models": {"m": {"method": "url"}}}, 'models/m: needs "files" for method url'),
        ({"models": {"m": {"method": "auto", "id": "a/b", "endpoint": "https://h"}}}, AUTO),
        *(
            (
                {"build": {"cxx": path}},
                f'build/cxx: should be the path of a g++, absolute or from ~/ or null, not "{path}"',
            )
            for path in ("/usr/bin/clang++", "/usr/bin/c++", "g++-12", "/opt/g++/")
        ),
        (
            {"build": {"cmake_args": '-DA="x y"'}},
            "build/cmake_args: should be arguments for cmake without quotes: vLLM's build parts them at each space or "
            'null, not "-DA=\\"x y\\""',
        ),
        (
            {"models": {"m": {"id": "a/b", "limit_rate": "5"}}},
            f'models/m/limit_rate: should be {RATE} or null, not "5"',
        ),
        (
            {"models": {"m": {"id": "a/b", "token": "hf_x"}}},
            'models/m/token: should be "none", {env: …} or {file: …}, not text',
        ),
        (
            {"models": {"m": {"id": "../x"}}},
            'models/m/id: should be OWNER/NAME, as in the address of the model\'s page or null, not "../x"',
        ),
        (
            {"models": {"m": {"method": "url", "files": [{"url": "https://h/a", "sha256": "1"}]}}},
            'models/m/files/0/sha256: should be a SHA-256: 64 hexadecimal digits, not "1"',
        ),
        (
            {"models": {"m": {"method": "url", "files": [{"url": "https://h/a", "sha256": "0" * 64, "path": "../a"}]}}},
            'models/m/files/0/path: should be a path within the model\'s folder or null, not "../a"',
        ),
        (
            {"models": {"m": {"path": "m"}}},
            'models/m/path: should be an absolute path, or one that begins with ~/ or null, not "m"',
        ),
        (
            {"services": {"a": {"model": "deom"}}, **DEMO},
            'services/a/model: the model "deom" is not defined; did you mean "demo"?',
        ),
        ({"services": {"a": {"model": "x"}}}, 'services/a/model: the model "x" is not defined; models is empty'),
        (
            {"services": {"a": {"model": "demo"}, "b": {"model": "demo", "port": 8000}}, **DEMO},
            'services/b/port: port 8000 is already that of the service "a"',
        ),
        (
            {"environment": {"python": "{{ version }}"}},
            "environment/python: holds a template ({{ … }}), and templates are not evaluated; "
            "write the value, or tag it !unsafe",
        ),
    ],
)
def test_errors_are_told_in_words(settings: dict[str, Any], expected: str) -> None:
    assert told(settings) == [expected]
    with pytest.raises(ValidationError):
        HostSettings.model_validate(settings)


def test_quotes_are_advised_where_they_help() -> None:
    wrong = {"models": {"m": {"id": "a/b", "limit_rate": 0}}, "build": {"jobs": 0, "vllm": 0.31}}
    found = check(wrong, lambda path: "0.31" if path[-1] == "vllm" else "0")
    assert dict(found) == {
        ("models", "m", "limit_rate"): f"should be {RATE} or null, not 0",
        ("build", "jobs"): 'should be an integer of at least 1 or "auto", not 0',
        ("build", "vllm"): 'should be "auto", or a version such as "0.31.0"; 0.31 without quotes is a number: '
        'write "0.31"',
    }


@pytest.mark.parametrize("name", sorted(SHELLS_OWN))
def test_a_service_is_not_given_the_shells_own_variables(name: str) -> None:
    service = {"model": "demo", "environment": {name: "1"}}
    (line,) = told({**DEMO, "services": {"one": service}})
    assert line.startswith(f"services/one/environment/{name}: the key should be")
    assert told({**DEMO, "services": {"one": {**service, "environment": {f"{name}X": "1"}}}}) == []


def test_all_errors_at_once() -> None:
    services = {"a": {"model": "nope", "port": 0}, "b": {"model": "demo"}, "c": {"model": "demo"}}
    assert [line.split(":")[0] for line in told({**DEMO, "services": services, "pip": {"index": 3}})] == [
        "pip/index",
        "services/a/port",
        "services/a/model",
        "services/c/port",
    ]


@pytest.mark.parametrize(
    "told", [{"pip": {"find_links": ["/a b"]}}, {"pip": {"find_links": ["/a,b"]}}, {"serve": {"listen": "-h"}}]
)
def test_what_programs_would_take_for_something_else(told: dict[str, Any]) -> None:
    assert "should be" in str(check(told))


@pytest.mark.parametrize("name", ["VLLM_API_KEY", "VLLM_URL", "VLLM_ARGUMENTS", "HEALTH_INTERVAL", "NOTIFY_SOCKET"])
def test_variables_of_the_program_that_keeps_a_server(name: str) -> None:
    (said,) = check({"serve": {"environment": {"VLLM_LOGGING_LEVEL": "DEBUG", name: "x"}}})
    assert said[0] == ("serve", "environment")
    assert f"cannot hold {name}: use " in said[1]


def test_a_secret_is_not_repeated() -> None:
    assert "hunter2" not in "".join(told({"pip": {"index": "ftp://me:hunter2@host"}}))
    assert "7777" not in "".join(told({"serve": {"environment": {"TOKEN": 7777}}}))


FOREIGN = """user http_port ntp_server ntp_servers env environment_name hosts host domain model module modules service
server servers service_name services_enabled builder builds build_dir account_id accounts app app_user package packages
pip_packages apt_packages apt_cache_valid_time users group groups role ip port timezone proxy db_host python_version
cluster region interfaces backup_dir log_level version compilers gcc_version conda_env mode modes nodes node devices
device disks memory gpus labels server_name repo repos endpoint token password sites count series zip health ansible_xyz
preserve reserve observers identity threads serial connection tags listen listeners deploy_env connection_timeout guild
compiled compile compiles at vip api opt apps condo built built_by bulk reconnect_timeout contact_timeout
connection_attempts amount discount environ environments env_name host_key ssh_keys host_names severe serves act
serviced profile pipe pips"""


@pytest.mark.parametrize("value", ["text", 3, None, ["a"], {"name": "x", "port": 3}], ids=repr)
def test_variables_of_ansible_inventories_are_left_alone(value: Any) -> None:
    assert [name for name in FOREIGN.split() if misspelt(name, value)] == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("serivces", "services"),
        ("Services", "services"),
        ("sevice", "services"),
        ("enviroment", "environment"),
        ("modles", "models"),
        ("minconda", "miniconda"),
        ("complier", "compiler"),
        ("hostkeys", "host_keys"),
        ("host-keys", "host_keys"),
        ("conect_timeout", "connect_timeout"),
        ("servces", "services"),
        ("survices", "services"),
        ("conect_atempts", "connect_attempts"),
        ("becom_pasword_file", "become_password_file"),
        ("enviroments", "environment"),
        ("mini-conda", "miniconda"),
        ("PIP", "pip"),
        ("acount", "account"),
        ("biuld", "build"),
    ],
)
def test_misspelt_settings_are_found(name: str, meant: str) -> None:
    assert misspelt(name, None) == meant


@pytest.mark.parametrize(
    ("name", "value", "foreign"),
    [
        ("environment", "prod", True),
        ("environment", {"pyton": "3.10"}, False),
        ("apt", {"cache_valid_time": 3600}, True),
        ("build", 12, True),
        ("services", ["nginx"], True),
        ("services", {"nginx": {"state": "started"}}, True),
        ("services", {"qwen": {"modl": "qwen"}}, False),
        ("models", ["a"], True),
        ("models", {"m": {"path": 3}}, False),
        ("connect_timeout", "10s", True),
    ],
)
def test_what_may_be_somebodys_own(name: str, value: Any, foreign: bool) -> None:
    assert is_foreign(name, value) == foreign


def test_the_readmes_name_every_setting() -> None:
    for file, mark in (("README.md", "**An existing Ansible"), ("README.zh-CN.md", "**现有的 Ansible")):
        paragraph = (SHIPPED.parent / file).read_text("utf-8").split(mark)[1].split("\n\n")[0]
        assert {name for name in HostSettings.model_fields if f"`{name}`" in paragraph} == set(
            HostSettings.model_fields
        )


def test_a_foreign_name_with_our_content_is_a_misspelling() -> None:
    assert misspelt("service", {"chat": {"model": "demo"}}) == "services"
    assert misspelt("model", {"demo": {"method": "demo"}}) == "models"


def test_did_you_mean() -> None:
    assert did_you_mean("qwen", ["demo", "Qwen2"]) == 'Did you mean "Qwen2"?'
    assert did_you_mean("x", ["demo", "chat"]) == "Known are demo, chat."
    assert did_you_mean("x", []) == "There are none."


def uncommented() -> dict[str, Any]:
    text = re.sub(r'(?m)^( +)# ((?:  )*(?:["a-z_]+:|- ).*)$', r"\1\2", SHIPPED.read_text("utf-8"))
    content: dict[str, Any] = yaml.safe_load(text)["all"]["vars"]
    return content


def test_the_commented_settings_are_the_defaults() -> None:
    content = uncommented()
    assert check(content) == []
    settings = HostSettings.model_validate(content)
    for name in HostSettings.model_fields.keys() - {"models", "services"}:
        assert getattr(settings, name) == getattr(HostSettings(), name), name
    assert settings.models == {"demo": Model(method="demo")}
    assert settings.services == {"demo": Service(model="demo", port=8000)}
    assert settings.resolved_services()["demo"].model_dump(exclude={"name", "model"}) == Serve().model_dump()


def missing(model: type[BaseModel], content: dict[str, Any]) -> list[str]:
    found = [name for name in model.model_fields if name not in content]
    for name, about in model.model_fields.items():
        if isinstance(about.annotation, type) and issubclass(about.annotation, BaseModel):
            found += [f"{name}/{below}" for below in missing(about.annotation, content.get(name, {}))]
    return found


def test_every_setting_is_in_the_shipped_inventory() -> None:
    content = uncommented()
    assert missing(HostSettings, content) == []
    assert missing(Model, content["models"]["demo"]) == []
    assert "model" in content["services"]["demo"]


def test_the_shipped_comments_are_the_descriptions() -> None:
    text = SHIPPED.read_text("utf-8")
    sections = [value for _, value in HostSettings() if isinstance(value, BaseModel)]
    for section in (HostSettings(), Serve().health, *sections):
        for name, about in type(section).model_fields.items():
            assert about.description, name
            assert f"# {about.description}" in text, name


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (["--api-key", "hunter2"], "use api_key instead"),
        (["--api_key=hunter2"], "use api_key instead"),
        (["--hf-token=hunter2"], "use HF_TOKEN under environment instead"),
        (["--otlp-traces-endpoint", "https://me:hunter2@h/x"], "give it to vLLM by a variable, under environment"),
    ],
)
def test_no_argument_holds_a_secret(arguments: list[str], instead: str) -> None:
    for section in ({"serve": {"arguments": arguments}}, {"services": {"s": {"model": "m", "arguments": arguments}}}):
        ((path, words),) = check(section)
        assert path[-1] == "arguments"
        assert instead in words
        assert "hunter2" not in words


@pytest.mark.parametrize(
    "told",
    [
        {"serve": {"api_key": "hunter2"}},
        {"serve": {"environment": {"TOKEN": 12345}}},
        {"serve": {"arguments": [12345]}},
        {"models": {"m": {"id": "a/b", "token": "hunter2"}}},
        {"models": {"m": {"id": "a/b", "endpoint": "me:hunter2@hub.example.com"}}},
        {"pip": {"index": "https://me:hunter2 #x@pypi.example.com"}},
        {"webui": {"enabled": True, "password": "hunter2"}},
        {"services": {"s": {"model": "m", "environment": {"TOKEN": {"hunter2": 1}}}}},
    ],
)
def test_what_may_be_a_secret_is_not_shown_where_it_is_wrong(told: dict[str, Any]) -> None:
    said = str(check(told, lambda path: "12345"))
    assert "should be" in said
    assert "hunter2" not in said
    assert "12345" not in said
