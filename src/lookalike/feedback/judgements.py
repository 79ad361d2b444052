"""What people decided about pictures: remembered by content, carried from library to library."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lookalike.errors import ImageError, UsageError
from lookalike.images.reading import read
from lookalike.search.terms import known, unchanged
from lookalike.stores.interface import DECISIONS, Decision, DecisionKind, Snapshot, Store

SINGLE: DecisionKind = "keep"

MOST_TEXT = 1000
"""Bytes of a name or a date that lines bring along."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, and where the library has the contents that it is about (perhaps nowhere)."""

    decision: Decision
    first: tuple[Path, ...]
    second: tuple[Path, ...] = ()


class Decisions:
    """The decisions of a library: `Library.decisions`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self, kind: DecisionKind, picture: Path | str, *others: Path | str, who: str = ""
    ) -> list[Decision]:
        """Decide something on a picture, and on each of the others with it.

        "not-duplicate"             the picture is not the same as any of the others
        "keep"                      of its copies, the picture is the one to keep (so is each other)
        "relevant", "not-relevant"  to the question `picture`, each of the others is what was meant

        Pictures are files (in the library or not), or paths that the library remembers. `UsageError`
        where one is neither, or where a pair has only one picture or the same one twice.
        """
        made = self._meant(kind, [Path(picture), *map(Path, others)], who)
        with self._store.writer() as writer:
            writer.add_decisions(made)
        return made

    def forget(self, kind: DecisionKind, picture: Path | str, *others: Path | str) -> int:
        """Take decisions back; how many there were."""
        made = self._meant(kind, [Path(picture), *map(Path, others)], "")
        with self._store.writer() as writer:
            return writer.remove_decisions(made)

    def all(self, kinds: Iterable[DecisionKind] | None = None) -> list[Decided]:
        """Every decision (of these kinds), with the files that it is about, in a fixed order."""
        with self._store.snapshot() as snapshot:
            return [
                Decided(d, files(snapshot, d.first), files(snapshot, d.second) if d.second else ())
                for d in snapshot.decisions(kinds)
            ]

    def lines(self) -> Iterator[str]:
        """The decisions as JSON, one a line, for `load` of this or another library."""
        with self._store.snapshot() as snapshot:
            for decision in snapshot.decisions():
                record = {
                    "kind": decision.kind,
                    "first": decision.first.hex(),
                    "second": decision.second.hex() if decision.second else None,
                    "who": decision.who,
                    "when": decision.when,
                }
                yield json.dumps({name: value for name, value in record.items() if value})

    def load(self, lines: Iterable[str]) -> int:
        """Take over what `lines` gave; how many are new. `UsageError` names the line that is wrong, and
        then nothing is taken over."""
        decisions = [
            parsed(line, number) for number, line in enumerate(lines, start=1) if line.strip()
        ]
        with self._store.writer() as writer:
            return writer.add_decisions(decisions)

    def _meant(self, kind: DecisionKind, pictures: list[Path], who: str) -> list[Decision]:
        if kind not in DECISIONS:
            raise UsageError(f"a decision is one of {', '.join(DECISIONS)}, not {kind}")
        with self._store.snapshot() as snapshot:
            hashes = [content(snapshot, picture) for picture in pictures]
        when = datetime.now(UTC).isoformat(timespec="seconds")
        if kind == SINGLE:
            return [Decision(kind, hash, None, who, when) for hash in hashes]
        if len(hashes) < 2:
            raise UsageError(f"{kind} is said of a picture and others: name at least two")
        for picture, hash in zip(pictures[1:], hashes[1:], strict=True):
            if hash == hashes[0]:
                raise UsageError(f"{picture} has the same bytes as {pictures[0]}")
        return [Decision(kind, hashes[0], hash, who, when) for hash in hashes[1:]]


def parsed(line: str, number: int) -> Decision:
    """A decision from a line of JSON."""
    try:
        record = json.loads(line)
        second = record.get("second")
        return Decision(
            record["kind"],
            bytes.fromhex(record["first"]),
            bytes.fromhex(second) if second else None,
            _text(record.get("who", "")),
            _text(record.get("when", "")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError(f"line {number} is no decision: {str(error)[:200]}") from None


def _text(value: object) -> str:
    """A name or a date: UTF-8, as the catalogue keeps it, and no longer than such things are."""
    text = str(value)
    if len(text.encode()) > MOST_TEXT:
        raise ValueError(f"a name or a date of more than {MOST_TEXT} bytes")
    return text


def content(snapshot: Snapshot, picture: Path) -> bytes:
    """The hash of what is in a file, from the library where it has not changed since."""
    image = unchanged(snapshot, picture)
    if image is not None and image.hash is not None:
        return image.hash
    try:
        return read(picture).digest
    except ImageError as error:
        whole = picture.absolute()
        remembered = (known(snapshot, root, whole) for root in snapshot.roots())
        image = next((image for image in remembered if image and image.hash), None)
        if image is None or image.hash is None:
            raise UsageError(f"{picture} is no file, and the library does not know it") from error
        return image.hash


def files(snapshot: Snapshot, hash: bytes) -> tuple[Path, ...]:
    """Where the library has this content."""
    folders = {root.id: root.path for root in snapshot.roots()}
    return tuple(folders[image.root] / image.path for image in snapshot.by_hash(hash))
