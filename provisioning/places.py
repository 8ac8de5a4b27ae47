"""Where things of this project lie on a host, and whose they are."""

SYSTEM_ACCOUNT = "vllm"
"""The account that serves on hosts where we connect as root: root never serves."""

STATE = "/var/lib/vllm-provisioning"
"""The folder of a host that belongs to this project and to root."""

INSTALLED_WHEEL = f"{STATE}/installed-wheel"
"""Record of the compiled wheel that is in the environment: its SHA-256."""

MANAGER_RECORD = f"{STATE}/environment-manager"
