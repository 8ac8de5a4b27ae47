"""`--model`: another model without editing the inventory."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.errors import ConfigurationError
from provisioning.inventory import HostEntry
from provisioning.settings import HostSettings, Model
from provisioning.ssh_settings import SshSettings
from provisioning.with_model import with_model

TWO: dict[str, Any] = {
    "models": {"demo": {"method": "demo"}, "qwen": {"path": "~/Qwen"}},
    "services": {"one": {"model": "demo"}, "two": {"model": "demo", "port": 8001}},
}


def entry(**settings: Any) -> HostEntry:
    return HostEntry("web1", HostSettings.model_validate(settings), SshSettings("web1"), {})


def models(one: HostEntry) -> dict[str, str]:
    return {name: service.model for name, service in one.settings.services.items()}


def test_the_first_service_or_the_named_one() -> None:
    assert models(with_model(entry(**TWO), "qwen")) == {"one": "qwen", "two": "demo"}
    assert models(with_model(entry(**TWO), "qwen", "two")) == {"one": "demo", "two": "qwen"}
    assert with_model(entry(**TWO), "qwen", "two").settings.services["two"].port == 8001


def test_a_folder_is_a_model() -> None:
    changed = with_model(entry(**TWO), "~/ModelSpace/Qwen2 7B (天)/")
    (name,) = set(changed.settings.models) - set(TWO["models"])
    assert changed.settings.models[name].path == "~/ModelSpace/Qwen2 7B (天)/"
    assert models(changed)["one"] == name
    assert name == "Qwen2-7B"


def test_another_services_model_of_the_same_name_stays() -> None:
    told = {"models": {"Qwen": {"path": "~/Qwen"}, "Qwen-2": {"method": "demo"}}}
    told["services"] = {"one": {"model": "Qwen"}, "two": {"model": "Qwen", "port": 8001}}
    before = entry(**told)
    changed = with_model(before, "/srv/Qwen", "one")
    assert models(changed) == {"one": "Qwen-3", "two": "Qwen"}
    assert changed.settings.models == {**before.settings.models, "Qwen-3": Model(path="/srv/Qwen")}
    again = with_model(changed, "/srv/Qwen", "two")
    assert models(again) == {"one": "Qwen-3", "two": "Qwen-3"}, "one folder needs no second name"
    assert models(with_model(before, "~/Qwen", "one")) == models(before)


def test_a_host_without_services_gets_one() -> None:
    assert models(with_model(entry(), "demo")) == {"demo": "demo"}
    assert models(with_model(entry(), "/srv/weights")) == {"weights": "weights"}


@pytest.mark.parametrize(
    ("model", "service", "says"),
    [("qwem", "", "qwen"), ("qwen", "tow", "two"), ("relative/x/y", "", "folder"), ("/a\nb", "", "absolute path")],
)
def test_unknown_names(model: str, service: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        with_model(entry(**TWO), model, service)
    assert says in str(caught.value)
    assert caught.value.exit_code == 3


def test_what_was_given_stays_as_it_was() -> None:
    before = entry(**TWO)
    with_model(before, "qwen")
    assert models(before) == {"one": "demo", "two": "demo"}
