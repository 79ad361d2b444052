"""The process in which one long change of a library is done: it reads its job, does it, and says how it
goes, a line of JSON for every step (see `changes`)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from lookalike.ann.faiss_index import Progress as StageProgress
from lookalike.errors import LookalikeError, UsageError
from lookalike.indexing.report import IndexOptions, IndexReport, Progress
from lookalike.library import Library
from lookalike.server.jobs.computations import step_back
from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.stores.records import Space

VECTORS, PATHS = "vectors.npy", "paths.txt"
"""The files of an import, in its folder."""

Done = tuple[str, dict[str, Any]]
"""What came of it, in a sentence and as a document."""


def index(library: Library, words: Mapping[str, Any]) -> Done:
    options = IndexOptions(**words["options"])
    paths = [Path(path) for path in words["paths"]]
    added = library.add(paths, options=options, progress=step)
    return summary(added), asdict(added)


def import_vectors(library: Library, words: Mapping[str, Any]) -> Done:
    folder = Path(words["folder"])
    paths = folder / PATHS
    try:
        imported = library.vectors.import_vectors(
            folder / VECTORS,
            words["name"],
            paths=paths if paths.exists() else None,
            similarity=words["similarity"],
            dtype=words["dtype"],
            ann=words["ann"],
            pca=words["pca"],
            untrusted_paths=True,
            progress=stage_of("Importing vectors"),
        )
    except UsageError as error:  # whoever sent the files knows them by their names alone
        raise type(error)(str(error).replace(f"{folder}{os.sep}", "")) from None
    result = {
        "space": facts(imported.space),
        "images": imported.images,
        "files": imported.files,
    }
    return f"{imported.images:,} vectors imported", result


def build(library: Library, words: Mapping[str, Any]) -> Done:
    wish = IndexBuildOptions(target=words["target"], memory=words["memory"])
    built = library.ann.build(words["by"], wish, progress=stage_of("Building an index"))
    sentence = ", ".join(
        f"{name}: finds {one.recall:.1%} in {one.milliseconds:.2f} ms"
        for name, one in built.items()
    )
    result = {name: asdict(one) for name, one in built.items()}
    return sentence or "all vectors are few enough to be compared one by one", result


def check(library: Library, words: Mapping[str, Any]) -> Done:
    verdicts = library.ann.check(
        words["by"],
        queries=words["queries"],
        rebuild=words["rebuild"],
        progress=stage_of("Checking indexes"),
    )
    good = sum(verdict.ok for verdict in verdicts)
    documents = [
        {
            "space": facts(verdict.space),
            "before": verdict.problem,
            "check": verdict.check and asdict(verdict.check),
            "rebuilt": verdict.rebuilt,
        }
        for verdict in verdicts
    ]
    return f"{good} of {len(verdicts)} indexes are good", {"verdicts": documents}


CHANGES = {"indexing": index, "import": import_vectors, "index": build, "check": check}


def main() -> None:
    job = json.loads(sys.stdin.readline())
    step_back()
    try:
        with Library.open(job["library"]) as library:
            message, result = CHANGES[job["kind"]](library, job["words"])
        tell(running=False, message=message, result=result)
    except LookalikeError as error:
        tell(running=False, message=str(error), error=type(error).__name__)
    except KeyboardInterrupt:
        stopped = "stopped; what was finished is stored"
        tell(running=False, message=stopped, error="LibraryError")


def step(progress: Progress) -> None:
    tell(
        done=progress.done,
        total=progress.total,
        indexed=progress.indexed,
        failed=progress.failed,
        rate=round(progress.done / progress.seconds, 1) if progress.seconds > 0 else 0.0,
        message=progress.path.encode("utf-8", "replace").decode(),
    )


def stage_of(doing: str) -> StageProgress:
    """Tells how far the stages of a change are."""

    def at(stage: str, done: int, total: int) -> None:
        tell(stage=stage, done=done, total=total, message=doing)

    return at


def facts(space: Space) -> dict[str, Any]:
    """A space but for what its extractor learnt."""
    left = {field.name: getattr(space, field.name) for field in fields(space)}
    del left["fitted"]
    return {**left, "index": space.index and asdict(space.index)}


def tell(**record: Any) -> None:
    with suppress(OSError):
        print(json.dumps(record), flush=True)  # noqa: T201 - its parent reads it


def summary(added: IndexReport) -> str:
    parts = [
        f"{count:,} {word}"
        for count, word in (
            (added.new, "new"),
            (added.changed, "changed"),
            (added.added_vectors, "known from other vectors"),
            (added.moved, "moved"),
            (added.copied, "copied"),
            (added.removed, "gone"),
            (added.unchanged, "unchanged"),
            (added.failures, "failed"),
        )
        if count
    ]
    return ", ".join(parts) or "no pictures"


if __name__ == "__main__":
    main()
