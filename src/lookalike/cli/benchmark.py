"""`lookalike benchmark`: measure on this machine."""

from __future__ import annotations

import click

from lookalike.cli.benchmark_extractors import extractors
from lookalike.cli.benchmark_search import search


@click.group("benchmark")
def command() -> None:
    """Measure search and extractors on this machine."""


command.add_command(search)
command.add_command(extractors)
