"""ModelScope's own SDK and command line on a real host, in an environment that the download makes for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hubs.content import contents, make_model
from hubs.faulty_proxy import FaultyProxy
from hubs.modelscope_hub import ModelScopeHub

from .controller import Controller
from .machine import Machine
from .provisioned import SETTINGS, Provisioned
from .watching import command_lines

pytestmark = pytest.mark.timeout(300)
ID, TOKEN = "Qwen/Tiny", "ms-s3cret-t0ken"
HOME = "/var/lib/vllm"


def test_sdk_and_command_line(machine: Callable[..., Machine], provisioned: Provisioned, tmp_path: Path) -> None:
    one, model = machine("bookworm", like=provisioned.machine), make_model(tmp_path / "model", small=20)
    controller = Controller(tmp_path / "home").log_in_as("root", MODEL_TOKEN=TOKEN)
    seen: set[str] = set()
    with ModelScopeHub(token=TOKEN) as hub, FaultyProxy(hub.url) as line, command_lines(seen, every=0.05):
        hub.add(ID, model, private=True)

        def settings(method: str) -> dict[str, Any]:
            about = {"method": method, "id": ID, "endpoint": line.url().rstrip("/"), "token": {"env": "MODEL_TOKEN"}}
            return {**SETTINGS, "models": {method: about}, "services": {method: {"model": method}}}

        for method in ("sdk", "cli"):
            controller.manage(one, **settings(method))
            said = controller.succeed("download", "--verbose")
            assert f"{len(contents(model))} files" in said
            assert TOKEN not in said
            folder = f"{HOME}/ModelSpace/{method}"
            rows = "".join(f"{each.sha256}  {name}\n" for name, each in contents(model).items())
            one.run(f"cd {folder} && sha256sum --quiet -c -", input=rows)
            assert one.run(f"find {folder} ! -user vllm").stdout == ""
            assert "nothing to do" in controller.succeed("download")
    assert any("/bin/modelscope download --model Qwen/Tiny" in each for each in seen)
    assert not [each for each in seen if TOKEN in each]
    assert one.run(f"grep -rl {TOKEN} /var/lib /var/log /tmp /run 2>/dev/null || :", user="operator").stdout == ""
    assert one.run(f"ls {HOME}/.cache/vllm-provisioning/modelscope").stdout.count("made-for") == 1
