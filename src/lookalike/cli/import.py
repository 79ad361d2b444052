"""`lookalike import`: vectors that others made."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.build_output import put_built
from lookalike.cli.progress import ProgressBar


@click.command("import")
@click.argument("vectors", metavar="VECTORS.npy", type=parameters.PATH)
@click.option(
    "--by",
    "name",
    metavar="NAME",
    help="What the vectors are called, for search --extractor. Default: the file's name.",
)
@click.option(
    "--paths",
    type=parameters.PATH,
    metavar="FILE",
    help="A text file with the path of each picture, one a line, in the order of the vectors. The "
    "pictures need not exist.",
)
@click.option(
    "--metadata",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A table with a column 'path', as for index --metadata.",
)
@click.option(
    "--similarity",
    type=click.Choice(("cosine", "euclidean")),
    default="cosine",
    show_default=True,
    help="How the vectors are meant to be compared.",
)
@click.option("--half", is_flag=True, help="Keep 16 bits a number: half the room.")
@click.option(
    "--pca",
    type=click.IntRange(min=1),
    metavar="N",
    help="Keep N principal components of each vector, learnt from a sample of them.",
)
@click.option("--no-ann", is_flag=True, help="Build no index for approximate search.")
@parameters.library_option
def command(
    vectors: Path,
    name: str | None,
    paths: Path | None,
    metadata: Path | None,
    similarity: Literal["cosine", "euclidean"],
    half: bool,
    pca: int | None,
    no_ann: bool,
    library: Path | None,
) -> None:
    """Put vectors that others made into a library.

    VECTORS.npy is an array of shape (pictures, numbers), as numpy.save writes it; it may be larger than
    memory. Without --library, the nearest library above the file is used, or one is made beside it.
    Everything is checked first; what is in the library already keeps its other vectors. Pictures cannot
    be asked for then unless they are in the library: ask with id:N, a path, or --vector FILE.npy.

    \b
    lookalike import clip.npy --by clip-large --paths paths.txt
    lookalike search id:42 --extractor clip-large
    """
    with open_library.open_for_indexing([vectors], library) as opened:
        with ProgressBar("Importing", unit="vectors") as line:
            imported = opened.vectors.import_vectors(
                vectors,
                name or vectors.stem,
                paths=paths,
                metadata=metadata,
                similarity=similarity,
                dtype="f16" if half else "f32",
                ann=not no_ann,
                pca=pca,
                progress=line.stage,
            )
        name, where = (
            imported.space.name,
            open_library.display_path(open_library.library_name(opened.folder)),
        )
        index = opened.ann.space(name).index
    output.put(
        f"Imported {format.counted(imported.images, 'vector')} of {imported.space.dim:,} numbers as "
        f"{name} into {'this folder' if where == '.' else output.printable(where)}; "
        f"{format.counted(imported.files, 'picture has a file', 'pictures have a file')} here."
    )
    if imported.space.projection is not None:
        output.put(format.retained(imported.space.projection))
    if metadata:
        output.put(f"{format.counted(imported.described, 'picture')} got metadata.")
        if imported.unmatched_rows:
            rows = format.counted(imported.unmatched_rows, "row names", "rows name")
            output.complain(f"{rows} no picture of the library")
    if index is not None and not index.disabled_reason:
        put_built(name, index)
