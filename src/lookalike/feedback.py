"""Judgements of people about images, and what they change in a search."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import PARSE_ERRORS, ImageError, UsageError
from lookalike.field_options import check_choice
from lookalike.images.reading import read
from lookalike.query import Term
from lookalike.stores.interface import DECISIONS, Decision, DecisionKind, Snapshot, Space, Store
from lookalike.stores.paths import image_by_path, unchanged_image
from lookalike.vectors.rocchio import rocchio

MAX_LINE = 10_000
"""Characters of an imported line."""

MAX_TEXT = 1000
"""Bytes of a name or date in an imported line."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A stored decision, and the files of the library that have the contents it refers to, if any."""

    decision: Decision
    first: tuple[Path, ...]
    second: tuple[Path, ...] = ()


class Feedback:
    """The judgements stored in a library."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self, kind: DecisionKind, image: Path | str, *others: Path | str, who: str = ""
    ) -> list[Decision]:
        """Store a judgement about an image, or about the image and each of the others.

        "not-duplicate"             the image is not a duplicate of any of the others
        "keep"                      of its copies, the image is the one to keep (so is each other)
        "relevant", "not-relevant"  each of the others is, or is not, what a query with the image means

        Images are files (in the library or not), or paths in the library. `UsageError` if one is
        neither, or if a pair has only one image or the same one twice.
        """
        decisions = self._decisions(kind, [Path(image), *map(Path, others)], who)
        with self._store.writer() as writer:
            writer.add_decisions(decisions)
        return decisions

    def remove(self, kind: DecisionKind, image: Path | str, *others: Path | str) -> int:
        """Remove judgements and return how many there were."""
        decisions = self._decisions(kind, [Path(image), *map(Path, others)], "")
        with self._store.writer() as writer:
            return writer.remove_decisions(decisions)

    def all(self, kinds: Iterable[DecisionKind] | None = None) -> list[Judgement]:
        """Return every judgement (of these kinds) in a fixed order."""
        with self._store.snapshot() as snapshot:
            return [
                Judgement(
                    one,
                    files_with_content(snapshot, one.first),
                    files_with_content(snapshot, one.second) if one.second else (),
                )
                for one in snapshot.decisions(kinds)
            ]

    def export_lines(self) -> Iterator[str]:
        """Yield the judgements as JSON lines, for `import_lines` of this or another library."""
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

    def import_lines(self, lines: Iterable[str]) -> int:
        """Store exported judgements and return how many are new.

        `UsageError` names the first line that is wrong; then nothing is stored.
        """
        decisions = [
            parse_line(line, number) for number, line in enumerate(lines, start=1) if line.strip()
        ]
        with self._store.writer() as writer:
            return writer.add_decisions(decisions)

    def _decisions(self, kind: DecisionKind, images: list[Path], who: str) -> list[Decision]:
        check_choice("a judgement", kind, DECISIONS)
        with self._store.snapshot() as snapshot:
            hashes = [content_hash(snapshot, image) for image in images]
        when = datetime.now(UTC).isoformat(timespec="seconds")
        if kind == "keep":
            return [Decision(kind, hash, None, who, when) for hash in hashes]
        if len(hashes) < 2:
            raise UsageError(f"{kind} relates an image to others: name at least two images")
        for image, hash in zip(images[1:], hashes[1:], strict=True):
            if hash == hashes[0]:
                raise UsageError(f"{image} has the same bytes as {images[0]}: name two images")
        return [Decision(kind, hashes[0], hash, who, when) for hash in hashes[1:]]


def parse_line(line: str, number: int) -> Decision:
    """Return the decision in a line of JSON; `UsageError` names the line if it is not one."""
    if len(line) > MAX_LINE:
        raise UsageError(f"line {number} is not a judgement: it has {len(line):,} characters")
    try:
        record = json.loads(line)
        second = record.get("second")
        return Decision(
            record["kind"],
            bytes.fromhex(record["first"]),
            bytes.fromhex(second) if second else None,
            _short_text(record.get("who", "")),
            _short_text(record.get("when", "")),
        )
    except PARSE_ERRORS as error:
        raise UsageError(f"line {number} is not a judgement: {str(error)[:200]}") from None


def content_hash(snapshot: Snapshot, path: Path) -> bytes:
    """Return the hash of an image file, from the library where the file has not changed since."""
    image = unchanged_image(snapshot, path)
    if image is not None and image.hash is not None:
        return image.hash
    try:
        return read(path).digest
    except ImageError as error:
        image = image_by_path(snapshot, path)
        if image is None or image.hash is None:
            raise UsageError(f"{path} is not a file, and the library does not know it") from error
        return image.hash


def files_with_content(snapshot: Snapshot, hash: bytes) -> tuple[Path, ...]:
    """Return the files of the library that have this content."""
    folders = {root.id: root.path for root in snapshot.roots()}
    return tuple(folders[image.root] / image.path for image in snapshot.by_hash(hash))


def _short_text(value: object) -> str:
    """Return a name or a date, if it is valid UTF-8 and not too long."""
    text = str(value)
    if len(text.encode()) > MAX_TEXT:
        raise ValueError(f"a name or a date of more than {MAX_TEXT} bytes")
    return text


def apply_feedback(
    snapshot: Snapshot, space: Space, terms: Sequence[Term], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the vectors (n, dim) of a query, moved by the judgements of its images.

    They move towards the images judged "relevant" to a query image, away from those judged
    "not-relevant". Terms with a negative weight, and images without judgements, change nothing.
    """
    judged: dict[str, set[int]] = {"relevant": set(), "not-relevant": set()}
    for term in terms:
        hash = _hash_of(snapshot, term) if term.weight > 0 else None
        if hash is None:
            continue
        for decision in snapshot.decisions(["relevant", "not-relevant"], about=hash):
            if decision.first == hash and decision.second:
                same = snapshot.by_hash(decision.second)[:1]  # copies add nothing
                judged[decision.kind] |= {image.id for image in same}
    relevant = _stored_vectors(snapshot, space, judged["relevant"])
    irrelevant = _stored_vectors(snapshot, space, judged["not-relevant"])
    return rocchio(vectors, relevant, irrelevant) if len(relevant) or len(irrelevant) else vectors


def _hash_of(snapshot: Snapshot, term: Term) -> bytes | None:
    """Return the hash by which judgements refer to the image; None for text, vectors and pixels."""
    if term.id is not None:
        image = snapshot.images([term.id]).get(term.id)
        return image.hash if image else None
    if isinstance(term.image, bytes):
        return hashlib.sha256(term.image).digest()
    if isinstance(term.image, Path):
        try:
            return content_hash(snapshot, term.image)
        except UsageError:
            return None
    return None


def _stored_vectors(snapshot: Snapshot, space: Space, ids: set[int]) -> NDArray[np.float32]:
    """Return the vectors of those of the images that have one, in a fixed order."""
    vectors = snapshot.vectors(space.key, np.array(sorted(ids), np.int64))
    return vectors[~np.isnan(vectors).any(axis=1)]
