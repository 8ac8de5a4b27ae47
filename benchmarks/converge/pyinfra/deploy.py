"""What `invoke serve` asks of a host of the benchmark."""

from pyinfra import host
from pyinfra.operations import apt, files, server, systemd

FILES, FIRST = host.data.files, host.data.first
TOOLS, ENVIRONMENT, LIBRARY = host.data.tools, "/var/lib/vllm/venvs/vLLM", "/usr/local/lib/vllm-provisioning"
ROOT, ACCOUNT = {"user": "root", "group": "root"}, {"user": "vllm", "group": "vllm"}

files.directory("/var/lib/vllm-provisioning", **ROOT, mode="755")
apt.packages(host.data.packages, update=FIRST, no_recommends=True)
server.user("vllm", system=True, home="/var/lib/vllm", create_home=True, shell="/usr/sbin/nologin")
if FIRST:
    files.directory("/var/lib/vllm/.config", **ACCOUNT, mode="755")
    files.directory("/var/lib/vllm/.config/pip", **ACCOUNT, mode="755")
files.put(f"{FILES}/pip.conf", "/var/lib/vllm/.config/pip/pip.conf", **ACCOUNT, mode="600")
if FIRST:
    pip = f"{TOOLS}/bin/pip install -q --disable-pip-version-check uv=={host.data.uv}"
    server.shell(f"[ -e {TOOLS}/bin/uv ] || {{ python3 -m venv {TOOLS} && {pip}; }}")
files.directory("/var/lib/vllm/venvs", **ACCOUNT, mode="755")
if FIRST:
    account = "cd / && HOME=/var/lib/vllm runuser -u vllm --"
    server.shell(f"[ -e {ENVIRONMENT} ] || {{ {account} python3 -m venv {ENVIRONMENT}; }}")
files.put(f"{FILES}/environment-manager", "/var/lib/vllm-provisioning/environment-manager", **ROOT, mode="644")
if FIRST:
    install = f"{account} {ENVIRONMENT}/bin/pip install -q --disable-pip-version-check --no-index"
    wanted = f"--find-links /srv/stubs {host.data.requirements} torch intel-openmp"
    server.shell(f"[ -e {ENVIRONMENT}/lib/python3.11/site-packages/vllm ] || {{ {install} {wanted}; }}")
files.directory(LIBRARY, **ROOT, mode="755")
files.directory("/etc/vllm", **ROOT, mode="755")
if FIRST:
    for program in host.data.programs:
        files.put(f"{FILES}/{program}", f"{LIBRARY}/{program}", **ROOT, mode="644")
unit = files.put(f"{FILES}/vllm@.service", "/etc/systemd/system/vllm@.service", **ROOT, mode="644")
if FIRST:
    systemd.daemon_reload(_if=unit.did_change)
files.put(f"{FILES}/own.env", "/etc/vllm/own.env", **ROOT, mode="600")
systemd.service("vllm@own", running=True, enabled=True)
