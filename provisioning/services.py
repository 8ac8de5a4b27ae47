"""Which services a host has, and which of them a name means."""

from __future__ import annotations

from provisioning.errors import ConfigurationError
from provisioning.resources.service import Service
from provisioning.site import Site
from provisioning.spelling import did_you_mean
from provisioning.steps.service import supervised


def services_of(site: Site, name: str = "") -> list[Service]:
    """Give the services of a host, or the one with this name. Raises `ConfigurationError` if there is no such one."""
    found = [supervised(site, service) for service in site.settings.resolved_services().values()]
    if name and name not in (service.service for service in found):
        raise ConfigurationError(
            f"{site.name}: there is no service {name!r} (--service)",
            cause=did_you_mean(name, [service.service for service in found]),
        )
    return [service for service in found if name in ("", service.service)]
