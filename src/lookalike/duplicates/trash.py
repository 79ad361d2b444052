"""The trash of the system: files are sent there by Send2Trash, and found there again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

from lookalike.errors import UsageError


def send(file: Path) -> None:
    """Move a file to the trash. Raises OSError if it has none, or the file may not be deleted."""
    from send2trash import send2trash

    send2trash(file)


class Trash:
    """What is in the trash, by the path that it came from.

    paths  from where files are looked for: each drive has a trash of its own
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        if sys.platform == "win32":
            raise UsageError("files in the Recycle Bin can only be restored there, by hand")
        self._found: dict[Path, list[Path]] = {}
        self._loose: dict[str, list[Path]] = {}
        if sys.platform == "darwin":
            self._read_mac(paths)
            return
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        folders = {(data / "Trash", data)}
        for top in {_mount_point(path) for path in paths}:
            folders |= {
                (top / ".Trash" / str(os.getuid()), top),
                (top / f".Trash-{os.getuid()}", top),
            }
        for folder, top in sorted(folders):
            for origin, file in _entries(folder, top):
                self._found.setdefault(origin, []).append(file)

    def files_from(self, path: Path) -> list[Path]:
        """Return the files in the trash that were at this path, or may have been; compare their content."""
        return [*self._found.get(path, ()), *self._loose.get(path.name, ())]

    def forget(self, file: Path) -> None:
        """Delete the note about a file that has left the trash."""
        note = file.parent.parent / "info" / f"{file.name}.trashinfo"
        if file.parent.name == "files":
            note.unlink(missing_ok=True)

    def _read_mac(self, paths: Iterable[Path]) -> None:
        """Take every file by its name: the system does not say where it came from, and may add a time."""
        names = {path.name for path in paths}
        tops = {_mount_point(path) for path in paths}
        folders = [Path.home() / ".Trash", *(top / ".Trashes" / str(os.getuid()) for top in tops)]
        for folder in folders:
            for file in folder.iterdir() if folder.is_dir() else ():
                for name in names:
                    if file.suffix == Path(name).suffix and file.stem.startswith(Path(name).stem):
                        self._loose.setdefault(name, []).append(file)


def _entries(trash: Path, top: Path) -> Iterator[tuple[Path, Path]]:
    """Yield original path and present path of what is in a trash folder (Freedesktop.org trash 1.0)."""
    try:
        notes = sorted((trash / "info").glob("*.trashinfo"))
    except OSError:
        return
    for note in notes:
        file = trash / "files" / note.name.removesuffix(".trashinfo")
        try:
            lines = note.read_bytes().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(b"Path="):
                origin = os.fsdecode(unquote_to_bytes(line.removeprefix(b"Path=")))
                yield Path(os.path.normpath(top / origin)), file
                break


def _mount_point(path: Path) -> Path:
    path = Path(os.path.realpath(path))
    while not path.is_mount() and path != path.parent:
        path = path.parent
    return path
