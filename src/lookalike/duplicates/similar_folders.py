"""Pairs of folders that have images in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from lookalike.duplicates.report import Duplicates

# Folders that one image may be in; a logo that is everywhere says nothing about two of them.
MAX_FOLDERS = 100


@dataclass(frozen=True, slots=True)
class FolderPair:
    """Two folders and what they share. Sub-folders count as folders of their own.

    folder, other              the folders, the one with fewer images first
    shared                     images that both have, as exact copies or copies
    images, other_images       images in each
    """

    folder: Path
    other: Path
    shared: int
    images: int
    other_images: int

    @property
    def share(self) -> float:
        """Share of the smaller folder that the other one has, too, 0 to 1."""
        return self.shared / self.images


def similar_folders(found: Duplicates, files: Iterable[Path]) -> tuple[FolderPair, ...]:
    """Return the pairs of folders with images in common, the largest share of the smaller one first.

    found  groups of duplicates; only exact copies and copies count
    files  all images that were compared
    """
    sizes = Counter(file.parent for file in files)
    shared: Counter[tuple[Path, Path]] = Counter()
    for group in found.groups:
        same = (member for member in group.members if member.kind in ("exact", "copy"))
        folders = sorted({member.file.parent for member in same})
        if len(folders) <= MAX_FOLDERS:
            shared.update(combinations(folders, 2))
    pairs = []
    for (one, other), count in shared.items():
        small, large = sorted((one, other), key=lambda folder: (sizes[folder], folder))
        # A folder with copies within itself shares no more images than it has.
        both = min(count, sizes[small])
        pairs.append(FolderPair(small, large, both, sizes[small], sizes[large]))
    return tuple(
        sorted(pairs, key=lambda pair: (-pair.share, -pair.shared, pair.folder, pair.other))
    )
