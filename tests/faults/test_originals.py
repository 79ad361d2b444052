"""Images never change: content, times, attributes and names are the same before and after every command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.library.image_builders import draw

PROGRAM = Path(__file__).with_name("originals.py")


def tree(folder: Path) -> Path:
    """Draw images and what lies beside them: copies, sidecars, broken files, links, a hidden folder."""
    draw(folder / "a.jpg", 1)
    draw(folder / "trip" / "b.png", 2)
    draw(folder / "trip" / "ä b\n.jpg", 3)
    shutil.copy2(folder / "a.jpg", folder / "trip" / "copy.jpg")
    for number in range(12):
        draw(folder / ("day", "night", "sea", "hill")[number % 4] / f"{number}.jpg", 20 + number)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(200))
    (folder / "empty.jpg").touch()
    (folder / "a.jpg.txt").write_text("a caption")
    (folder / "trip" / "b.json").write_text('{"price": 3}')
    (folder / "link.jpg").symlink_to("a.jpg")
    (folder / ".hidden").mkdir()
    draw(folder / ".hidden" / "c.jpg", 11)
    (folder / "notes.md").write_text("notes")
    for path in sorted(folder.rglob("*")):
        if not path.is_symlink():
            os.utime(path, (1_000_000_000, 1_100_000_000))
            os.setxattr(path, "user.note", b"mine")
    (folder / "a.jpg").chmod(0o440)
    return folder


def run(photos: Path, out: Path, *chosen: str, before: Sequence[str] = ()) -> None:
    """Run all commands over the tree, or the chosen ones, in a process that `before` starts."""
    out.mkdir()
    program = subprocess.run(
        [*before, sys.executable, str(PROGRAM), str(photos), str(out), *chosen],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert program.returncode == 0, program.stderr
    result = json.loads(program.stdout.splitlines()[-1])
    assert result == {"changed": [], "failed": {}, "missing": []}


@pytest.mark.skipif(sys.platform != "linux", reason="extended attributes as Linux has them")
def test_commands_leave_the_images_as_they_are(tmp_path: Path) -> None:
    run(tree(tmp_path / "photos"), tmp_path / "out", "index", "check", "export-metadata")


@pytest.mark.torture
@pytest.mark.skipif(sys.platform != "linux", reason="extended attributes as Linux has them")
def test_every_command_leaves_the_images_as_they_are(tmp_path: Path) -> None:
    run(tree(tmp_path / "photos"), tmp_path / "out")


def mounts() -> bool:
    """Return whether this process may make a mount namespace."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    return not subprocess.run([unshare, "-m", "true"], capture_output=True).returncode


@pytest.mark.torture
@pytest.mark.skipif(sys.platform != "linux" or not mounts(), reason="needs mount namespaces")
def test_every_command_works_on_a_read_only_file_system(tmp_path: Path) -> None:
    photos = tree(tmp_path / "photos")
    script = (
        'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && ! touch "$0/x" && exec "$@"'
    )
    run(photos, tmp_path / "out", before=["unshare", "-m", "sh", "-c", script, str(photos)])
