"""`lookalike benchmark`: measurements on this machine."""

from __future__ import annotations

import click

from lookalike.cli.benchmark_ann import ann
from lookalike.cli.benchmark_extractors import extractors
from lookalike.cli.benchmark_pca import pca
from lookalike.cli.benchmark_search import search


@click.group("benchmark")
def command() -> None:
    """Measure search, indexes and extractors on this machine."""


command.add_command(ann)
command.add_command(pca)
command.add_command(search)
command.add_command(extractors)
