"""`lookalike check`: check the files of a library for damage."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.progress import ProgressBar
from lookalike.stores.local.thumbnails import count_unused

DAMAGED = 3


@click.command("check")
@parameters.library_option
@click.option(
    "--repair",
    is_flag=True,
    help="Make again what is derived (ANN indexes, thumbnails, the index of texts), drop damaged vectors and "
    "make them again from the images; say what is lost. Then check.",
)
@parameters.model_dir_option
@click.pass_context
def command(ctx: click.Context, library: parameters.LibraryName | None, repair: bool) -> None:
    """Check the whole library for damage.

    Useful after a disk failure, an interrupted copy or a restored backup, because damaged vectors cause no
    errors in searches. Vectors, ANN indexes and thumbnails are compared with their checksums. Nothing is
    changed without --repair, and images never. Exit 0 if the library is intact, 3 if it is damaged.
    """
    with open_library.open_library(library, read_only=not repair) as opened:
        if repair:
            with ProgressBar("Reading images again") as bar:
                done = opened.repair(progress=bar if bar.visible else None)
            for line in done:
                output.put(output.printable(line))
        problems = opened.check()
        facts = opened.info()
    for problem in problems:
        output.put(problem)
    if problems and isinstance(opened.address, str):
        output.note("Restore the database from a backup, or drop the schema and index again.")
        ctx.exit(DAMAGED)
    if problems:
        again = open_library.command_line(opened.address, "check --repair")
        output.note(
            f"`{again}` makes again what is derived, and vectors from their images. A catalogue that it "
            "cannot mend must be restored from a backup, or its folder deleted and indexed again."
        )
        ctx.exit(DAMAGED)
    if not facts.outcomes:
        again = open_library.command_line(opened.address, "index")
        if not isinstance(opened.address, str):
            home = shlex.quote(open_library.shown_library(opened.address))
            again = f"{open_library.program()} index {home}"
        output.put(
            f"The library is intact but empty: its first indexing was interrupted; `{again}` starts again."
        )
        return
    vectors = sum(space.count for space in facts.spaces)
    output.put(f"The library is intact: {format.counted(vectors, 'vector')} read.")
    if not isinstance(opened.address, str):
        _note_permissions(opened.folder)
        if unused := count_unused(opened.folder):
            output.put(
                f"{format.counted(unused, 'thumbnail')} of images that are gone or have changed: "
                f"`{open_library.command_line(opened.address, 'check --repair')}` deletes them."
            )
    for root in facts.roots:
        if not root.imported and not root.identity:
            home = shlex.quote(open_library.display_path(root.path))
            output.put(
                f"No complete run over {output.printable(str(root.path))} is recorded: "
                f"`{open_library.program()} index {home}` adds what may be missing."
            )


def _note_permissions(folder: Path) -> None:
    """Say so if other users of the machine can read the library."""
    mode = folder.stat().st_mode
    if os.name == "posix" and mode & 0o055:
        who = "All users" if mode & 0o005 else "The users of its group"
        place = shlex.quote(open_library.display_path(folder))
        output.put(
            f"{who} of this machine can read the library; `chmod -R go= {place}` changes that."
        )
