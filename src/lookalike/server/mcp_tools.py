"""The library as tools of the Model Context Protocol, by which assistants search, look and sort.

Answers are JSON, followed by a sheet of the images with the numbers by which the JSON names them. Images are
named by id or by their path in the library; files elsewhere are not read.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike import __version__
from lookalike.duplicates.report import Scope
from lookalike.errors import LookalikeError, MissingExtra, UsageError
from lookalike.library import Library
from lookalike.query import Hit, Query, Term
from lookalike.server.browse import browse
from lookalike.stores.interface import Image, Snapshot
from lookalike.stores.paths import image_by_path
from lookalike.viz.contact_sheet import contact_sheet

if TYPE_CHECKING:
    from mcp.server import MCPServer

MAX_TILES = 60
"""Images on a sheet: more are too small to be seen by the networks that look at them."""

MAX_GROUPS = 200
MAX_TEXT = 2000
"""Groups of an answer, and characters of a text in it."""

INSTRUCTIONS = """Tools to look through a library of images. Begin with `info`, which lists the fields that
filters may use. `search` and `browse` answer with ids, and with a sheet on which images have the numbers `n`.
Filters look like SQL: taken >= '2024-05' and keywords = 'boat'."""


def create_mcp_server(library: Library, *, writable: bool = False) -> MCPServer[Any]:
    """Return a server with the tools; `writable` adds one that changes tags. MissingExtra without the SDK."""
    try:
        from mcp.server import MCPServer
        from mcp.server.mcpserver import Image as Picture
        from mcp.server.mcpserver.exceptions import ToolError
        from mcp.types import ToolAnnotations
    except ImportError:
        raise MissingExtra("an MCP server needs its SDK: pip install 'lookalike[mcp]'") from None
    server: MCPServer[Any] = MCPServer(
        "lookalike", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING"
    )
    tools = Tools(library)

    def add(tool: Callable[..., tuple[Any, Sequence[int]]]) -> None:
        @functools.wraps(tool)
        def answer(*arguments: Any, **named: Any) -> list[Any]:
            try:
                document, ids = tool(*arguments, **named)
                text = json.dumps(document, ensure_ascii=False)
                if not ids:
                    return [text]
                tiles = library.thumbnails.many(ids[:MAX_TILES])
                small = [None if one is None else one.data for one in tiles]
                return [text, Picture(data=contact_sheet(small), format="jpeg")]
            except LookalikeError as error:
                raise ToolError(str(error)) from error

        hint = ToolAnnotations(read_only_hint=tool != tools.tag, open_world_hint=False)
        server.add_tool(answer, structured_output=False, annotations=hint)

    for tool in (tools.info, tools.search, tools.browse, tools.facts, tools.duplicates):
        add(tool)
    if writable:
        add(tools.tag)
    return server


class Tools:
    """The tools of `lookalike mcp`. Each returns its document, and the ids of the images on the sheet."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def info(self) -> tuple[Any, Sequence[int]]:
        """Say how many images the library has, what can be searched, and which fields filters may use."""
        facts = self._library.info()
        with self._library.snapshot() as snapshot:
            fields = {
                name: {"kind": one.kind, "images": one.images, "examples": one.examples[:5]}
                for name, one in snapshot.fields().items()
            }
        return {
            "images": facts.images,
            "extractors": [space.name for space in facts.spaces if space.current],
            "fields": fields,
        }, ()

    def search(
        self,
        text: str = "",
        like: Sequence[str] = (),
        unlike: Sequence[str] = (),
        where: str = "",
        sort: str = "",
        count: int = 20,
        extractor: str = "",
    ) -> tuple[Any, Sequence[int]]:
        """Find images by words, by images that they are like (ids or paths), by a filter, or all of these.

        unlike: images that hits should not be like. sort: a field, for a list by a filter alone. count: at
        most 60. extractor: one of `info`; "text" finds words that stand in the images.
        """
        with self._library.snapshot() as snapshot:
            terms = [Term(id=_find(snapshot, name).id) for name in like]
            terms += [Term(id=_find(snapshot, name).id, weight=-1.0) for name in unlike]
        terms += [Term(text=text)] if text else []
        hits = self._library.search(
            Query(
                tuple(terms),
                k=_at_most(count, MAX_TILES),
                where=where or None,
                sort=sort or None,
                extractors=(extractor,) if extractor else (),
            )
        )
        found = [_hit(n, hit) for n, hit in enumerate(hits, start=1)]
        return {"ranked_by": hits.ranked_by, "hits": found}, [hit.id for hit in hits]

    def browse(
        self, by: str = "taken", where: str = "", count: int = 50
    ) -> tuple[Any, Sequence[int]]:
        """Group images by "folder", "place" or a field, dates by month, with the filter that selects each.

        The sheet shows the first image of each group.
        """
        with self._library.snapshot() as snapshot:
            found = browse(snapshot, by, where or "outcome = 'indexed'")
        groups = found.groups[: _at_most(count, MAX_GROUPS)]
        document = [
            {"n": n, "name": one.name, "images": one.images, "where": one.where}
            for n, one in enumerate(groups, start=1)
        ]
        covers = [one.covers[0] for one in groups if one.covers]
        return {"groups": document, "all_groups": found.total, "without": found.others}, covers

    def facts(self, images: Sequence[str]) -> tuple[Any, Sequence[int]]:
        """Tell what is known of images (ids or paths): size, date, camera, place, captions, tags, text."""
        if not 0 < len(images) <= MAX_TILES:
            raise UsageError(f"name 1 to {MAX_TILES} images, by id or path")
        with self._library.snapshot() as snapshot:
            found = [_find(snapshot, name) for name in images]
        document = [
            {
                "n": n,
                "id": one.id,
                "path": one.path,
                "outcome": one.outcome,
                "width": one.width,
                "height": one.height,
                "format": one.format,
                "bytes": one.size,
                "metadata": _shortened({**one.facts, **one.metadata}),
            }
            for n, one in enumerate(found, start=1)
        ]
        return {"images": document}, [one.id for one in found]

    def duplicates(self, kind: Scope = "copies", count: int = 20) -> tuple[Any, Sequence[int]]:
        """Find images that the library has more than once, in groups, each with the one to keep.

        kind: "exact" (the same bytes), "copies" (saved again, resized, cropped …), "near" (another shot).
        """
        report = self._library.duplicates(kind=kind)
        ids: list[int] = []
        groups = []
        for group in report.groups[: _at_most(count, MAX_GROUPS)]:
            members = []
            for one in group.members:
                ids.append(one.image.id)
                members.append(
                    {
                        "n": len(ids),
                        "id": one.image.id,
                        "path": one.image.path,
                        "kind": one.kind,
                        "evidence": one.evidence,
                        "can_go": one.spare,
                    }
                )
            groups.append({"keep": members[0], "others": members[1:]})
        return {"groups": groups, "all_groups": len(report.groups)}, ids

    def tag(
        self, images: Sequence[str], add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> tuple[Any, Sequence[int]]:
        """Add tags to images (ids or paths), or remove them; files are not changed."""
        with self._library.snapshot() as snapshot:
            found = [_find(snapshot, name) for name in images]
        paths = [f"id:{one.id}" for one in found]
        changed = self._library.set_metadata(paths, add_tags=tuple(add), remove_tags=tuple(remove))
        return {"changed": changed}, ()


def _find(snapshot: Snapshot, name: str) -> Image:
    name = str(name).strip()
    path = Path(f"id:{name}" if name.isascii() and name.isdigit() else name)
    image = image_by_path(snapshot, path)
    if image is None:
        raise UsageError(
            f"the library has no image {name[:200]!r}: take an id or a path from an answer of `search`"
        )
    return image


def _hit(number: int, hit: Hit) -> dict[str, Any]:
    score = None if hit.score is None else round(hit.score, 4)
    stated = {"relevance": hit.relevance, "score": score, "found_in": hit.matched_in}
    return {
        "n": number,
        "id": hit.id,
        "path": hit.path,
        **{name: value for name, value in stated.items() if value},
        "metadata": _shortened(hit.metadata),
    }


def _shortened(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v[:MAX_TEXT] if isinstance(v, str) else v for k, v in metadata.items()}


def _at_most(count: int, most: int) -> int:
    if not 0 < count <= most:
        raise UsageError(f"count is {count}; one answer has 1 to {most}: narrow it with a filter")
    return count
