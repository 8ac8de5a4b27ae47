"""Whether a bundle is for a host: told by what the host needs, before anything is changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning.errors import IncompatibleError
from provisioning.needs import Needs
from provisioning.resources import Packages
from provisioning.site import Site
from provisioning.steps import environment, system, vllm
from provisioning.steps import model as model_step


def needs_of(site: Site) -> Needs:
    """What this host needs of a bundle."""
    packages = [name for each in system.resources(site) if isinstance(each, Packages) for name in each.names]
    return Needs(
        system=f"{site.facts.os_id} {site.facts.os_version}",
        architecture=site.facts.architecture,
        # One that was chosen before stays, and then this bundle is not for it.
        manager=site.facts.manager or site.manager,
        python=site.python,
        vllm=vllm.state(site),
        tools=(*environment.tool_requirements(site), *_miniconda(site)),
        packages=tuple(packages),
        models=tuple(
            f"{name} ({model_step.config(site, name, model)['key'][:12]})"
            for name, model in site.served_models.items()
            if model.is_downloaded
        ),
    )


def _miniconda(site: Site) -> Iterator[str]:
    if site.manager == "conda":
        yield f"Miniconda {site.settings.miniconda.version}"


def require(site: Site) -> None:
    """Refuse a bundle that was packed for another kind of host (`IncompatibleError`); without a bundle do nothing."""
    if site.offline is None:
        return
    bundle = site.offline.bundle
    unmet = needs_of(site).unmet_by(bundle.needs)
    if site.manager == "uv" and not site.interpreter.startswith("/"):
        unmet.append(f"Python: {site.python} is not on the host, and a bundle holds none")
    if site.settings.webui.enabled:
        unmet.append("chat page: a bundle holds none; leave webui.enabled out")
    if unmet:
        raise IncompatibleError(
            f"{site.name}: the bundle {bundle.folder} does not fit this host",
            cause="\n".join(unmet),
            remedy="Pack one on a machine of the same kind that has network, with this inventory: invoke bundle",
        )
