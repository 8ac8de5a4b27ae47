"""A host's settings and facts together, and what follows from them: accounts, paths, versions. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning import gpus, releases
from provisioning.errors import IncompatibleError
from provisioning.facts import Facts
from provisioning.miniconda import Installer, installer
from provisioning.model_settings import Model, path_of
from provisioning.offline import Offline
from provisioning.places import STATE
from provisioning.settings import HostSettings

TOOLS = f"{STATE}/tools"
"""Virtual environment of the tools that run on hosts (uv, supervisor). Root's, for root runs them."""

LIBRARY = "/usr/local/lib/vllm-provisioning"
"""The programs that run on hosts. Root's."""

CONFIGURATION = "/etc/vllm"
"""One environment file for each service."""


@dataclass(frozen=True)
class Site:
    """One host: what it is told, and what it is."""

    name: str
    settings: HostSettings
    facts: Facts
    verification: str = ""
    """Identifies a run in which models are hashed again; "" for none."""
    offline: Offline | None = None
    """The bundle that it is provisioned from, where nothing comes from the network."""

    @property
    def account(self) -> str:
        """The account that serves, and owns environments and models."""
        return self.facts.account

    @property
    def group(self) -> str:
        """Its group."""
        return self.facts.group

    @property
    def home(self) -> str:
        """Its home: what `~` means in the settings."""
        return self.facts.home

    def expand(self, path: str) -> str:
        """Resolve `~` to the home of the account that serves."""
        return self.home + path[1:] if path == "~" or path.startswith("~/") else path

    @property
    def creates_account(self) -> bool:
        """Whether the account is ours to create: when we connect as root, which never serves."""
        return self.facts.uid == 0 and self.account != "root"

    @property
    def miniconda_path(self) -> str:
        """Where Miniconda lies."""
        return self.expand(self.settings.miniconda.path)

    @property
    def installer(self) -> Installer:
        """Miniconda's installer for this host."""
        return installer(self.settings.miniconda.version, self.facts.architecture)

    @property
    def miniconda_urls(self) -> tuple[str, ...]:
        """Where the installer can be had, in the order to try."""
        mirrors = [f"file://{self.offline.folder}/miniconda"] if self.offline else self.settings.miniconda.mirrors
        return tuple(f"{mirror.rstrip('/')}/{self.installer.file}" for mirror in mirrors)

    @property
    def must_look_for_downloads(self) -> bool:
        """Whether choosing the environment's manager takes a look at the network."""
        chosen = self.settings.environment.manager != "auto" or self.facts.manager or self.facts.conda_present
        return not chosen and not self.facts.downloads_checked

    @property
    def manager(self) -> str:
        """What makes the Python environment: `conda` or `uv`. Stays with the choice once made."""
        if self.settings.environment.manager != "auto":
            return self.settings.environment.manager
        if self.facts.manager in ("conda", "uv"):
            return self.facts.manager
        return "uv" if self.facts.conda_unreachable and not self.facts.conda_present else "conda"

    @property
    def manager_reason(self) -> str:
        """Why this manager, in a sentence."""
        if self.settings.environment.manager != "auto":
            return "environment.manager says so"
        if self.facts.manager:
            return "it was chosen before"
        if self.facts.conda_present:
            return f"conda is installed in {self.miniconda_path}"
        if self.manager == "uv":
            return f"no installer of Miniconda can be had: {self.facts.conda_unreachable}"
        return "Miniconda can be downloaded"

    @property
    def python(self) -> str:
        """Version of the environment's Python, such as "3.11".

        As told; else one that the wanted vLLM works with: 3.10 if it can be had, or (uv) what the host has.
        """
        wanted = ".".join(self.settings.environment.python.split(".")[:2])
        if self._python_is_told:
            return wanted
        have = [wanted] if self.manager == "conda" else [version for _, version in self.facts.pythons]
        if self.manager == "uv":
            have = sorted(have, key=lambda version: (version != wanted, version != self.facts.system_python()[1]))
            have = have or [self.facts.system_python()[1]]
        return self._fitting(have)

    def _fitting(self, pythons: list[str]) -> str:
        """The first of these that the wanted release of vLLM works with, else the first that it names itself."""
        if self.settings.build.vllm == "auto":
            return pythons[0]
        release = releases.find(self.settings.build.vllm)
        return next((python for python in pythons if python in release.pythons), release.python_min)

    @property
    def interpreter(self) -> str:
        """What uv makes the environment from: a path on the host, or a version for uv to find or fetch."""
        if found := self._interpreter_of(self.python):
            return found
        path, version = self.facts.system_python()
        return path if version == self.python else self.settings.environment.python

    @property
    def _python_is_told(self) -> bool:
        return "python" in self.settings.environment.model_fields_set

    def _interpreter_of(self, version: str) -> str:
        return next((path for path, found in self.facts.pythons if found == version), "")

    @property
    def environment(self) -> str:
        """Folder of the Python environment."""
        if self.manager == "conda":
            return f"{self.miniconda_path}/envs/{self.settings.environment.name}"
        return f"{self.home}/venvs/{self.settings.environment.name}"

    @property
    def environment_python(self) -> str:
        """The environment's interpreter."""
        return f"{self.environment}/bin/python"

    @property
    def compiles(self) -> bool:
        """Whether vLLM is compiled: as told, or (auto) where no prebuilt wheel for CPUs suits."""
        build = self.settings.build
        if build.device != "cpu" or build.method != "auto" or build.wheel:
            return build.method == "source"
        try:
            self._choose(wheel=True)
        except IncompatibleError:
            return self._can_be_compiled()
        return False

    def _can_be_compiled(self) -> bool:
        try:
            self._choose(wheel=False)
        except IncompatibleError:
            return False
        return True

    @property
    def site_packages(self) -> tuple[str, ...]:
        """Folders of the host with packages that the environment sees behind its own."""
        return tuple(map(self.expand, self.settings.environment.site_packages))

    @property
    def release(self) -> releases.Release:
        """The release of vLLM to install. Raises `IncompatibleError` where Python and vLLM cannot work together."""
        build = self.settings.build
        return self._choose(wheel=build.device == "cpu" and build.wheel is None and not self.compiles)

    def _choose(self, *, wheel: bool) -> releases.Release:
        build = self.settings.build
        return releases.choose(
            self.python,
            build.device,
            build.vllm,
            wheel=wheel,
            architecture=self.facts.architecture,
            driver=gpus.driver_of(self.facts.gpus),
        )

    def require_compatible(self) -> None:
        """Refuse, before anything is installed, a Python and a vLLM that cannot work together (`IncompatibleError`)."""
        _ = self.release

    @property
    def served_models(self) -> dict[str, Model]:
        """The models that services of the host serve, by name."""
        names = dict.fromkeys(service.model for service in self.settings.services.values())
        return {name: self.settings.models[name] for name in names}

    def model_path(self, name: str) -> str:
        """Folder of a model's weights."""
        return self.expand(path_of(name, self.settings.models[name]))
