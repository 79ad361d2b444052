"""`lookalike mcp`: the library as tools for assistants."""

from __future__ import annotations

import click

from lookalike.cli import open_library, parameters


@click.command("mcp")
@click.option("--writable", is_flag=True, help="Also let assistants add and remove tags.")
@parameters.allow_root_option
@parameters.library_option
def command(writable: bool, roots: tuple[str, ...], library: parameters.LibraryName | None) -> None:
    """Let an assistant search the library (MCP, over standard input and output).

    Assistants start this command themselves: name `lookalike mcp --library DIR` to them as an MCP server.
    They can search, browse, read what is known of images and find duplicates, and see numbered sheets of the
    images. They change nothing without --writable, and never a file.
    """
    from lookalike.server.mcp_tools import create_mcp_server

    with open_library.open_library(library, read_only=not writable) as opened:
        open_library.refuse_foreign_roots(opened, roots)
        create_mcp_server(opened, writable=writable).run("stdio")
