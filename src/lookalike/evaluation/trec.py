"""The files of TREC, which every tool of the field reads: judgements (qrels) and rankings (runs).

    qrels   question  0   picture  grade            0: judged, and not relevant
    run     question  Q0  picture  rank  score  tag

The columns are separated by white space, so names are percent-encoded where they hold any (as in URLs:
"my cat.jpg" is "my%20cat.jpg"). Lines that begin with # are passed over.
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
"""Question → picture → grade; more than 0 is relevant."""

Run: TypeAlias = dict[str, list[tuple[str, float]]]
"""Question → (picture, score), best first."""

_PLAIN = "/:,;=@!$&'()*+~[]{}^|"
"""Characters of names that need no encoding, beside letters, digits and _.-"""


def read_qrels(file: Path) -> Qrels:
    """Judgements. `UsageError` where the file cannot be read, holds none, or says two things of one
    picture; it names the line."""
    found: Qrels = {}
    for number, cells in _rows(file, 4, "question 0 picture grade"):
        question, _, picture, grade = cells
        try:
            value = int(grade)
        except ValueError:
            raise UsageError(f"{file}, line {number}: the grade {grade!r} is no number") from None
        grades = found.setdefault(unquote(question), {})
        before = grades.setdefault(unquote(picture), value)
        if before != value:
            raise UsageError(f"{file}, line {number}: {picture} has the grade {before} already")
    if not found:
        raise UsageError(f"{file} holds no judgement: write lines of: question 0 picture grade")
    return found


def read_run(file: Path) -> Run:
    """Rankings, ordered as trec_eval orders them: by falling score (in float32, as there), equal ones by
    falling name; the column with the rank is not looked at."""
    scores: dict[str, dict[str, float]] = {}
    for number, cells in _rows(file, 6, "question Q0 picture rank score tag"):
        question, _, picture, _, score, _ = cells
        try:
            value = float(np.float32(score))
        except ValueError:
            raise UsageError(f"{file}, line {number}: the score {score!r} is no number") from None
        one = scores.setdefault(unquote(question), {})
        if unquote(picture) in one:
            raise UsageError(f"{file}, line {number}: {picture} stands in this ranking already")
        one[unquote(picture)] = value
    if not scores:
        raise UsageError(f"{file} holds no ranking")
    return {question: ordered(one) for question, one in scores.items()}


def ordered(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    """Pictures by falling score, equal ones by falling name."""
    named = sorted(scores.items(), key=lambda pair: pair[0], reverse=True)
    return sorted(named, key=lambda pair: pair[1], reverse=True)


def write_qrels(file: Path, qrels: Mapping[str, Mapping[str, int]]) -> None:
    """`UsageError` where the file cannot be written."""
    lines = (
        f"{encoded(question)} 0 {encoded(picture)} {grade}\n"
        for question, grades in qrels.items()
        for picture, grade in grades.items()
    )
    _write(file, lines)


def write_run(
    file: Path, run: Iterable[tuple[str, Iterable[tuple[str, float]]]], *, tag: str
) -> None:
    """Rankings, best first. A score that is not below the one before it is written as the next smaller
    float32, so that trec_eval keeps the order. `UsageError` where the file cannot be written."""
    _write(file, _run_lines(run, encoded(tag)))


def _run_lines(run: Iterable[tuple[str, Iterable[tuple[str, float]]]], tag: str) -> Iterator[str]:
    for question, hits in run:
        asked, before = encoded(question), np.float32(np.inf)
        for rank, (picture, score) in enumerate(hits, 1):
            before = min(np.float32(score), np.nextafter(before, np.float32(-np.inf)))
            yield f"{asked} Q0 {encoded(picture)} {rank} {before:.9g} {tag}\n"


def encoded(name: str) -> str:
    """The name without white space. Letters of all scripts stay as they are."""
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
                        "(blanks in names are written %20)"
                    )
                yield number, cells
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error


def _write(file: Path, lines: Iterable[str]) -> None:
    with output_file(file) as out:
        out.writelines(line.encode("utf-8", "surrogateescape") for line in lines)
