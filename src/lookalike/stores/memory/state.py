"""The data of a memory library, which never changes: a writer makes the next state."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import Outcome, UsageError
from lookalike.stores.filters import Field, Value
from lookalike.stores.metadata import field_values
from lookalike.stores.records import (
    SAME_CONTENT_LIMIT,
    Decision,
    FileState,
    Image,
    Root,
    Space,
)
from lookalike.stores.write_plan import Location

Vector: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the library holds.

    newest     the highest id that was ever given
    images     by id; `metadata` is merged from `tables` and `sidecars`
    tables     by image id, the JSON of `Writer.set_metadata`
    sidecars   by image id, mark and JSON
    vectors    by space key and image id
    """

    version: int = 0
    newest: int = 0
    roots: tuple[Root, ...] = ()
    spaces: Mapping[str, Space] = field(default_factory=dict)
    images: Mapping[int, Image] = field(default_factory=dict)
    tables: Mapping[int, str] = field(default_factory=dict)
    sidecars: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    vectors: Mapping[str, Mapping[int, Vector]] = field(default_factory=dict)
    decisions: Mapping[Decision, Decision] = field(default_factory=dict)

    def at(self, root: int, paths: Collection[str]) -> dict[str, Image]:
        """Return the images at these paths, by path."""
        wanted = set(paths)
        return {i.path: i for i in self.images.values() if i.root == root and i.path in wanted}

    def below(self, root: int, folder: str) -> list[Image]:
        """See `Snapshot.images_below`."""
        folder = folder.strip("/")
        start = "" if folder in ("", ".") else f"{folder}/"
        inside = (i for i in self.images.values() if i.root == root)
        return sorted((i for i in inside if f"{i.path}/".startswith(start)), key=location_of_image)

    def file_states(self, root: int, paths: Sequence[str]) -> dict[str, FileState]:
        """See `Snapshot.file_states`."""
        states = {}
        for path, i in self.at(root, paths).items():
            spaces = frozenset(key for key, held in self.vectors.items() if i.id in held)
            states[path] = FileState(i.id, i.size, i.mtime_ns, i.hash, i.outcome, spaces, i.reason)
        return states

    def same_content(
        self, size: int, hash: bytes | None, spaces: Collection[str], *, failed: bool = True
    ) -> list[Image]:
        """See `Writer.same_content`; `failed` as in `Writer.hashes_by_size`."""

        def usable(image: Image) -> bool:
            if image.outcome is not Outcome.INDEXED:
                return failed
            return all(image.id in self.vectors.get(key, {}) for key in spaces)

        same = (i for i in self.images.values() if i.size == size and i.hash is not None)
        found = (i for i in same if hash in (None, i.hash) and usable(i))
        return list(islice(found, SAME_CONTENT_LIMIT))

    def check_images(self, ids: Iterable[int], message: str) -> None:
        """Raise `UsageError` with this message for an unknown id."""
        if not set(ids) <= self.images.keys():
            raise UsageError(message)


def location_of_image(image: Image) -> Location:
    """Return the root id and the path of an image."""
    return image.root, image.path


def stored_facts(image: Image) -> str | None:
    """Return as JSON what the file says about itself; None if it says nothing."""
    return json.dumps(dict(image.facts)) if image.facts else None


def values_of(image: Image) -> dict[Field, list[Value]]:
    """Return all values of all fields of an image, for filters."""
    folder, _, name = image.path.rpartition("/")
    file: dict[str, Value | None] = {
        "id": float(image.id), "path": image.path, "name": name, "folder": folder,
        "size": float(image.size), "width": image.width, "height": image.height,
        "format": image.format, "outcome": image.outcome.value,
    }  # fmt: skip
    given = field_values(stored_facts(image), image.metadata)
    own = {(name, True): [value] for name, value in file.items() if value is not None}
    return own | {(name, False): values for name, values in given.items() if values}
