"""`lookalike import`: import vectors computed elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.ann import put_built
from lookalike.cli.metadata_table import check_metadata_options, metadata_options, put_table_report
from lookalike.cli.progress import ProgressBar


@click.command("import")
@click.argument("vectors", metavar="VECTORS.npy", type=parameters.PATH)
@parameters.extractor_option(
    "Name of the vectors, for search --extractor. Default: the file's name."
)
@click.option(
    "--paths",
    type=parameters.PATH,
    metavar="FILE",
    help="A text file with the path of each image, one per line, in the order of the vectors; relative to "
    "the file's folder or the library's. The images need not exist.",
)
@metadata_options
@click.option(
    "--similarity",
    type=click.Choice(("cosine", "euclidean")),
    help="Similarity that the vectors were made for. Default: that of the space, cosine for a new one.",
)
@click.option(
    "--dtype",
    type=click.Choice(("float32", "float16")),
    help="Type of the stored numbers; float16 takes half the space. Default: that of the space, float32 "
    "for a new one.",
)
@parameters.count_option(
    "--pca", "Store N principal components of each vector, learned from a sample."
)
@click.option("--no-ann", is_flag=True, help="Do not build an ANN index.")
@parameters.library_option
def command(
    vectors: Path,
    extractor: str | None,
    paths: Path | None,
    metadata: Path | None,
    path_column: str,
    replace_metadata: bool,
    similarity: Literal["cosine", "euclidean"] | None,
    dtype: Literal["float32", "float16"] | None,
    pca: int | None,
    no_ann: bool,
    library: parameters.LibraryName | None,
) -> None:
    """Import vectors computed elsewhere.

    VECTORS.npy is an array of shape (images, dim) written by numpy.save; it may be larger than memory.
    Without --library, the nearest library above the file is used, or one is created next to it. Everything
    is checked first; images already in the library keep their other vectors. Such vectors can be searched by
    an image of the library (id:N or a path) or by --vector FILE.npy, not by other images.

    \b
    lookalike import clip.npy --extractor clip-large --paths paths.txt
    lookalike search id:42 --extractor clip-large
    """
    check_metadata_options(metadata, path_column, replace_metadata=replace_metadata)
    with open_library.open_for_indexing([vectors], library) as opened:
        with ProgressBar("Importing", unit="vectors") as bar:
            imported = opened.vectors.import_vectors(
                vectors,
                vectors.stem if extractor is None else extractor,
                paths=paths,
                metadata=metadata,
                path_column=path_column,
                replace_metadata=replace_metadata,
                similarity=similarity,
                dtype=None if dtype is None else "f16" if dtype == "float16" else "f32",
                ann=not no_ann,
                pca=pca,
                progress=bar.stage,
            )
        name, where = (
            imported.space.name,
            open_library.shown_library(opened.address),
        )
        index = opened.ann.space(name).index
    output.put(
        f"Imported {format.counted(imported.images, 'vector')} of {imported.space.dim:,} numbers as "
        f"{name} into {'this folder' if where == '.' else output.printable(where)}; "
        f"{format.counted(imported.files, 'image has a file', 'images have a file')} here."
    )
    if imported.space.projection is not None:
        output.put(format.retained(imported.space.projection))
    if imported.repeated_paths:
        rows = format.counted(imported.repeated_paths, "row names", "rows name")
        example = output.printable(imported.repeated_example)
        output.put(
            f"{rows} a path that a later row names, too ({example}): the later vector was stored."
        )
    if metadata:
        put_table_report(imported)
    if index is not None and not index.disabled_reason:
        put_built(name, index)
