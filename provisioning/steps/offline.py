"""The bundle that a host without network is provisioned from: its files on the host, and how apt reads them."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning.offline import APT_CONF, OFFLINE
from provisioning.resources import Directory, File, Resource
from provisioning.resources.bundle_on_host import BundleOnHost
from provisioning.site import Site

# apt's own sources and lists stay as they are, for the day when there is a network.
_APT_CONF = f"""\
Dir::Etc::SourceList "{OFFLINE}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "{OFFLINE}/lists";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
APT::Sandbox::User "root";
"""


def resources(site: Site) -> Iterator[Resource]:
    """Yield nothing, unless this run is from a bundle."""
    if (offline := site.offline) is None:
        return
    yield Directory(OFFLINE)
    if not offline.in_place:
        yield BundleOnHost(offline.bundle, offline.folder)
    # Its manifest vouches for its files, where a distribution's archive has a signature.
    yield File(f"{OFFLINE}/sources.list", f"deb [trusted=yes] file:{offline.folder}/debs ./\n")
    yield File(APT_CONF, _APT_CONF)
    yield Directory(f"{OFFLINE}/lists")
