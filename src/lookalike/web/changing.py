"""The process in which one long change of a library is done: it reads its job, does it, and says how it
goes, a line of JSON for every step (see `changes`)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.indexing.report import Added, Indexing, Progress
from lookalike.library import Library
from lookalike.web.apart import step_back

Done = tuple[str, dict[str, Any]]
"""What came of it, in a sentence and as a document."""


def index(library: Library, words: Mapping[str, Any]) -> Done:
    options = Indexing(**words["options"])
    paths = [Path(path) for path in words["paths"]]
    added = library.add(paths, options=options, progress=step)
    return summary(added), asdict(added)


CHANGES = {"indexing": index}


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


def tell(**record: Any) -> None:
    with suppress(OSError):
        print(json.dumps(record), flush=True)  # noqa: T201 - its parent reads it


def summary(added: Added) -> str:
    parts = [
        f"{count:,} {word}"
        for count, word in (
            (added.new, "new"),
            (added.changed, "changed"),
            (added.extended, "known from other vectors"),
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
