"""TREC files, which the tools of information retrieval read: judgements (qrels) and rankings (runs).

    qrels   query  0   image  grade            grade 0: judged not relevant
    run     query  Q0  image  rank  score  tag

Columns are separated by white space, so white space in names is percent-encoded as in URLs ("my cat.jpg" is
"my%20cat.jpg"). Lines that begin with # are skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote, unquote

import numpy as np

from lookalike.errors import UsageError
from lookalike.files import output_file

Qrels: TypeAlias = dict[str, dict[str, int]]
"""Query → image → grade; above 0 is relevant."""

Run: TypeAlias = dict[str, list[tuple[str, float]]]
"""Query → (image, score), best first."""

# Characters of names that need no encoding, besides letters, digits and _.-
_PLAIN = "/:,;=@!$&'()*+~[]{}^|"


def read_qrels(file: Path) -> Qrels:
    """Read judgements.

    Raises UsageError, naming the line, if the file cannot be read, is empty, or grades an image twice
    differently.
    """
    found: Qrels = {}
    for number, cells in _rows(file, 4, "query 0 image grade"):
        query, _, image, grade = cells
        try:
            value = int(grade)
        except ValueError:
            raise UsageError(
                f"{file}, line {number}: the grade {grade!r} is not a number"
            ) from None
        grades = found.setdefault(unquote(query), {})
        before = grades.setdefault(unquote(image), value)
        if before != value:
            raise UsageError(f"{file}, line {number}: {image} has the grade {before} already")
    if not found:
        raise UsageError(f"{file} holds no judgements; a line is: query 0 image grade")
    return found


def read_run(file: Path) -> Run:
    """Read rankings in the order of trec_eval: by descending float32 score, ties by descending name.

    The rank column is ignored. Raises UsageError, naming the line, if the file is not a run.
    """
    scores: dict[str, dict[str, float]] = {}
    for number, cells in _rows(file, 6, "query Q0 image rank score tag"):
        query, _, image, _, score, _ = cells
        try:
            value = float(np.float32(score))
        except ValueError:
            raise UsageError(
                f"{file}, line {number}: the score {score!r} is not a number"
            ) from None
        one = scores.setdefault(unquote(query), {})
        if unquote(image) in one:
            raise UsageError(f"{file}, line {number}: {image} is in this ranking already")
        one[unquote(image)] = value
    if not scores:
        raise UsageError(f"{file} holds no rankings")
    return {query: ordered(one) for query, one in scores.items()}


def ordered(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return images by descending score, ties by descending name."""
    named = sorted(scores.items(), key=lambda pair: pair[0], reverse=True)
    return sorted(named, key=lambda pair: pair[1], reverse=True)


def write_qrels(file: Path, qrels: Mapping[str, Mapping[str, int]]) -> None:
    """Write judgements. Raises UsageError if the file cannot be written."""
    lines = (
        f"{encoded(query)} 0 {encoded(image)} {grade}\n"
        for query, grades in qrels.items()
        for image, grade in grades.items()
    )
    _write(file, lines)


def write_run(
    file: Path, run: Iterable[tuple[str, Iterable[tuple[str, float]]]], *, tag: str
) -> None:
    """Write rankings, best first.

    A score that is not below the previous one is written as the next smaller float32, so that trec_eval
    keeps the order. Raises UsageError if the file cannot be written.
    """
    _write(file, _run_lines(run, encoded(tag)))


def _run_lines(run: Iterable[tuple[str, Iterable[tuple[str, float]]]], tag: str) -> Iterator[str]:
    for query, hits in run:
        name, previous = encoded(query), np.float32(np.inf)
        for rank, (image, score) in enumerate(hits, 1):
            previous = min(np.float32(score), np.nextafter(previous, np.float32(-np.inf)))
            yield f"{name} Q0 {encoded(image)} {rank} {previous:.9g} {tag}\n"


def encoded(name: str) -> str:
    """Return the name with white space encoded. Letters of all scripts stay as they are."""
    return "".join(
        c if c.isalnum() else quote(c, safe=_PLAIN, errors="surrogateescape") for c in name
    )


def _rows(file: Path, columns: int, layout: str) -> Iterator[tuple[int, list[str]]]:
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
            for number, line in enumerate(lines, 1):
                cells = line.split()
                if not cells or cells[0].startswith("#"):
                    continue
                if len(cells) != columns:
                    raise UsageError(
                        f"{file}, line {number}: {len(cells)} columns; a line is: {layout} "
                        "(spaces in names are written %20)"
                    )
                yield number, cells
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error


def _write(file: Path, lines: Iterable[str]) -> None:
    with output_file(file) as out:
        out.writelines(line.encode("utf-8", "surrogateescape") for line in lines)
