"""A Git LFS server: giftless, with the objects of each hub in a folder of the hub's own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from flask import Flask, request
from giftless.app import init_app
from giftless.storage.local_storage import LocalStorage

FOLDER = "hubs.lfs_folder"
"""The key of the WSGI environment that names the folder: giftless keeps one storage for a whole process."""


class Storage(LocalStorage):
    """giftless' storage of files, in the folder that the request's hub names."""

    def __init__(self, path: str = "") -> None:
        """Make no folder: giftless' own default would be one in the current folder."""

    def _get_path(self, prefix: str, oid: str) -> Path:
        return Path(request.environ[FOLDER]) / prefix / oid


@cache
def application() -> Flask:
    """giftless as a WSGI application. Who may read is the hub's business, before this is called."""
    transfer = {
        "factory": "giftless.transfer.basic_streaming:factory",
        "options": {"storage_class": f"{__name__}:Storage", "action_lifetime": 900},
    }
    settings = {
        "TESTING": True,
        "LEGACY_ENDPOINTS": False,
        "PRE_AUTHORIZED_ACTION_PROVIDER": None,
        "TRANSFER_ADAPTERS": {"basic": transfer},
    }
    return init_app(additional_config=settings)
