"""`lookalike info`: show what a library contains."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.fields import put_fields
from lookalike.errors import FAILED, Outcome
from lookalike.object_storage import shown

if TYPE_CHECKING:
    from lookalike.library import Info
    from lookalike.stores.interface import Space


_NETWORKS = ("lookalike", "onnx", "clip")  # families that run in ONNX Runtime


@click.command("info")
@click.option(
    "--fields",
    is_flag=True,
    help="Show the fields that --where can use: type, number of images with a value, and examples.",
)
@parameters.library_option
@parameters.format_options("table", "json")
def command(fields: bool, library: parameters.LibraryName | None, format_: str) -> None:
    """Show the contents and size of a library.

    A library may have vectors of several extractors ("spaces"); --extractor chooses among them.
    """
    if fields:
        with open_library.open_library(library) as opened:
            put_fields(opened, format_)
        return
    with open_library.open_library(library, read_only=False) as opened:
        facts = opened.info()
    if format_ == "json":
        output.put(output.as_json(document(facts)))
    else:
        _table(facts)


def document(facts: Info) -> dict[str, Any]:
    """Return the document of --format json; scripts rely on its keys."""
    return {
        "library": facts.location,
        "version": facts.version,
        "roots": [shown(root.path) for root in facts.roots],
        "exclude": {shown(root.path): list(root.exclude) for root in facts.roots if root.exclude},
        "images": facts.images,
        "outcomes": {str(outcome): count for outcome, count in sorted(facts.outcomes.items())},
        "bytes": facts.bytes,
        "read_only": facts.read_only,
        "spaces": [_space(space) for space in facts.spaces],
        "runtime": next(filter(None, map(_runtime, facts.spaces)), None),
    }


def _runtime(space: Space) -> dict[str, Any] | None:
    """Return how the network of a space runs on this machine; None without a network."""
    family = re.split("[:+]", space.name)[0]
    if family not in _NETWORKS:
        return None
    from lookalike.extractors import builtin
    from lookalike.extractors.runtime import expected_runtime

    found = expected_runtime(builtin.BATCH) if family == "lookalike" else expected_runtime()
    return None if found is None else asdict(found)


def _space(space: Space) -> dict[str, Any]:
    return {
        "extractor": space.name,
        "revision": space.revision,
        "current": space.current,
        "dim": space.dim,
        "similarity": space.similarity,
        "dtype": space.dtype,
        "vectors": space.count,
        "bytes": space.bytes,
        "bytes_per_image": _each(space),
        "index": _index(space),
        "pca": _pca(space),
        "runtime": _runtime(space),
    }


def _index(space: Space) -> dict[str, Any] | None:
    if space.index is None:
        return None
    return {**asdict(space.index), "bytes_per_vector": space.index.bytes_per_vector}


def _pca(space: Space) -> dict[str, Any] | None:
    """Return the original dimension, and the share of the variance that is kept, 0..1."""
    found = space.projection
    return None if found is None else {"of": found.input_dim, "retained": found.retained}


def _location(facts: Info) -> parameters.LibraryName:
    return facts.location if "://" in facts.location else Path(facts.location)


def _each(space: Space) -> int:
    return round(space.bytes / space.count) if space.count else 0


def _print_index(facts: Info, space: Space) -> None:
    """Print recall and cost of the space's ANN index."""
    index = space.index
    assert index is not None
    output.put()
    if index.disabled_reason:
        command = open_library.command_line(_location(facts), f"ann build --extractor {space.name}")
        output.put(
            f"{space.name} is searched exactly: its index cannot be used ({index.disabled_reason})."
        )
        output.put(f"`{command}` builds it again.")
        return
    output.put(f"index of {space.name}: {index.recipe}")
    output.put(
        f"  recall@10 {index.recall:.1%} (target {index.target:.1%}) in "
        f"{index.milliseconds:.2f} ms; search --exact finds all"
    )
    output.put(
        f"  {format.number(index.rows)} vectors, {format.number(index.bytes_per_vector)} bytes each, "
        f"built {index.built[:10]} in {format.duration(index.seconds)}"
        + (f"; {format.number(index.unindexed)} added since" if index.unindexed else "")
    )


def _table(facts: Info) -> None:
    output.put(f"library   {output.printable(facts.location)}" + " (read-only)" * facts.read_only)
    for at, root in enumerate(facts.roots):
        place = shown(root.path)
        if root.imported:
            place = "imported vectors, known by name"
        output.put(("images    " if at == 0 else "          ") + output.printable(place))
        if root.exclude:
            output.put(f"          without {output.printable(', '.join(root.exclude))}")
    failed = ", ".join(
        f"{format.number(count)} {outcome.replace('_', ' ')}"
        for outcome, count in sorted(facts.outcomes.items())
        if outcome in FAILED
    )
    skipped = facts.outcomes.get(Outcome.SKIPPED, 0)
    output.put(f"indexed   {format.counted(facts.images, 'image')}")
    if failed:
        output.put(
            f"failed    {failed} (`{open_library.command_line(_location(facts), 'failures')}` lists them)"
        )
    if skipped:
        command = open_library.command_line(_location(facts), "failures --outcome skipped")
        output.put(
            f"skipped   {format.counted(skipped, 'file')} that {'is' if skipped == 1 else 'are'} no "
            f"image, or drawn by Lookalike (`{command}`)"
        )
    output.put(f"on disk   {format.size(facts.bytes)}")
    output.put()
    titles = ("extractor", "revision", "dim", "similarity", "vectors", "MB", "KB per image")
    rows = [
        (
            space.name if space.current else f"{space.name} (older)",
            space.revision,
            format.number(space.dim),
            space.similarity,
            format.number(space.count),
            f"{space.bytes / 1e6:,.1f}",
            f"{_each(space) / 1e3:,.2f}",
        )
        for space in facts.spaces
    ]
    output.table(titles, rows, right="llrlrrr", stretch=0)
    reduced = [(space.name, space.projection) for space in facts.spaces if space.projection]
    for at, (name, projection) in enumerate(reduced):
        if at == 0:
            output.put()
        output.put(f"{output.printable(name)}: {format.retained(projection)}")
    for space in facts.spaces:
        if space.index is not None:
            _print_index(facts, space)
    networks = [(space, found) for space in facts.spaces if (found := _runtime(space))]
    for at, (space, found) in enumerate(networks):
        if at == 0:
            output.put()
        output.put(
            f"{output.printable(space.name)} runs on {found['provider']}: "
            f"{format.counted(found['threads'], 'thread')}, up to {found['batch']} images per batch"
        )
