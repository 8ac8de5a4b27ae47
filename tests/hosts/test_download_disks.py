"""What downloads do to real file systems, small ones on loop devices, and with many and with large files."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hubs.content import make_model, make_sparse
from hubs.downloads import Download, same_files
from hubs.faulty_proxy import FaultyProxy
from hubs.git_hub import GitServer

from .system import require_root, require_system_packages

pytestmark = pytest.mark.timeout(300)
ID = "Qwen/Tiny"
MAKE = {"xfs": ("xfsprogs", "mkfs.xfs"), "btrfs": ("btrfs-progs", "mkfs.btrfs"), "ext4": ("e2fsprogs", "mkfs.ext4")}


class Disk:
    """A file system of its own, mounted."""

    def __init__(self, kind: str, folder: Path, size: int) -> None:
        package, command = MAKE[kind]
        require_root()
        require_system_packages(package)
        self.kind, self.folder, image = kind, folder, folder.with_suffix(".img")
        folder.mkdir()
        with image.open("wb") as file:
            file.truncate(size)
        subprocess.run([command, "-q", image], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", image, folder], check=True)

    def leave(self, room: int) -> Path:
        """Take what is free but for so many bytes; gives the file that has them, to be deleted."""
        ballast, state = self.folder / "ballast", os.statvfs(self.folder)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize - room)
        return ballast


@pytest.fixture(params=MAKE)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    found = Disk(request.param, tmp_path / "disk", 500 << 20)
    yield found
    subprocess.run(["umount", "-l", found.folder], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Disk]:
    found = Disk("ext4", tmp_path / "disk", 200 << 20)
    yield found
    subprocess.run(["umount", "-l", found.folder], check=True)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[GitServer]:
    require_system_packages("git", "git-lfs")
    with GitServer(tmp_path / "hub") as hub:
        yield hub


def asked(hub_url: str, folder: Path) -> Download:
    return Download(folder, [{"method": "git", "endpoint": hub_url.rstrip("/")}], {"id": ID})


def test_one_copy_on_every_file_system(disk: Disk, hub: GitServer, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", weights=120_000_000)
    hub.add(ID, model)
    download = asked(hub.url, disk.folder / "tiny")
    size = sum(path.stat().st_size for path in model.iterdir())
    # The 64 MiB that it wants left free, and some more: too little for a second copy of one of the two weights.
    disk.leave(size + 90_000_000)
    download.succeed()
    assert same_files(download.folder, model)
    weights = download.folder / "model-00001-of-00002.safetensors"
    shares_blocks = disk.kind in ("xfs", "btrfs")
    assert weights.stat().st_nlink == (1 if shares_blocks else 2)
    # Where blocks are shared, the object is another file: a spoilt one is mended without the hub.
    if shares_blocks:
        weights.write_bytes(b"spoilt")
        with FaultyProxy(hub.url) as line:
            download.sources[0]["endpoint"] = line.url().rstrip("/")
            download.succeed()
            assert line.sent("*/objects/*") == 0
        assert same_files(download.folder, model)


def test_the_disk_fills_while_it_downloads(small_disk: Disk, hub: GitServer, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", weights=30_000_000)
    hub.add(ID, model)
    size = sum(path.stat().st_size for path in model.iterdir())
    with FaultyProxy(hub.url) as line:
        line.fail("*/objects/*", method="GET", bytes_per_second=8_000_000)
        line.throttle.bytes_per_second = 3_000_000  # until the disk is as full as it should be
        download = asked(line.url(), small_disk.folder / "tiny")
        process = download.start()
        while line.sent("*/objects/*") < 5_000_000:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        # Whoever else writes to the disk does so after the free space was checked.
        ballast = small_disk.leave(20_000_000)
        line.throttle.bytes_per_second = None
        out, err = process.communicate(timeout=120)
        assert process.returncode == 1, out + err
        assert "is full" in out + err
        assert "what is here is kept" in out + err
        ballast.unlink()
        line.heal()
        download.succeed()
        assert same_files(download.folder, model)
        assert line.sent("*/objects/*") <= 1.1 * size


def test_many_small_files(hub: GitServer, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", small=2000)
    hub.add(ID, model)
    download = asked(hub.url, tmp_path / "tiny")
    assert "2005 files" in download.succeed() or "2006 files" in download.succeed()
    assert same_files(download.folder, model)
    began = time.monotonic()
    download.succeed()
    assert time.monotonic() - began < 60


@pytest.mark.full
def test_a_large_file(hub: GitServer, tmp_path: Path) -> None:
    """Four sparse GB: sizes beyond 32 bits, and no file is read into memory."""
    model = tmp_path / "model"
    make_sparse(model / "model.bin", 4 << 30)
    hub.add(ID, model)
    download = asked(hub.url, tmp_path / "tiny")
    process = download.start()
    peak = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = max(peak, *(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM")), 0)
        time.sleep(0.2)
    assert process.returncode == 0, process.communicate()
    assert (download.folder / "model.bin").stat().st_size == 4 << 30
    assert peak < 200_000, "kB of memory"
