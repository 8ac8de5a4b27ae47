"""Files and directories: what their probes print, run by the real sh, and what is made of it."""

from __future__ import annotations

import base64
import grp
import os
import pwd
import subprocess
from pathlib import Path

import pytest

from provisioning.host import Host
from provisioning.probe import AS_WANTED, ask
from provisioning.resources import Difference, Directory, File, Resource
from provisioning.transport.local import LocalTransport

NAMES = ["plain", "a space", "it's", 'a "quote"', "$(touch pwned)", "`id`", "天空", "new\nline", "-rf", "*", "end\\"]
ME = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}


def look(resource: Resource) -> str:
    done = subprocess.run(["sh", "-c", resource.probe()], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    (answer,) = ask(Host("here", LocalTransport()), [resource.question()], as_root=False)
    assert bool(resource.difference(answer.require("here", resource.name))) == bool(resource.diff(done.stdout))
    return done.stdout


def put(path: Path, content: bytes, mode: int = 0o644) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    os.chown(path, os.getuid(), os.getgid())
    return path


@pytest.mark.parametrize("name", NAMES)
def test_any_path_is_looked_at_as_it_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    file = File(str(path), "天\n", **ME)
    assert look(file) == "absent\n"
    assert file.diff(look(file))
    put(path, "天\n".encode())
    assert file.diff(look(file)) is None
    assert Directory(str(path), **ME).diff(look(Directory(str(path), **ME)))
    assert sorted(each.name for each in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize("content", ["", "one\n", "no end of line", "\n\n", "tabs\tand \x07 bells", "  \n", "\r\n"])
def test_content_is_compared_byte_for_byte(tmp_path: Path, content: str) -> None:
    path = put(tmp_path / "file", content.encode())
    assert File(str(path), content, **ME).diff(look(File(str(path), content, **ME))) is None
    other = File(str(path), content + "\n", **ME)
    assert other.diff(look(other))


def test_the_difference_is_a_unified_diff(tmp_path: Path) -> None:
    path = put(tmp_path / "motd", b"hello\nold\n", 0o600)
    file = File(str(path), "hello\nnew\n", **ME)
    difference = file.diff(look(file))
    assert difference
    lines = difference.text.splitlines()
    assert lines[0] == f"{path}: 600 {ME['owner']} {ME['group']} → 644 {ME['owner']} {ME['group']} (mode, owner, group)"
    assert lines[1:] == [f"--- {path}", f"+++ {path}", "@@ -1,2 +1,2 @@", " hello", "-old", "+new"]
    fresh = File(str(tmp_path / "none"), "x\n", **ME)
    assert "--- /dev/null" in str(fresh.diff(look(fresh)))


def test_a_secret_is_shown_nowhere(tmp_path: Path) -> None:
    path = put(tmp_path / "key", b"old-secret", 0o600)
    file = File(str(path), "new-secret", mode="600", secret=True, **ME)
    actual = look(file)
    assert "secret" not in actual
    assert base64.b64encode(b"old-secret").decode() not in actual
    difference = file.diff(actual)
    assert difference
    assert "new-secret" not in difference.text
    assert "-secret" not in repr(difference)
    same = File(str(path), "old-secret", mode="600", secret=True, **ME)
    assert same.diff(look(same)) is None


def test_a_change_that_is_concealed_whole_is_still_a_change(tmp_path: Path) -> None:
    path = put(tmp_path / "file", b"old")
    file = File(str(path), "new", conceal=lambda before, after: ("***", "***"), **ME)
    assert file.diff(look(file)) == Difference(f"{path}: its content")
    same = File(str(path), "old", conceal=lambda before, after: (before, after), **ME)
    assert same.diff(look(same)) is None


def test_content_that_follows_from_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "list"
    file = File(str(path), lambda existing: existing if "ours" in existing else existing + "ours\n", **ME)
    assert file.desired(look(file)) == "ours\n"
    put(path, b"theirs\n")
    assert file.desired(look(file)) == "theirs\nours\n"
    put(path, b"ours\n\xff\n")
    assert file.diff(look(file)) is None, "bytes that are no UTF-8 stay as they are"


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_is_no_file_is_never_taken_for_one(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "path"
    path.mkdir() if kind == "folder" else path.symlink_to(put(tmp_path / "target", b"x"))
    file = File(str(path), "x", **ME)
    assert look(file) == "other\n"
    assert file.diff(look(file))


def test_undo_puts_back_what_was_there() -> None:
    file = File("/etc/a b", "x")
    assert file.undo("absent\n") == "rm -f '/etc/a b'"
    assert file.keep("absent\n") == ""
    assert "cp -a '/etc/a b'" in file.keep("644 root root\neA==")
    assert Directory("/srv/x").undo("absent") != ""
    assert Directory("/srv/x").undo("755 root root") == ""


def test_a_directory_says_what_differs(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o700)
    directory = Directory(str(tmp_path / "d"), mode="700", **ME)
    assert directory.diff(look(directory)) is None
    wider = Directory(str(tmp_path / "d"), **ME)
    assert "700" in str(wider.diff(look(wider)))


def questioned(resource: Resource) -> str:
    (answer,) = ask(Host("here", LocalTransport()), [resource.question()], as_root=False)
    return answer.require("here", resource.name).strip()


def test_what_is_as_wanted_is_not_read(tmp_path: Path) -> None:
    path = put(tmp_path / "天 空", b"one\n")
    wanted = [
        File(str(path), "one\n", **ME),
        File(str(path), lambda before: before or "one\n", **ME),
        Directory(str(tmp_path), mode="700", **ME),
        Directory(str(tmp_path), owner="somebody else", lenient=True),
    ]
    assert [questioned(each) for each in wanted] == [AS_WANTED] * len(wanted)


def test_what_is_not_as_wanted_is_read(tmp_path: Path) -> None:
    path = put(tmp_path / "file", b"one\n")
    link = tmp_path / "link"
    link.symlink_to(path)
    read = [
        File(str(path), "two\n", **ME),
        File(str(path), "one\n", **ME, mode="600"),
        File(str(path), "one\n", **ME, secret=True),
        File(str(path), lambda before: f"{before}and more\n", **ME),
        File(str(path), "https://me:password@mirror.example/\n", **ME),
        File(str(link), "one\n", **ME),
        Directory(str(path), **ME),
        Directory(str(tmp_path), **ME),
        File(str(tmp_path / "none"), "one\n", **ME),
    ]
    assert AS_WANTED not in [questioned(each) for each in read]
    assert questioned(File(str(link), "one\n", **ME)) == "other"


def test_a_folder_may_be_a_link_to_one(tmp_path: Path) -> None:
    """Such as ~/venvs on a larger disk."""
    (tmp_path / "disk").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    folder = Directory(str(tmp_path / "link"), **ME)
    assert questioned(folder) == AS_WANTED
    assert folder.diff(look(folder)) is None
