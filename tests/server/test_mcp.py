"""The tools of the MCP server, used by the SDK's own client in the same process."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image
from tests.library.image_builders import draw

from lookalike import IndexOptions, Library
from lookalike.server.mcp_tools import create_mcp_server

mcp = pytest.importorskip("mcp")


class Answer(NamedTuple):
    """The answer of a tool: whether it failed, its text, and the size of its sheet."""

    failed: bool
    text: str
    sheet: tuple[int, int] | None

    @property
    def document(self) -> Any:
        return json.loads(self.text)


def call(
    library: Library, *calls: tuple[str, dict[str, Any]], writable: bool = False
) -> tuple[list[str], list[Answer]]:
    """Return the names of the tools, and the answers of these calls."""

    async def run() -> tuple[list[str], list[Answer]]:
        async with mcp.Client(create_mcp_server(library, writable=writable)) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            return names, [answer_of(await client.call_tool(*one)) for one in calls]

    # In a thread of its own: Playwright leaves an event loop running in that of the tests.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, run()).result()


def answer_of(result: Any) -> Answer:
    sheet = None
    for part in result.content[1:]:
        assert part.mime_type == "image/jpeg"
        sheet = Image.open(io.BytesIO(base64.b64decode(part.data))).size
    return Answer(result.is_error, result.content[0].text, sheet)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(7):
        draw(folder / ("trip" if number < 3 else ".") / f"{number}.png", number)
    (folder / "copy.png").write_bytes((folder / "6.png").read_bytes())
    (folder / "6.png.txt").write_text("a red boat")
    with Library.create(folder) as library:
        options = IndexOptions(workers=1)
        library.add(folder, extractors=["histogram", "phash", "dhash"], options=options)
    return folder


def test_an_assistant_searches_browses_looks_and_finds_duplicates(folder: Path) -> None:
    with Library.open(folder, read_only=True) as library:
        names, answers = call(
            library,
            ("info", {}),
            ("search", {"like": ["copy.png"], "count": 7}),
            ("search", {"text": "boat"}),
            ("search", {"where": "folder = 'trip'", "sort": "path"}),
            ("browse", {"by": "folder"}),
            ("facts", {"images": ["6.png", "id:1"]}),
            ("duplicates", {"kind": "exact"}),
        )
    assert names == ["info", "search", "browse", "facts", "duplicates"]
    assert not any(answer.failed for answer in answers)
    info, like, words, listed, groups, facts, duplicates = answers
    assert info.document["images"] == 8 and "caption" in info.document["fields"]
    assert {hit["path"] for hit in like.document["hits"][:2]} == {"6.png", "copy.png"}
    assert [hit["n"] for hit in like.document["hits"]] == [1, 2, 3, 4, 5, 6, 7]
    assert like.sheet == (5 * 228 + 8, 2 * 228 + 8) and info.sheet is None
    [hit] = words.document["hits"]
    assert hit["found_in"] == ["caption"] and hit["metadata"] == {"caption": "a red boat"}
    assert [hit["path"][:5] for hit in listed.document["hits"]] == ["trip/"] * 3
    assert [(g["name"], g["images"]) for g in groups.document["groups"]] == [("", 5), ("trip", 3)]
    assert facts.document["images"][0]["metadata"] == {"caption": "a red boat"}
    [group] = duplicates.document["groups"]
    assert {group["keep"]["path"], group["others"][0]["path"]} == {"6.png", "copy.png"}
    assert {group["keep"]["n"], group["others"][0]["n"]} == {1, 2}


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("search", {"like": ["999"]}, "the library has no image '999'"),
        ("facts", {"images": ["/etc/passwd"]}, "the library has no image '/etc/passwd'"),
        ("facts", {"images": []}, "name 1 to 60 images"),
        ("search", {"text": "boat", "count": 1000}, "count is 1000; one answer has 1 to 60"),
        ("search", {}, "the query is empty"),
        ("search", {"where": "colour ="}, "the filter ends"),
        ("browse", {"by": "nothing"}, "no field nothing"),
        ("search", {"like": ["1"], "extractor": "clip"}, "clip"),
        ("tag", {"images": ["1"], "add": ["x"]}, "Unknown tool"),
    ],
)
def test_what_cannot_be_answered_is_told_in_a_line(
    tool: str, arguments: dict[str, Any], reason: str, folder: Path
) -> None:
    with Library.open(folder, read_only=True) as library:
        _, [answer] = call(library, (tool, arguments))
    assert answer.failed and reason in answer.text and "\n" not in answer.text


def test_tags_are_changed_only_where_that_was_allowed(folder: Path) -> None:
    with Library.open(folder) as library:
        tag: Sequence[tuple[str, dict[str, Any]]] = [
            ("tag", {"images": ["1", "2"], "add": ["good", "x"]}),
            ("tag", {"images": ["1"], "remove": ["x"]}),
        ]
        names, answers = call(library, *tag, writable=True)
        assert names[-1] == "tag" and [one.document["changed"] for one in answers] == [2, 1]
        assert library.search(where="tags = 'good' and tags != 'x'")[0].id == 1
