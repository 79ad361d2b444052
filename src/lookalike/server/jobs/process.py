"""The job process: `python -m lookalike.server.jobs.process` does one job and exits.

standard input   one line of JSON: {"library": PATH, "kind": KIND, "arguments": {…}}. When it is closed, the
                 job is cancelled, and what is finished stays stored: the process never outlives the server.
standard output  one JSON object per line:
                 {"progress": {…}}                   fields of `JobState` that have changed
                 {"result": {…}, "message": "…"}     the job is done
                 {"error": NAME, "message": "…"}     it failed with this error
                 {"cancelled": true, "message": "…"}
                 {"begin": {…}}                      an export begins; all that follows is its bytes, complete
                                                     if the process exits with status 0
"""

from __future__ import annotations

import _thread
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from lookalike.ann.faiss_index import Progress as StageProgress
from lookalike.duplicates.move_record import MOVED, read_record
from lookalike.errors import LookalikeError, UsageError
from lookalike.indexing.report import IndexOptions, IndexReport, Progress
from lookalike.library import Library
from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.wire import encode
from lookalike.wire.http import Refused, Restored, Trashed

# Files of an import, in the folder that the arguments name.
VECTORS_FILE, PATHS_FILE = "vectors.npy", "paths.txt"

Arguments = Mapping[str, Any]
Report = Callable[[str, Any], None]
"""Writes one message: its key and value."""

JobResult = tuple[str, dict[str, Any]]
"""The result in a sentence, and as a document."""


def index(library: Library, arguments: Arguments, report: Report) -> JobResult:
    """Run a job that indexes sources."""
    options = IndexOptions(**arguments["options"])
    paths = [Path(path) for path in arguments["paths"]]
    added = library.add(paths, options=options, progress=index_progress(report))
    return summary(added), encode(added)


def import_vectors(library: Library, arguments: Arguments, report: Report) -> JobResult:
    """Run a job that imports vectors."""
    folder = Path(arguments["folder"])
    paths = folder / PATHS_FILE
    try:
        imported = library.vectors.import_vectors(
            folder / VECTORS_FILE,
            arguments["name"],
            paths=paths if paths.exists() else None,
            similarity=arguments["similarity"],
            dtype=arguments["dtype"],
            ann=arguments["ann"],
            pca=arguments["pca"],
            untrusted_paths=True,
            progress=stage_progress(report, "Importing vectors"),
        )
    except UsageError as error:  # the client knows the files by their names only
        raise type(error)(str(error).replace(f"{folder}{os.sep}", "")) from None
    return f"{imported.images:,} vectors imported", encode(imported)


def build_ann(library: Library, arguments: Arguments, report: Report) -> JobResult:
    """Run a job that builds ANN indexes."""
    options = IndexBuildOptions(target=arguments["target"], memory=arguments["memory"])
    progress = stage_progress(report, "Building an ANN index")
    built = library.ann.build(arguments["extractor"], options, progress=progress)
    sentence = ", ".join(
        f"{name}: recall {one.recall:.1%} in {one.milliseconds:.2f} ms"
        for name, one in built.items()
    )
    result = {name: encode(one) for name, one in built.items()}
    return sentence or "no space is large enough to need an ANN index", result


def check_ann(library: Library, arguments: Arguments, report: Report) -> JobResult:
    """Run a job that checks ANN indexes."""
    results = library.ann.check(
        arguments["extractor"],
        queries=arguments["queries"],
        rebuild=arguments["rebuild"],
        progress=stage_progress(report, "Checking ANN indexes"),
    )
    good = sum(result.ok for result in results)
    documents = [encode(result) for result in results]
    return f"{good} of {len(results)} ANN indexes are good", {"results": documents}


def duplicates(library: Library, arguments: Arguments, report: Report) -> JobResult:
    """Run a job that finds duplicates."""

    found = library.duplicates(**arguments, progress=pair_progress(report))
    return f"{len(found):,} groups", encode(found)


def similar_groups(library: Library, arguments: Arguments, _: Report) -> JobResult:
    """Run a job that finds groups of similar images."""
    found = library.similar_groups(**arguments)
    return f"{len(found):,} groups", encode(found)


def lay_out_map(library: Library, arguments: Arguments, report: Report) -> JobResult:
    """Run a job that computes the layout of the map and keeps it in a file, unless that exists."""
    from lookalike.embedding_map.stored_layout import layout_of  # it imports much

    layout, file = layout_of(
        library,
        extractor=arguments["extractor"],
        method=arguments["method"],
        folder=Path(arguments["folder"]),
        update=True,
        progress=pair_progress(report),
    )
    return f"{len(layout):,} images", {"file": os.fspath(file)}


def estimate(library: Library, arguments: Arguments, _: Report) -> JobResult:
    """Run a job that estimates the cost of indexing."""
    options = IndexOptions(**arguments["options"])
    found = library.estimate(arguments["paths"], options=options, sample=arguments["sample"])
    return f"{found.to_index:,} images", encode(found)


def export(library: Library, arguments: Arguments, report: Report, out: BinaryIO) -> None:
    """Write the vectors of a space to the output. The client's pace is ours: the pipe has no more room."""
    library.vectors.stream_vectors(
        out=out, begin=lambda header: report("begin", encode(header)), **arguments
    )


def trash(library: Library, arguments: Arguments, report: Report) -> JobResult:
    """Run a job that moves images to the trash."""
    images = [Path(f"id:{id}") for id in arguments["ids"]]
    found = library.trash(images, progress=pair_progress(report))
    refused = tuple(Refused(id, "", reason) for id, reason in found.refused)
    return moved_sentence(len(found.moved)), encode(
        Trashed(found.moved, refused, found.bytes, record_name(found.record))
    )


def trash_spare(library: Library, arguments: Arguments, report: Report) -> JobResult:
    """Run a job that moves the spare files of some groups of duplicates to the trash. They are compared
    again, so that what became another group since stays."""
    wanted = set(arguments["groups"])
    found = library.duplicates(**arguments["search"], progress=pair_progress(report))
    groups = tuple(group for group in found.groups if group.id in wanted)
    moves = library.move_spare(replace(found, groups=groups), progress=pair_progress(report))
    spare = {str(member.file): member.image for group in groups for member in group.spare}
    moved = tuple(spare[str(file.path)] for file in moves.moved)
    if moved:
        library.remove([Path(f"id:{image.id}") for image in moved])
    refused = tuple(
        Refused(spare[str(file.path)].id, spare[str(file.path)].path, file.refused)
        for file in moves.refused
    )
    result = Trashed(
        tuple(image.id for image in moved),
        refused,
        sum(image.size for image in moved),
        record_name(moves.record),
        tuple(group.id for group in groups),
        tuple(sorted(wanted - {group.id for group in groups})),
    )
    return moved_sentence(len(moved)), encode(result)


def undo_trash(library: Library, arguments: Arguments, _: Report) -> JobResult:
    """Run a job that puts the files of a record back. The record may be a stranger's, as the library may."""
    record = library.folder / MOVED / f"{arguments['record']}.jsonl"
    roots = [root.path for root in library.info().roots]
    for step in read_record(record):
        for file in (step.source, step.target):
            if file is not None and not _may_move(file, roots):
                raise UsageError(
                    "the record moves files outside the library's folders: if you trust it, run "
                    f"`lookalike duplicates --undo .lookalike/{MOVED}/{record.name}` there"
                )
    undone = library.undo_move(record)

    def shown(file: Path) -> str:
        inside = [root for root in roots if file.is_relative_to(root)]
        return file.relative_to(inside[0]).as_posix() if inside else file.name

    refused = tuple(Refused(0, shown(file), reason) for file, reason in undone.refused)
    restored = tuple(shown(file) for file in undone.restored)
    return f"{len(restored):,} files put back", encode(Restored(restored, refused))


def _may_move(file: Path, roots: Sequence[Path]) -> bool:
    """Return whether a file lies in one of the folders, links resolved, and in no hidden folder of it."""
    if not file.is_absolute():
        return False
    real = Path(os.path.realpath(file.parent), file.name)
    for root in roots:
        home = os.path.realpath(root)
        if real.is_relative_to(home):
            return not any(part.startswith(".") for part in real.relative_to(home).parts)
    return False


def moved_sentence(count: int) -> str:
    """Return how many images were moved."""
    return f"{count:,} {'image' if count == 1 else 'images'} moved to the trash"


def record_name(record: Path | None) -> str:
    """Return the name by which clients know a record; "" for none."""
    return record.stem if record else ""


WRITERS = {
    "trash": trash,
    "trash-spare": trash_spare,
    "undo-trash": undo_trash,
    "index": index,
    "import-vectors": import_vectors,
    "build-ann": build_ann,
    "check-ann": check_ann,
}
READERS = {
    "duplicates": duplicates,
    "similar-groups": similar_groups,
    "map": lay_out_map,
    "estimate": estimate,
}
EXPORT = "export"

# Readers that keep what they find in the library, so that it is not computed twice.
KEEPERS = ("duplicates",)


def main() -> None:
    """Read the job, do it, and report."""
    job = json.loads(sys.stdin.readline())
    if hasattr(os, "nice"):
        os.nice(10)  # searches go first
    # A server started in the background (`serve &`) may ignore SIGINT, and its processes inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get among the messages
    watch = threading.Thread(target=cancel_with_parent, daemon=True)
    try:
        run(job, out, ready=watch.start)
    except (BrokenPipeError, KeyboardInterrupt):  # nobody reads, or the bytes are not complete
        os._exit(1)


def run(job: Mapping[str, Any], out: BinaryIO, *, ready: Callable[[], None]) -> None:
    """Do a job and write the messages about it. `ready` is called when an interrupt will be reported."""
    begun = False

    def report(key: str, value: Any, **more: Any) -> None:
        nonlocal begun
        begun = begun or key == "begin"
        out.write(json.dumps({key: value, **more}).encode() + b"\n")
        out.flush()

    kind, arguments = job["kind"], job["arguments"]
    try:
        ready()  # may interrupt at once
        read_only = kind not in WRITERS and kind not in KEEPERS
        with Library.open(job["library"], read_only=read_only) as library:
            if kind == EXPORT:
                export(library, arguments, report, out)
            else:
                message, result = (WRITERS | READERS)[kind](library, arguments, report)
                report("result", result, message=message)
        out.flush()
    except LookalikeError as error:
        if begun:
            raise
        report("error", type(error).__name__, message=str(error))
    except KeyboardInterrupt:
        if begun:
            raise
        with suppress(OSError):
            kept = "what was finished is stored"
            if kind == "import-vectors":  # the index after it may be what was cancelled
                kept = "an import is stored as a whole or not at all"
            report("cancelled", True, message=f"cancelled; {kept}")


def cancel_with_parent() -> None:
    """Interrupt this process when its standard input closes."""
    sys.stdin.read()
    _thread.interrupt_main()


def index_progress(report: Report) -> Callable[[Progress], None]:
    """Return a callback that reports the progress of indexing."""

    def progress(now: Progress) -> None:
        report(
            "progress",
            {
                "done": now.done,
                "total": now.total,
                "indexed": now.indexed,
                "failed": now.failed,
                "rate": round(now.done / now.seconds, 1) if now.seconds > 0 else 0.0,
                "message": now.path.encode("utf-8", "replace").decode(),
            },
        )

    return progress


def pair_progress(report: Report) -> Callable[[int, int], None]:
    """Return a callback that reports the progress of work of one stage."""

    def progress(done: int, total: int) -> None:
        report("progress", {"done": done, "total": total})

    return progress


def stage_progress(report: Report, message: str) -> StageProgress:
    """Return a callback that reports the progress of one stage."""

    def progress(stage: str, done: int, total: int) -> None:
        report("progress", {"stage": stage, "done": done, "total": total, "message": message})

    return progress


def summary(added: IndexReport) -> str:
    """Return what indexing did, in one line: "1 new, 6 unchanged"."""
    parts = [
        f"{count:,} {what}"
        for count, what in (
            (added.new, "new"),
            (added.changed, "changed"),
            (added.added_vectors, "with added vectors"),
            (added.moved, "moved"),
            (added.copied, "copied"),
            (added.removed, "removed"),
            (added.missing, "gone but kept"),
            (added.unchanged, "unchanged"),
            (added.failures, "failed"),
            (added.known_failures, "failed earlier"),
        )
        if count
    ]
    return ", ".join(parts) or "no images"


if __name__ == "__main__":
    main()
