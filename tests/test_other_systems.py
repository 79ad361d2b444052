"""What Windows and macOS do differently, simulated as far as one machine can."""

from __future__ import annotations

import ast
import io
import os
import re
import sys
from functools import cache
from pathlib import Path

import pytest
from tests.library.image_builders import draw

import lookalike
from lookalike import files
from lookalike.cli import output
from lookalike.files import atomic_path
from lookalike.library import Library
from lookalike.server.routes.library import RESERVED_ON_WINDOWS
from lookalike.stores.paths import image_by_path

ROOT = Path(__file__).parents[1]
SOURCE = Path(lookalike.__file__).parent

POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty", "uvloop"}

# Attributes of `os` that Windows lacks, where a module may use them: behind a check of the system, or where
# an error of a missing attribute is expected.
POSIX_NAMES = {
    "duplicates/trash.py": {"getuid"},
    "cpu.py": {"sched_getaffinity"},
    "server/jobs/process.py": {"nice"},
    "workers/pool.py": {"sysconf"},
}
MISSING_ON_WINDOWS = {
    "chown", "fchmod", "fchown", "fork", "getegid", "geteuid", "getgid", "getloadavg", "getpgid", "getuid",
    "killpg", "lchown", "mkfifo", "mknod", "nice", "openpty", "pread", "preadv", "pwrite",
    "sched_getaffinity", "sched_setaffinity", "posix_fadvise", "sendfile", "setsid", "statvfs",
    "setxattr", "listxattr", "sysconf", "uname",
    "O_CLOEXEC", "O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_PATH", "WNOHANG",
}  # fmt: skip


@cache
def modules() -> list[tuple[str, ast.Module]]:
    found = sorted(SOURCE.rglob("*.py"))
    return [
        (file.relative_to(SOURCE).as_posix(), ast.parse(file.read_text("utf-8"))) for file in found
    ]


def test_what_only_posix_has_is_imported_and_used_behind_a_check() -> None:
    for name, tree in modules():
        for node in tree.body:
            if isinstance(node, ast.Import):
                assert not {one.name for one in node.names} & POSIX_MODULES, name
            if isinstance(node, ast.ImportFrom):
                assert node.module not in POSIX_MODULES, name
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
        }
        assert used & MISSING_ON_WINDOWS <= POSIX_NAMES.get(name, set()), name


def test_text_files_are_read_and_written_in_a_stated_encoding() -> None:
    for name, tree in modules():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            position = {"read_text": 0, "write_text": 1}.get(node.func.attr)
            if position is not None and name != "cpu.py" and "/sys/" not in ast.unparse(node):
                stated = len(node.args) > position or any(
                    k.arg == "encoding" for k in node.keywords
                )
                assert stated, f"{name}:{node.lineno}"


def test_no_two_files_have_one_name_where_case_does_not_count() -> None:
    names = [
        file.relative_to(ROOT).as_posix()
        for folder in ("src", "tests", "docs", "examples", "deploy")
        for file in (ROOT / folder).rglob("*")
        if "__pycache__" not in file.parts
    ]
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        assert not re.search(r'[<>:"|?*\\]|[. ](/|$)', name) and len(name) < 150, name
        assert not RESERVED_ON_WINDOWS.fullmatch(Path(name).stem), name


def test_a_file_that_is_open_elsewhere_is_replaced_when_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "manifest.json"
    file.write_text("old")
    replace, tries = Path.replace, []

    def refuse_twice(self: Path, target: Path) -> Path:
        tries.append(target)
        if len(tries) < 3:
            raise PermissionError(13, "it is open")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse_twice)
    monkeypatch.setattr(files, "BUSY_PAUSES", (0.0, 0.0, 0.0))
    with atomic_path(file) as part:
        part.write_text("new")
    assert (file.read_text(), len(tries)) == ("new", 3)


def test_piped_output_is_utf_8_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe, encoding="cp1252"))
    output.prepare()
    sys.stdout.write("Stra\u00dfe \u65e5\u672c \ud800")  # a lone surrogate: NTFS takes any 16 bits
    sys.stdout.flush()
    assert pipe.getvalue() == "Stra\u00dfe \u65e5\u672c ".encode() + b"\xed\xa0\x80"


@pytest.mark.parametrize("typed", ["Pets/CAT.jpg", "pets/cat.JPG"])
def test_an_image_is_found_by_its_name_in_other_letters_where_case_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    folder = tmp_path / "photos"
    draw(folder / "Pets" / "cat.jpg", 1)
    listdir = os.listdir
    real = {"Pets", "cat.jpg"}
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        if typed.startswith("pets"):  # as the file system would find it, but not list it
            (folder / "pets").symlink_to("Pets")
        (folder / typed).symlink_to("cat.jpg")
        monkeypatch.setattr(os, "listdir", lambda path: [n for n in listdir(path) if n in real])
        monkeypatch.setattr("lookalike.stores.paths.sys.platform", "darwin")
        with library.snapshot() as snapshot:
            found = image_by_path(snapshot, folder / typed)
    assert found is not None and found.path == "Pets/cat.jpg"


@pytest.mark.parametrize("name", ["CON", "aux", "Com1", "lpt9", "nul", "PRN"])
def test_names_of_devices_are_recognised(name: str) -> None:
    assert RESERVED_ON_WINDOWS.fullmatch(name)
    assert not RESERVED_ON_WINDOWS.fullmatch(f"{name} photo")
