"""Google Takeout: JSON files that describe images, under names that are cut and numbered.

    IMG_1.jpg.json                           until 2024
    IMG_1.jpg.supplemental-metadata.json     since; a name that would be longer than 46 characters is cut
    IMG_1.jpg.supplemental-me.json           anywhere, and an image's own name after 51 characters
    IMG_1.jpg.supplemental-metadata(1).json  describes IMG_1(1).jpg, as IMG_1.jpg(1).json does
    IMG_1.jpg...json                         also describes IMG_1-edited.jpg, in any language

Google's date and place fill in what the image itself does not say: its date is in UTC, whatever the place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lookalike.images.metadata.facts import whole_position
from lookalike.images.sniff import IMAGE_SUFFIXES
from lookalike.images.walk import FoundFile

KIND = "takeout"
"""Kind of these sidecars, which all others override."""

FALLBACKS = ("taken", "latitude", "longitude")
"""Fields that the image itself overrides."""

_ENDING = "supplemental-metadata"
_MAX_NAME = 46  # characters of a name, without ".json"
_NUMBERED = re.compile(r"(.*?)(\(\d+\))?", re.DOTALL)
_EDITED = re.compile(r"(.+)-[^\W\d_]+((?:\(\d+\))?\.\w+)")


@dataclass(slots=True)
class _Folder:
    """A folder of the walk.

    prefix     its path with "/" at the end, "" for the root
    pairs      images with their other sidecars
    sidecars   by the name of the image that each describes
    plain      the same for photo.jpg.json, which is a sidecar of photo.jpg for everyone (`sidecars.Pairing`)
    cut        sidecars whose name is a beginning of the image's, with the number that its end has
    images     those that may be described by another name than their own
    """

    prefix: str
    pairs: dict[str, dict[str, FoundFile]] = field(default_factory=dict)
    sidecars: dict[str, FoundFile] = field(default_factory=dict)
    plain: dict[str, FoundFile] = field(default_factory=dict)
    cut: list[tuple[str, str, FoundFile]] = field(default_factory=list)
    images: list[str] = field(default_factory=list)

    def close(self) -> Iterator[tuple[str, dict[str, FoundFile]]]:
        """Yield all images with their sidecars, lowest precedence first."""
        found = dict(self.sidecars)
        if self.sidecars or self.plain or self.cut:
            for name in self.images:
                edited = _EDITED.fullmatch(name)
                original = edited[1] + edited[2] if edited else name
                described = self.sidecars.get(original) or self._cut(name) or self._cut(original)
                if edited and not described and name not in self.plain:
                    described = self.plain.get(original)
                if described:
                    found.setdefault(name, described)
        for name, sidecar in found.items():
            path = self.prefix + name
            self.pairs[path] = {KIND: sidecar} | self.pairs.get(path, {})
        yield from self.pairs.items()

    def _cut(self, name: str) -> FoundFile | None:
        stem, dot, extension = name.rpartition(".")
        match = _NUMBERED.fullmatch(stem)
        assert match is not None  # it matches everything
        whole, number = match[1] + dot + extension, match[2] or ""
        return next(
            (one for start, n, one in self.cut if n == number and whole.startswith(start)), None
        )


class TakeoutPairing:
    """Pairs images with Takeout's files from a stream of files in the byte order of their paths.

    Their names are not adjacent, so a folder's pairs are held until the walk has left the folder. Of names,
    only those are kept that Takeout's rules may concern.
    """

    def __init__(self) -> None:
        self._open: list[_Folder] = []

    def hold(self, path: str, sidecars: Mapping[str, FoundFile]) -> None:
        """Keep the other sidecars of an image in an open folder until the folder is closed."""
        folder = next(one for one in reversed(self._open) if path.startswith(one.prefix))
        folder.pairs[path] = dict(sidecars)

    def add(self, path: str, found: FoundFile) -> Sequence[tuple[str, dict[str, FoundFile]]]:
        """Take the next file; return the pairs that are now complete."""
        start = path.rfind("/") + 1
        closed: list[tuple[str, dict[str, FoundFile]]] = []
        if not self._open or self._open[-1].prefix != path[:start]:
            while self._open and not path.startswith(self._open[-1].prefix):
                closed += self._open.pop().close()
            if not self._open or self._open[-1].prefix != path[:start]:
                self._open.append(_Folder(path[:start]))
        name = path[start:]
        if name.endswith(".json"):
            self._add_sidecar(name.removesuffix(".json"), found)
        elif len(name) >= _MAX_NAME or "-" in name:
            self._open[-1].images.append(name)
        return closed

    def end(self) -> Sequence[tuple[str, dict[str, FoundFile]]]:
        """Return the remaining pairs: no more files come."""
        folders, self._open = self._open[::-1], []
        return [pair for folder in folders for pair in folder.close()]

    def _add_sidecar(self, name: str, found: FoundFile) -> None:
        match = _NUMBERED.fullmatch(name)
        assert match is not None  # it matches everything
        described, number = match[1], match[2] or ""
        image, dot, ending = described.rpartition(".")
        if dot and _ENDING.startswith(ending) and _is_image(image):
            described = image
        elif _is_image(described) and not number:
            self._open[-1].plain[described] = found
            return
        if _is_image(described):
            stem, _, extension = described.rpartition(".")
            self._open[-1].sidecars[f"{stem}{number}.{extension}"] = found
        elif len(described) >= _MAX_NAME - 1:
            self._open[-1].cut.append((described, number, found))


def _is_image(name: str) -> bool:
    dot = name.rfind(".")
    return dot > 0 and name[dot:].lower() in IMAGE_SUFFIXES


def is_takeout(values: Mapping[str, Any]) -> bool:
    """Return whether a JSON object is one of Takeout's."""
    return isinstance(values.get("photoTakenTime"), dict) and isinstance(values.get("title"), str)


def takeout_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Takeout says of an image, under the names of this program."""
    fields: dict[str, Any] = {}
    moment = values["photoTakenTime"].get("timestamp")
    with suppress(TypeError, ValueError, OverflowError, OSError):
        fields["taken"] = datetime.fromtimestamp(int(moment), UTC).isoformat()
    if title := values["title"].strip():
        fields["title"] = title
    for place in (values.get("geoData"), values.get("geoDataExif")):
        if isinstance(place, dict) and "latitude" not in fields:
            position = whole_position(
                _number(place.get("latitude")), _number(place.get("longitude"))
            )
            if position:
                fields["latitude"], fields["longitude"] = position
    description = values.get("description")
    if isinstance(description, str) and description.strip():
        fields["caption"] = description.strip()
    people = values.get("people")
    if isinstance(people, list):
        names = [one.get("name") for one in people if isinstance(one, dict)]
        fields["people"] = [name for name in names if isinstance(name, str) and name]
    if values.get("favorited") is True:
        fields["favorite"] = True
    return fields


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
