"""Which services a host has, and which of them a name means; the chat page is named as one."""

from __future__ import annotations

from provisioning.errors import ConfigurationError
from provisioning.resources.chat_page import ChatPage
from provisioning.resources.service import Service
from provisioning.site import Site
from provisioning.spelling import did_you_mean
from provisioning.steps import webui
from provisioning.steps.service import supervised

Kept = Service | ChatPage
"""What a host's supervisor keeps alive."""


def services_of(site: Site) -> list[Service]:
    """Give the services of a host."""
    return [supervised(site, service) for service in site.settings.resolved_services().values()]


def kept_by(site: Site) -> list[Kept]:
    """Give the services of a host, and its chat page where it is to have one."""
    return [*services_of(site), *([webui.kept(site)] if webui.is_wanted(site) else [])]


def named(site: Site, name: str = "") -> list[Kept]:
    """Give what has this name, a service first; all services, without the page, for none.

    Raises `ConfigurationError` if there is no such one.
    """
    found = kept_by(site)
    if not name:
        return [*services_of(site)]
    if name not in (each.service for each in found):
        raise ConfigurationError(
            f"{site.name}: there is no service {name!r} (--service)",
            cause=did_you_mean(name, [each.service for each in found]),
        )
    return [each for each in found if each.service == name][:1]
