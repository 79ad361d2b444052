"""Moves chosen images to the trash, whether or not there is another copy."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.duplicates.companions import FolderListings
from lookalike.duplicates.move_record import MoveRecord, digest
from lookalike.duplicates.move_spare import new_record, send_to_trash
from lookalike.errors import UsageError
from lookalike.images.pages import is_page
from lookalike.stores.interface import Image, Store


@dataclass(frozen=True, slots=True)
class TrashReport:
    """What became of images that were to be moved to the trash.

    moved    ids of those that are there now
    refused  ids and reasons of the others
    bytes    that the moved ones take
    record   the file that `undo` reads; None where nothing was to be done
    """

    moved: tuple[int, ...]
    refused: tuple[tuple[int, str], ...]
    bytes: int
    record: Path | None


def trash_images(
    store: Store, images: Sequence[Image], *, progress: Callable[[int, int], None] | None = None
) -> TrashReport:
    """Move images and their sidecars to the trash; see `Library.trash`."""
    if not images:
        return TrashReport((), (), 0, None)
    with store.snapshot() as snapshot:
        roots = {root.id: root.path for root in snapshot.roots() if not root.imported}
    folders, moved, refused = FolderListings(), [], []
    with MoveRecord(new_record(store)) as record:
        for number, image in enumerate(images, start=1):
            try:
                file = _checked_file(image, roots.get(image.root))
                for one in (*folders.companions(file).sidecars, file):
                    step = record.begin("move", one, None, digest(one))
                    try:
                        send_to_trash(one)
                    except BaseException:
                        record.mark(step, "failed")
                        raise
                    record.mark(step, "done")
                moved.append(image)
            except UsageError as error:
                refused.append((image.id, str(error)))
            except OSError as error:
                refused.append((image.id, (error.strerror or str(error)).lower()))
            if progress:
                progress(number, len(images))
    return TrashReport(
        tuple(image.id for image in moved),
        tuple(refused),
        sum(image.size for image in moved),
        record.file,
    )


def _checked_file(image: Image, root: Path | None) -> Path:
    """Return the file of an image; `UsageError` unless it is in its folder, and as it was indexed."""
    if root is None:
        raise UsageError("it has no file")
    file = root / image.path
    if is_page(file):
        raise UsageError("it is a page of a file: name the file itself to move it to the trash")
    inside = os.path.join(os.path.realpath(root), image.path)  # noqa: PTH118
    if file.is_symlink() or os.path.realpath(file) != os.path.normpath(inside):
        raise UsageError("it is reached through a symbolic link")
    if image.hash is None or not file.is_file() or digest(file) != image.hash.hex():
        raise UsageError("it has changed since it was indexed: run `lookalike index`")
    return file
