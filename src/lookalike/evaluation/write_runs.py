"""The rankings of an evaluation as TREC runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.evaluation.evaluate import Evaluation
from lookalike.evaluation.systems import System
from lookalike.evaluation.trec import write_run


def save_runs(evaluation: Evaluation, folder: Path) -> list[Path]:
    """A file a system, named after it; returns them. Rankings that came from a file are not written
    again. `UsageError` where the folder cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    written = []
    for system in evaluation.systems:
        if system.kind != "run":
            tag = re.sub(r"[^\w.-]+", "-", system.name).strip("-")
            write_run(folder / f"{tag}.run", _rankings(evaluation, system), tag=tag)
            written.append(folder / f"{tag}.run")
    return written


def _rankings(
    evaluation: Evaluation, system: System
) -> Iterator[tuple[str, Iterator[tuple[str, float]]]]:
    names = evaluation.pictures.names
    judged = system.judged
    for question, rows, scores in zip(
        evaluation.truth.names, judged.best, judged.scores, strict=True
    ):
        pairs = zip(rows.tolist(), scores.tolist(), strict=True)
        yield question, ((names[row], score) for row, score in pairs if row >= 0)
