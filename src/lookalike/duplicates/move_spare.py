"""Moves spare files to the trash or to a folder, each after a check that what is kept has its content."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from lookalike.duplicates import trash
from lookalike.duplicates.companions import FolderListings, inherited_metadata
from lookalike.duplicates.joined_snapshot import OFFSET
from lookalike.duplicates.move_record import MOVED, MoveRecord, Step, digest, undo_step
from lookalike.duplicates.report import Duplicates, Group, Member
from lookalike.errors import UsageError
from lookalike.files import move_file, sync_folder
from lookalike.stores.interface import Image, Store

# Names that are tried where one is taken: "a.jpg", "a (2).jpg" …
MAX_NAMES = 1000

Describe = Callable[[Image, Mapping[str, Any]], None]
"""Adds metadata to the image that is kept. Raises UsageError if that is not possible."""


@dataclass(frozen=True, slots=True)
class MovedFile:
    """What became of one spare file.

    kept     the file that is kept instead
    target   where it is; None if it is in the trash or has stayed
    bytes    its size
    refused  why it has stayed; "" if it was moved, or would be
    """

    path: Path
    kept: Path
    target: Path | None
    bytes: int
    refused: str = ""


@dataclass(frozen=True, slots=True)
class MoveReport:
    """The result of moving spare files.

    record   the file that `undo` reads; None after a dry run, and where nothing was to be done
    dry_run  whether nothing was done
    """

    files: tuple[MovedFile, ...]
    record: Path | None
    dry_run: bool = False

    @property
    def moved(self) -> tuple[MovedFile, ...]:
        """The files that were moved, or would be."""
        return tuple(file for file in self.files if not file.refused)

    @property
    def refused(self) -> tuple[MovedFile, ...]:
        """The files that have stayed."""
        return tuple(file for file in self.files if file.refused)


class SpareMover:
    """Moves the spare files of groups.

    roots     folders of the library: below them files keep their sub-folders
    target    folder to move to; None: the trash
    record    where each step is written; None: nothing is done
    describe  called with what the library knows of a moved file and not of the one that is kept
    """

    def __init__(
        self,
        roots: Sequence[Path],
        target: Path | None,
        record: MoveRecord | None,
        describe: Describe,
    ) -> None:
        self._roots = roots
        self._target = target
        self._record = record
        self._describe = describe
        self._folders = FolderListings()
        self._checked: dict[Path, tuple[int, ...]] = {}
        self._planned: set[Path] = set()

    def move(self, group: Group, member: Member) -> MovedFile:
        """Move one spare member with all that belongs to it, or say why it stays."""
        kept, target = group.best.file, None
        try:
            target = self._move(group.best, member)
            refused = ""
        except (UsageError, OSError) as error:
            strerror = error.strerror if isinstance(error, OSError) else None
            refused = (strerror or str(error)).lower() if strerror else str(error)
        return MovedFile(member.file, kept, target, member.image.size, refused)

    def _move(self, best: Member, member: Member) -> Path | None:
        if not member.spare:
            raise UsageError(member.reason or "it is the file to keep")
        self._check_kept(best)
        self._check_spare(best, member)
        belonging, inherited = self._companions(best.file, member.file)
        values = inherited_metadata(best.image, member.image)
        if values:
            self._describe(best.image, values)
        steps: list[Step] = []
        try:
            for sidecar, beside in inherited:
                self._copy(sidecar, beside, steps)
            places = [self._send(member.links[0], steps)]
            # One file may have two paths without being linked: a folder that is mounted twice.
            others = [file for file in member.links[1:] if os.path.lexists(file)]
            if self._record is None:
                others = [file for file in others if not file.samefile(member.file)]
            places += [self._send(file, steps) for file in others]
            for file in belonging:
                to = places[0] and self._folders.sidecar_name(file, member.file, places[0])
                self._send(file, steps, to)
            self._check_kept(best)
        except BaseException:
            self._take_back(steps)
            raise
        return places[0]

    def _check_kept(self, best: Member) -> None:
        """Raise UsageError unless the file to keep has the content that it had when it was indexed.

        It is read again only if it seems to have changed since this was checked last.
        """
        try:
            state = best.file.stat()
            found = (
                state.st_dev,
                state.st_ino,
                state.st_size,
                state.st_mtime_ns,
                state.st_ctime_ns,
            )
            if self._checked.get(best.file) == found:
                return
            if best.image.hash is None or digest(best.file) != best.image.hash.hex():
                raise UsageError(
                    f"{best.file}, which would be kept, has changed: run `lookalike index`"
                )
        except OSError as error:
            raise UsageError(
                f"{best.file}, which would be kept, cannot be read: {(error.strerror or '').lower()}"
            ) from None
        self._checked[best.file] = found

    def _check_spare(self, best: Member, member: Member) -> None:
        """Raise UsageError unless the spare file is as it was indexed, no link, and not the one to keep."""
        for file in member.links:
            if file.is_symlink() or os.path.realpath(file) != self._expected_path(file):
                raise UsageError("it is reached through a symbolic link")
            if file.samefile(best.file):
                raise UsageError("it is the same file as the one to keep")
        if member.image.hash is None or digest(member.file) != member.image.hash.hex():
            raise UsageError("it has changed since it was indexed: run `lookalike index`")

    def _expected_path(self, file: Path) -> str:
        root = self._root_of(file)
        return os.path.join(os.path.realpath(root), file.relative_to(root))  # noqa: PTH118

    def _root_of(self, file: Path) -> Path:
        inside = [root for root in self._roots if file.is_relative_to(root)]
        if not inside:
            raise UsageError("it lies outside the folders of the library")
        return min(inside, key=lambda root: len(root.parts))

    def _companions(self, kept: Path, spare: Path) -> tuple[list[Path], list[tuple[Path, Path]]]:
        """Return the files that go with a spare one, and (sidecar, copy) for the image that is kept.

        Raises UsageError if a raw file or a video would lose its image.
        """
        mine, theirs = self._folders.companions(spare), self._folders.companions(kept)
        for file in (*mine.raw, *mine.videos):
            same = (other for other in (*theirs.raw, *theirs.videos) if _same_content(file, other))
            if next(same, None) is None:
                raise UsageError(f"{file.name} belongs to it and is not beside the image to keep")
        inherited = []
        sidecars = (*mine.sidecars, *mine.of_raw)
        for sidecar in sidecars:
            beside = self._folders.sidecar_name(sidecar, spare, kept)
            if not os.path.lexists(beside):
                inherited.append((sidecar, beside))
        return [*mine.raw, *mine.videos, *sidecars], inherited

    def _copy(self, source: Path, target: Path, steps: list[Step]) -> None:
        """Copy a sidecar beside the image that is kept."""
        if self._record is None:
            if not os.access(target.parent, os.W_OK):
                raise UsageError(f"no permission to write {target}, which keeps its sidecar")
            return
        step = self._record.begin("copy", source, target, digest(source))
        with source.open("rb") as read, target.open("xb") as written:
            steps.append(step)
            shutil.copyfileobj(read, written)
        shutil.copystat(source, target)
        self._record.mark(step, "done")

    def _send(self, file: Path, steps: list[Step], wanted: Path | None = None) -> Path | None:
        """Move one file, and return where it is; None for the trash.

        wanted  where it should be; None: below the target folder as it was below the root
        """
        target = self._free_name(file, wanted)
        if not os.access(file.parent, os.W_OK):
            raise UsageError(f"no permission to change the folder {file.parent}")
        if self._record is None:
            return target
        step = self._record.begin("move", file, target, digest(file))
        steps.append(step)
        if target is None:
            send_to_trash(file)
        else:
            self._make_folder(target.parent)
            move_file(file, target)
            sync_folder(target.parent)
        self._record.mark(step, "done")
        return target

    def _free_name(self, file: Path, wanted: Path | None = None) -> Path | None:
        """Return the path below the target folder where nothing is; None for the trash."""
        if self._target is None:
            return None
        if wanted is None:
            root = self._root_of(file)
            below = file.relative_to(root)
            wanted = self._target / (root.name if len(self._roots) > 1 else "") / below
        names = (wanted, *(wanted.with_stem(f"{wanted.stem} ({n})") for n in range(2, MAX_NAMES)))
        free = next((n for n in names if not os.path.lexists(n) and n not in self._planned), None)
        if free is None:
            raise UsageError(f"{wanted} and {MAX_NAMES} names like it are taken")
        self._planned.add(free)
        return free

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        assert self._target is not None
        real = os.path.join(os.path.realpath(self._target), folder.relative_to(self._target))  # noqa: PTH118
        if os.path.realpath(folder) != os.path.normpath(real):
            raise UsageError(f"{folder} leads through a symbolic link")

    def _take_back(self, steps: Sequence[Step]) -> None:
        """Undo the steps of one image, because one of them failed."""
        if self._record is None:
            return
        bin_ = None
        if any(step.target is None for step in steps):
            bin_ = trash.Trash([step.source for step in steps])
        for step in reversed(steps):
            with suppress(OSError, UsageError):  # the record keeps it as moved
                undo_step(step, bin_)
                self._record.mark(step, "undone")


def move_spare(
    store: Store,
    found: Duplicates,
    target: Path | None,
    *,
    record: Path | None = None,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> MoveReport:
    """Move the spare files of groups; see `Library.move_spare`."""
    work = [(group, member) for group in found.groups for member in group.spare]
    with ExitStack() as stack:
        snapshot = stack.enter_context(store.snapshot())
        roots = [root.path for root in snapshot.roots() if not root.imported]
        writer = None
        if work and not dry_run and not store.read_only:
            writer = stack.enter_context(store.writer())
        described: dict[int, dict[str, Any]] = {}

        def describe(image: Image, values: Mapping[str, Any]) -> None:
            if store.read_only or image.id >= OFFSET:
                where = (
                    "this library cannot be changed" if store.read_only else "is in another library"
                )
                raise UsageError(f"the kept image lacks its {', '.join(values)}, and {where}")
            if writer is not None:
                known = described.setdefault(image.id, dict(image.metadata))
                known |= values
                writer.set_metadata({image.id: known})

        out = None
        if not dry_run and work:
            out = stack.enter_context(MoveRecord(record or new_record(store)))
        mover = SpareMover(roots, target, out, describe)
        files = []
        for number, (group, member) in enumerate(work, start=1):
            files.append(mover.move(group, member))
            if progress:
                progress(number, len(work))
    return MoveReport(tuple(files), out.file if out else None, dry_run)


def new_record(store: Store) -> Path:
    """Return where a record is written by default."""
    if store.folder is None:
        raise UsageError("this library has no folder for the record: name a file with --record")
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    names = (store.folder / MOVED / f"{now}-{number}.jsonl" for number in count(1))
    return next(name for name in names if not name.exists())


def send_to_trash(file: Path) -> None:
    """Move a file to the trash; `UsageError` if that is not possible."""
    try:
        trash.send(file)
    except OSError as error:
        raise UsageError(
            f"cannot be moved to the trash: {error.strerror or error}; use --move-to DIR"
        ) from None


def _same_content(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and digest(one) == digest(other)
