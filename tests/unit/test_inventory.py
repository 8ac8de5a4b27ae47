from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from provisioning import commands
from provisioning.errors import ConfigurationError
from provisioning.host_ranges import expand
from provisioning.inventory import Inventory, load
from provisioning.ssh_arguments import Proxy

SHIPPED = Path(__file__).parents[2] / "inventory.yaml"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "inventory.yaml") -> Path:
    path = Path.cwd() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def inventory(text: str, overrides: dict[str, Any] | None = None) -> Inventory:
    return load(write(text), overrides)


def refusal(text: str, overrides: dict[str, Any] | None = None) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        inventory(text, overrides)
    return caught.value


def problems(text: str, overrides: dict[str, Any] | None = None) -> list[str]:
    return refusal(text, overrides).cause.splitlines()


NESTED = """
all:
  vars: {a: all, b: all, serve: {port: 1, dtype: half}}
  hosts:
    lone: {c: host}
  children:
    parent:
      vars: {a: parent, b: parent, d: parent, dict: {x: 1}}
      hosts: {inparent: }
      children:
        zchild:
          vars: {a: zchild, e: z, dict: {y: 2}, serve: {port: 2}}
          hosts:
            web[01:03].example.com:
            both: {b: host}
        achild:
          vars: {a: achild, e: a, ansible_group_priority: 10}
          hosts:
            both:
            db-[a:c]: {ansible_port: 2200}
    other:
      children:
        zchild:
        achild: {}
        deeper: {children: {deepest: {hosts: {both: {}, far: {}}, vars: {a: deepest}}}}
  # a group may be empty, or named twice
ungrouped: {hosts: {explicit: }}
top:
  hosts: single
"""
RANGES = """
all:
  hosts:
    web[1:10:3]-[a:b].example.com: {n: 1}
    n[08:11]:
    10.0.0.[1:3]:2222:
    "[2001:db8::1]:2223": {v: 6}
    "2001:db8::2":
    d[:2]:
    odd_:22:
"""
SCALARS = """
all:
  hosts:
    a: {flag: yes, octal: 010, float: 3.10, text: "3.10", nothing: , date: "2024-01-01", sexagesimal: 1:30}
    b: &b {x: 1, y: [1, {z: 2}]}
    c: {<<: *b, x: 3}
  vars: {unsafe: !unsafe "{{ raw }}"}
"""
SAME_NAME = "all:\n  children:\n    db:\n      hosts: {db: {a: 1}, db2: }\n"


def by_ansible(path: Path) -> dict[str, Any]:
    program = shutil.which("ansible-inventory") or shutil.which("ansible-inventory", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("ansible-inventory is not installed (it is in the extra named test)")
    variables = {"ANSIBLE_HOME": str(Path.cwd() / ".ansible"), "ANSIBLE_LOCALHOST_WARNING": "0", "LC_ALL": "C.UTF-8"}
    command = [program, "-i", str(path), "--list"]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=120, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def members(listing: dict[str, Any], group: str) -> set[str]:
    below = listing.get(group, {})
    return set(below.get("hosts", [])).union(*(members(listing, child) for child in below.get("children", [])))


@pytest.mark.parametrize(
    "text", [NESTED, RANGES, SCALARS, SAME_NAME, None], ids=["nested", "ranges", "scalars", "same", "ours"]
)
def test_ansible_reads_the_same(text: str | None) -> None:
    path = SHIPPED if text is None else write(text)
    if text is NESTED:
        write("a: all-file\nfile: all\n", "group_vars/all.yml")
        write("a: parent-file\nf: 1\n", "group_vars/parent/1.yml")
        write("f: 2\n", "group_vars/parent/2.yaml")
        write("f: 3\n", "group_vars/parent/.hidden.yml")
        write("b: never\n", "group_vars/parent.yml")
        write('{"b": "host-file"}', "host_vars/both.json")
    ours, ansible = load(path), by_ansible(path)
    expected = ansible["_meta"]["hostvars"]
    assert ours.hosts.keys() == members(ansible, "all")
    for name, host in ours.hosts.items():
        assert json.loads(json.dumps(host.variables)) == plain(expected.get(name, {})), name
    for group in ours.groups:
        assert set(ours.groups[group]) == members(ansible, group), group


def plain(value: Any) -> Any:
    """Without the marks that `ansible-inventory` puts around unsafe text."""
    if isinstance(value, dict):
        return (
            plain(value["__ansible_unsafe"]) if "__ansible_unsafe" in value else {k: plain(v) for k, v in value.items()}
        )
    return [plain(item) for item in value] if isinstance(value, list) else value


def test_group_vars_all_wins_over_a_childs_variables_in_the_inventory() -> None:
    write("a: file\n", "group_vars/all.yml")
    text = "all: {children: {web: {hosts: {one: , two: {a: host}}, vars: {a: web}}}}"
    assert {name: host.variables["a"] for name, host in inventory(text).hosts.items()} == {"one": "file", "two": "host"}


def test_the_shipped_example_of_remote_hosts() -> None:
    found = inventory(re.sub(r"(?m)^#(?=  )", "", SHIPPED.read_text("utf-8")))
    assert found.groups["web"] == ("web1.example.com", "web2.example.com", "web3.example.com")
    gpu = found.hosts["gpu1"]
    assert (gpu.ssh.address, gpu.ssh.port, gpu.ssh.user) == ("192.0.2.10", 2222, "root")
    assert gpu.settings.build.device == "cuda"
    assert found.select("localhost")[0].ssh.connection == "local"


def test_many_hosts_are_read_quickly() -> None:
    started = time.process_time()
    found = inventory("all: {children: {web: {hosts: 'w[0001:1000]', vars: {serve: {port: 1}}}}}")
    assert len(found.select("web,!w0001")) == 999
    assert time.process_time() - started < 5


def test_a_variable_replaces_another_as_a_whole() -> None:
    hosts = inventory(NESTED).hosts
    assert hosts["web01.example.com"].settings.serve.port == 2
    assert hosts["web01.example.com"].settings.serve.dtype == "auto"
    assert hosts["lone"].settings.serve.dtype == "half"


@pytest.mark.parametrize(
    ("pattern", "names", "port"),
    [
        ("a", ["a"], None),
        ("w[08:10]", ["w08", "w09", "w10"], None),
        ("w[1:5:2].x", ["w1.x", "w3.x", "w5.x"], None),
        ("[a:b]-[1:2]", ["a-1", "a-2", "b-1", "b-2"], None),
        ("h:22", ["h"], 22),
        ("[::1]:22", ["::1"], 22),
        ("fe80::1", ["fe80::1"], None),
        ("主机[1:2]", ["主机1", "主机2"], None),
    ],
)
def test_ranges(pattern: str, names: list[str], port: int | None) -> None:
    assert expand(pattern) == (names, port)


@pytest.mark.parametrize(
    "pattern", ["w[1:", "w[1]", "w[5:1]", "w[01:5]", "w[1:9:0]", "w[1:]", "w[1:99999999]", "w[1:b]"]
)
def test_broken_ranges(pattern: str) -> None:
    (line,) = problems(f'all: {{hosts: {{"{pattern}": }}}}')
    assert line.startswith(f"inventory.yaml:1: all/hosts/{pattern}: the ")


PATTERNS = """
all:
  hosts: {one: , localhost: }
  children:
    web: {hosts: "web[1:4]"}
    gpu: {hosts: {gpu1: , gpu2: , web4: }}
    empty:
"""


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (None, "one localhost web1 web2 web3 web4 gpu1 gpu2"),
        ("all", "one localhost web1 web2 web3 web4 gpu1 gpu2"),
        ("gpu2,one", "one gpu2"),
        ("web", "web1 web2 web3 web4"),
        ("web:one", "one web1 web2 web3 web4"),
        ("web,!web2,!gpu", "web1 web3"),
        ("!web", "one localhost gpu1 gpu2"),
        ("web:&gpu", "web4"),
        ("*1", "web1 gpu1"),
        ("~gpu[12]$", "gpu1 gpu2"),
        ("web[12]", "web1 web2"),
        ("ungrouped", "one localhost"),
        (" one , gpu1 ", "one gpu1"),
    ],
)
def test_select(pattern: str | None, names: str) -> None:
    assert [host.name for host in inventory(PATTERNS).select(pattern)] == names.split()


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("wbe", 'no host or group is called "wbe"\nDid you mean "web"?'),
        ("web,!gpu3", 'no host or group is called "gpu3"\nDid you mean "gpu"?'),
        ("empty", 'no host is left of "empty"'),
        ("web,!web", 'no host is left of "web,!web"'),
        ("", 'no host is left of ""'),
        ("~[", '"~[" is no regular expression'),
    ],
)
def test_select_refuses(pattern: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        inventory(PATTERNS).select(pattern)
    assert str(caught.value).startswith(message)


def test_localhost_is_local_only_where_it_is_not_listed() -> None:
    listed = inventory("all: {hosts: {localhost: }}").select("localhost")[0]
    assert listed.ssh.connection == "ssh"
    implicit = inventory("all: {hosts: {a: }, vars: {serve: {port: 9}}}").select("localhost")[0]
    assert (implicit.name, implicit.ssh.connection, implicit.settings.serve.port) == ("localhost", "local", 9)
    assert [host.name for host in inventory("all: {hosts: {a: }}").select()] == ["a"]


def test_connection_variables() -> None:
    variables = (
        "ansible_host: h, ansible_port: '2222', ansible_user: 1000, ansible_connection: ssh, ansible_become: yes"
    )
    secrets = "ansible_become_pass: 0123, ansible_password: pw, ansible_ssh_private_key_file: ~/k"
    host = inventory(f"all: {{hosts: {{a: {{{variables}, {secrets}}}}}}}").hosts["a"]
    assert (host.ssh.address, host.ssh.port, host.ssh.user, host.ssh.become) == ("h", 2222, "1000", True)
    assert host.ssh.private_key_file == "~/k"
    assert host.ssh.become_password is not None
    assert host.ssh.become_password.get_secret_value() == "0123", "as it is written, not as YAML's octal number"
    assert "0123" not in repr(host)
    assert "'pw'" not in repr(host)


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("ansible_port: 99999", 'ansible_port: should be an integer between 1 and 65535, not "99999"'),
        ("ansible_become: maybe", 'ansible_become: should be true or false, not "maybe"'),
        ("ansible_connection: winrm", 'ansible_connection: should be ssh or local, not "winrm"'),
        ("ansible_host: '{{ ip }}'", "ansible_host: holds a template ({{ … }}), and templates are not evaluated"),
        ("ansible_become_pass: !vault x", "ansible_become_pass: is encrypted with !vault, which cannot be read here"),
        ("ansible_user: [a]", "ansible_user: should be text"),
        ("ansible_become_user: db", 'ansible_become_user: should be root, not "db"'),
        ("ansible_become_method: su", 'ansible_become_method: should be sudo, not "su"; or connect as root'),
        ("ansible_ssh_common_args: -p 22", "ansible_ssh_common_args: port is not honoured here; use ansible_port"),
        ("ansible_ssh_extra_args: '-J {{ x }}'", "ansible_ssh_extra_args: holds a template"),
    ],
)
def test_a_host_that_cannot_be_reached_is_refused_when_selected(variable: str, words: str) -> None:
    found = inventory(f"all:\n  hosts:\n    fine:\n    odd: {{{variable}}}\n")
    assert [host.name for host in found.select("fine")] == ["fine"]
    with pytest.raises(ConfigurationError) as caught:
        found.select("all")
    assert caught.value.cause.startswith(f"inventory.yaml:4: all/hosts/odd/{words}")


def test_the_way_to_a_host() -> None:
    common = "ansible_ssh_common_args: -o ProxyJump=common, ansible_ssh_extra_args: -o ProxyCommand=extra"
    text = f"all: {{hosts: {{a: {{{common}}}, b: {{ansible_ssh_extra_args: -C -J x}}, c: {{{HERE}}}, d: }}}}"
    found = {host.name: host.ssh.proxy for host in inventory(text).select()}
    assert found == {"a": Proxy(("common",)), "b": Proxy(("x",)), "c": Proxy(), "d": Proxy()}


HERE = "ansible_connection: local, ansible_ssh_args: -p 3"


@pytest.mark.parametrize("why", ["ansible_become: false", "ansible_user: root"])
def test_how_to_become_root_is_nothing_where_nobody_does(why: str) -> None:
    text = f"all: {{hosts: {{a: {{ansible_become_method: su, ansible_become_user: db, {why}}}}}}}"
    assert inventory(text).select()
    usual = "ansible_become_method: sudo, ansible_become_user: root, ansible_sudo_pass: x"
    (host,) = inventory(f"all: {{hosts: {{a: {{{usual}}}}}}}").select()
    assert host.ssh.become_password is not None


def test_foreign_variables_are_kept_whatever_they_hold() -> None:
    text = "all: {hosts: {a: }, vars: {t: '{{ x }}', v: !vault 'x', service: nginx, environments: [a], 1: 2}}"
    assert inventory(text).hosts["a"].variables["t"] == "{{ x }}"


def test_an_unsafe_value_is_taken_as_it_is() -> None:
    text = "all: {hosts: {a: }, vars: {serve: {arguments: [!unsafe '{{ x }}']}}}"
    assert inventory(text).hosts["a"].settings.serve.arguments == ("{{ x }}",)


WRONG = """\
all:
  vars:
    serivces: {}
    build: {devise: cpu}
  children:
    gpu:
      hosts:
        g[1:3]:
      vars:
        models: {qwen: {path: /m}}
        services:
          qwen:
            model: qwne
            port: 80a
          two: {model: qwen, port: 9000}
          three: {model: qwen, port: 9000}
        environment: {python: 3.10}
  hosts:
    lone: {serve: {port: true}}
"""


def test_every_error_at_once_with_line_and_key() -> None:
    error = refusal(WRONG)
    above = "all/children/gpu/vars"
    assert error.message == "inventory.yaml has 7 errors"
    assert error.cause.splitlines() == [
        'inventory.yaml:3: all/vars/serivces: unknown setting; did you mean "services"?',
        'inventory.yaml:4: all/vars/build/devise: unknown key; did you mean "device"?',
        f'inventory.yaml:13: {above}/services/qwen/model: the model "qwne" is not defined; did you mean "qwen"?'
        " (on g1 and 2 more)",
        f'inventory.yaml:14: {above}/services/qwen/port: should be an integer between 1 and 65535, not "80a"',
        f'inventory.yaml:16: {above}/services/three/port: port 9000 is already that of the service "two"'
        " (on g1 and 2 more)",
        f'inventory.yaml:17: {above}/environment/python: should be a version of Python such as "3.10"; '
        '3.10 without quotes is a number: write "3.10"',
        "inventory.yaml:19: all/hosts/lone/serve/port: should be an integer between 1 and 65535, not true",
    ]
    assert error.exit_code == 3


def test_a_variable_of_ones_own_with_the_name_of_a_setting() -> None:
    """It is an error, and not passed over; what to do about it is said."""
    own = "environment: prod, build: 12, serve: true, services: [nginx], apt: {cache_valid_time: 3600}, compiler: gcc"
    error = refusal(f"all:\n  hosts: {{a: }}\n  vars: {{{own}, models: [a], pip: {{indx: tuna}}}}\n")
    assert 'inventory.yaml:3: all/vars/environment: should be a mapping, not "prod"' in error.cause.splitlines()
    assert error.remedy.splitlines() == [
        "Correct this and run it again; nothing was changed on any host.",
        "apt, build, compiler, environment, models, serve, services: names of this project's settings. "
        "Give a variable of your own another name (README, The inventory).",
    ]
    assert len(error.cause.splitlines()) == 8
    assert "name" not in refusal("all: {hosts: {a: }, vars: {serve: {prot: 1}}}").remedy


def test_a_variable_that_another_one_hides_is_checked_too() -> None:
    assert problems("all:\n  vars: {serve: {port: x}}\n  hosts: {a: {serve: {port: 1}}}\n") == [
        'inventory.yaml:2: all/vars/serve/port: should be an integer between 1 and 65535, not "x"'
    ]


def test_files_beside_the_inventory_are_checked_too() -> None:
    write("x: 1\nserve:\n  port: x\n", "group_vars/all.yml")
    write("$ANSIBLE_VAULT;1.1;AES256\n6162\n", "host_vars/a.yml")
    assert problems("all: {hosts: {a: }}") == [
        'group_vars/all.yml:3: serve/port: should be an integer between 1 and 65535, not "x"'
    ]


def test_folders_of_variables_that_lead_in_a_circle() -> None:
    write("serve: {port: 1}\n", "group_vars/all/b/serve.yml")
    for name in ("c", "d", "b/c"):
        Path("group_vars/all", name).symlink_to(Path("group_vars/all").resolve())
    assert inventory("all: {hosts: {a: }}").hosts["a"].settings.serve.port == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all: {hosts: {a: }}\nall: {}\n", "inventory.yaml:2: all: is given twice, first on line 1"),
        (
            "all:\n  hosts:\n    a: {x: 1,\n      x: 2}\n",
            "inventory.yaml:4: all/hosts/a/x: is given twice, first on line 3",
        ),
        (
            "all: {hosts: [a, b]}",
            "inventory.yaml:1: all/hosts: should be a mapping, such as hosts: {NAME: …}, without dashes",
        ),
        ("all: {hosts: {1: }}", "inventory.yaml:1: all/hosts/1: the name of a host should be text; write it in quotes"),
        ('all: {hosts: {"a\\nb": }}', "inventory.yaml:1: all/hosts/a\\nb: the name of a host should be text"),
        (
            "all: {hosts: {a: 3}}",
            "inventory.yaml:1: all/hosts/a: should be a mapping of the host's variables, or nothing",
        ),
        ("all: {host: {a: }}", 'inventory.yaml:1: all/host: unknown key of a group; did you mean "hosts"?'),
        (
            "serve: {port: 1}",
            "inventory.yaml:1: serve/port: unknown key of a group; a group has hosts, children and vars",
        ),
        ("web: 3", "inventory.yaml:1: web: should be a group: a mapping with hosts, children, vars"),
        ("all: {vars: {}}", "inventory.yaml:1: lists no host; write one under all/hosts"),
        (
            "all: {hosts: {a: {x: !foo y}}}",
            "inventory.yaml:1: all/hosts/a/x: a tag (what begins with !; quote it if it is text) is not supported",
        ),
        (
            "all: {hosts: {a: {x: !!python/name:os.system }}}",
            "inventory.yaml:1: all/hosts/a/x: the tag !!python/name:os",
        ),
        ("all: {hosts: {a: {x: !!bool maybe }}}", "inventory.yaml:1: all/hosts/a/x: is no valid bool"),
        ("all: {hosts: {a: {x: !!timestamp x }}}", "inventory.yaml:1: all/hosts/a/x: is no valid timestamp"),
        ("all: {hosts: {a: {x: !!int '' }}}", "inventory.yaml:1: all/hosts/a/x: is no valid int"),
        ("all: {hosts: {a: {x: 2024-13-45}}}", "inventory.yaml:1: all/hosts/a/x: is no valid timestamp"),
        (
            "a: {children: {b: {children: {a: }}}, hosts: {h: }}",
            "inventory.yaml:1: a: the group is below itself: a → b → a",
        ),
        ("- a", "inventory.yaml:1: should be a mapping of groups that begins with all:"),
        ("plugin: aws_ec2", "inventory.yaml:1: plugin: configures a plugin of Ansible, which is not run here"),
        ("all:\n\thosts: {}", "inventory.yaml:2: while scanning for the next token"),
        ("all:\n  hosts: {a: \n", "inventory.yaml:3: while parsing a flow"),
        (
            "all: {hosts: {a: {models: {m: {path: !vault x}}}}}",
            "inventory.yaml:1: all/hosts/a/models/m/path: is encrypted",
        ),
    ],
)
def test_broken_inventories(text: str, expected: str) -> None:
    assert problems(text)[0].startswith(expected)


def test_tabs_are_named() -> None:
    assert "indent with spaces, not with tabs" in refusal("all:\n\thosts: {}").cause


@pytest.mark.parametrize(
    ("text", "message"), [("", "inventory.yaml is empty"), ("# nothing\n---\n", "inventory.yaml is empty")]
)
def test_empty(text: str, message: str) -> None:
    assert refusal(text).message == message


def test_the_local_inventory_is_taken_first() -> None:
    write("all: {hosts: {a: }}")
    assert [entry.name for entry in commands.load("", "")] == ["a"]
    write("all: {hosts: {b: }}", "inventory.local.yaml")
    assert [entry.name for entry in commands.load("", "")] == ["b"]


def test_no_inventory() -> None:
    with pytest.raises(ConfigurationError, match=r"there is no inventory nowhere\.yaml"):
        load(Path("nowhere.yaml"))
    with pytest.raises(ConfigurationError, match="is a folder"):
        load(Path())


def test_not_text() -> None:
    Path("inventory.yaml").write_bytes(b"all:\n  hosts: {\xff: }\n")
    with pytest.raises(ConfigurationError, match=r"inventory\.yaml:2: is not UTF-8 text"):
        load(Path("inventory.yaml"))


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{this}: &{this} [{','.join([f'*{below}'] * 10)}]\n" for below, this in zip("abcdefghi", "bcdefghij", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{this}: &{this} {{<<: [{','.join([f'*{below}'] * 10)}]}}\n"
    for below, this in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [BOMB, MERGES, "&a [*a]", "all: &a {<<: *a}", "[" * 100_000],
    ids=["aliases", "merges", "loop", "own", "deep"],
)
def test_bombs_are_refused_quickly(text: str) -> None:
    started = time.process_time()
    assert "too" in refusal(text).message
    assert time.process_time() - started < 5


def test_overrides_win_and_are_merged() -> None:
    text = "all: {hosts: {a: , b: {build: {device: cuda, vllm: '0.31.0'}}}, vars: {serve: {port: 9, dtype: half}}}"
    models = {"models": {"m": {"path": "/m"}}, "services": {"m": {"model": "m"}}}
    found = inventory(text, {"build": {"device": "cpu"}, "serve": {"port": 10}, **models})
    assert found.hosts["b"].settings.build.device == "cpu"
    assert found.hosts["b"].settings.build.vllm == "0.31.0"
    service = found.hosts["a"].settings.resolved_services()["m"]
    assert (service.port, service.dtype) == (10, "half")


def test_wrong_overrides_concern_the_selected_hosts_alone() -> None:
    text = "all: {hosts: {a: , b: {models: {x: {path: /x}}, services: {x: {model: x, port: 8000}}}}}"
    overrides = {"models": {"m": {"path": "/m"}}, "services": {"m": {"model": "m"}}}
    found = inventory(text, overrides)
    assert found.select("a")[0].settings.services.keys() == {"m"}
    with pytest.raises(ConfigurationError, match=r'command line/services/m.*port 8000 is already .* "x"'):
        found.select("b")
    with pytest.raises(ConfigurationError, match=r'command line/build/device: should be "cpu" or "cuda", not "rocm"'):
        inventory(text, {"build": {"device": "rocm"}}).select("a")
    with pytest.raises(ConfigurationError, match=r'command line/biuld: unknown key; did you mean "build"'):
        inventory(text, {"biuld": {}}).select("a")
