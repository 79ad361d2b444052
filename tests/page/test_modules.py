"""Pure functions of the page's modules, run in Chromium."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import lookalike.server
from lookalike.errors import Outcome
from lookalike.stores.filter_parser import parse

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


PAGE = Path(lookalike.server.__file__).parent / "page"


def imports_of(file: Path) -> set[Path]:
    """Return the modules that a module imports when it is loaded."""
    found = re.findall(
        r'(?:^|[;}])(?:import|export)\b[^;(]*?from ?"(\.[^"]+)"', file.read_text(), re.M
    )
    return {(file.parent / name).resolve() for name in found}


def test_everything_that_the_first_screen_needs_is_requested_at_once() -> None:
    needed, todo = set(), [PAGE / "app.js"]
    while todo:
        module = todo.pop()
        needed.add(module)
        todo += imports_of(module) - needed
    preloaded = re.findall(
        r'rel="modulepreload" href="page/([^"]+)"', (PAGE / "index.html").read_text()
    )
    assert {PAGE / name for name in preloaded} == needed - {PAGE / "app.js"}


def test_both_languages_have_the_same_texts_and_the_page_has_no_others(modules: Page) -> None:
    languages = {name: call(modules, f"strings/{name}", "it.default") for name in ("en", "de")}
    assert languages["en"].keys() == languages["de"].keys()
    for key, text in languages["en"].items():
        other = languages["de"][key]
        assert isinstance(text, list) == isinstance(other, list), key
        names = [set(re.findall(r"{\w+}", str(one))) for one in (text, other)]
        assert names[0] == names[1], key
    used = {
        key
        for file in PAGE.glob("*.js")
        for key in re.findall(r'\bt\(\s*"([^"]+)"', file.read_text())
    }
    used |= {f"outcome {one}" for one in Outcome if one is not Outcome.INDEXED}
    assert used <= languages["en"].keys()


SOURCES = PAGE.parents[1]

# What tells visitors of the page why something failed, and in it what only programs and commands provoke.
SEEN_BY_VISITORS = (
    "images/*.py", "duplicates/*.py", "embedding_map/*.py", "search/[!q]*.py", "stores/filter*.py",
    "stores/local/[!cs]*.py", "server/*.py", "server/routes/*.py", "server/security/*.py", "server/jobs/*.py",
    "extractors/extraction.py", "workers/supervisor.py", "indexing/sources.py", "files.py",
    "stores/records.py",
)  # fmt: skip
NOT_SEEN = re.compile(
    r"bodies|mcp_tools|query_params|responses|/run|settings|embed\.py|vectors|convert|jxl|globs|remote|metadata"
    r"|full_text|ann|gpu|migrations|repair|sidecars|tiff|move_record|similar|archive\.py|joined_snapshot|writer"
)
FOR_PROGRAMS = re.compile(
    r"vector given|\(height, width|by id or path|no such path in|job's id|undo \.lookalike|`X-|<base64>"
    r"|hex digits|: groups,|: ids, or|HASH|has no tile|nothing to change|\{\"|one batch|as (the )?files? "
    r"|--record|status \{\} before|page has no|pool of workers|to list: write|not excluded from"
    r"|names no bucket|through links: put"
)


@functools.cache
def texts_of(file: Path) -> tuple[set[str], set[str]]:
    """Return all texts of a source file, with `{}` in place of values, and those given to an error."""
    every, errors = set(), set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if text := text_of(node):
            every.add(text)
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", "")
            if re.search(r"^too_|(Image|Usage|Library|HTTP)Error$|^Failure$", name):
                errors |= {text for one in node.args if " " in (text := text_of(one))}
    return every, errors


def text_of(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        parts = (v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
        return "".join(map(str, parts))
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_what_visitors_are_told_is_translated_and_nothing_else(modules: Page) -> None:
    pairs = call(modules, "strings/server_de", "it.SENTENCES")
    known = {english for english, _ in pairs}
    assert known <= set().union(*(texts_of(file)[0] for file in SOURCES.rglob("*.py")))
    assert all(german.count("{}") <= english.count("{}") for english, german in pairs)
    seen = {file for pattern in SEEN_BY_VISITORS for file in SOURCES.glob(pattern)}
    said = (texts_of(file)[1] for file in seen if not NOT_SEEN.search(file.as_posix()))
    missing = set().union(*said) - known
    assert {text for text in missing if not FOR_PROGRAMS.search(text)} == set()


@pytest.mark.parametrize(
    ("said", "german"),
    [
        ("the same bytes", "dieselben Bytes"),
        (
            "same image: rotated, cropped (40% is shared)",
            "dasselbe Bild: gedreht, beschnitten (40 % sind gemeinsam)",
        ),
        ("in color; the older file", "in Farbe; die ältere Datei"),
        ("stays: more detail", "bleibt: mehr Einzelheiten"),
        ("stays: an edit", "bleibt: eine Bearbeitung"),
        (
            "the filter, at character 9: write the text in single quotes: 'x': price < ⟪here⟫x",
            "im Filter, Zeichen 9: schreiben Sie den Text in einfachen Anführungszeichen: 'x': "
            "price < ⟪hier⟫x",
        ),
        (
            "the image cannot be used: contains a web page; download the image itself",
            "das Bild kann nicht verwendet werden: enthält eine Webseite; laden Sie das Bild selbst",
        ),
        ("the library has no image with the id 7", "die Bibliothek hat kein Bild mit der Nummer 7"),
        ("1,204 new, 6 unchanged", "1.204 neu, 6 unverändert"),
        ("the raw file of a, b.jpg", "die Raw-Datei von a, b.jpg"),
        (
            "cannot be opened: input/output error; check the disk, then try again",
            "kann nicht geöffnet werden: Ein-/Ausgabefehler; prüfen Sie das Laufwerk, dann versuchen Sie "
            "es noch einmal",
        ),
        (
            "something (new) that nobody has translated?",
            "something (new) that nobody has translated?",
        ),
        ("", ""),
    ],
)
def test_what_the_server_says_is_translated_with_its_values(
    modules: Page, said: str, german: str
) -> None:
    assert call(modules, "strings/server_de", "it.translated(a)", said) == german


@pytest.fixture(scope="module")
def modules(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(address)
    yield page
    page.close()


def call(page: Page, module: str, expression: str, *arguments: object) -> Any:
    """Evaluate an expression with a module as `it` and the arguments as `a`, `b`, …."""
    names = "abcd"[: len(arguments)]
    return page.evaluate(
        f"([{', '.join(names)}]) => import('/page/{module}.js').then((it) => {expression})",
        list(arguments),
    )


CONDITIONS = [
    ("price between 5 and 20", [{"field": "price", "low": 5, "high": 20}]),
    ("price >= 5", [{"field": "price", "low": 5}]),
    ("kind in ('mug', 'shoe')", [{"field": "kind", "values": ["mug", "shoe"]}]),
    ("kind = 'it''s'", [{"field": "kind", "values": ["it's"]}]),
    ("caption like '%red%'", [{"field": "caption", "like": "red"}]),
    ('"in stock" = 1', [{"field": "in stock", "values": [1]}]),
    ("taken >= '2024-01-01' and price <= 9.5", [
        {"field": "taken", "low": "2024-01-01"}, {"field": "price", "high": 9.5},
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "conditions"), CONDITIONS, ids=lambda value: str(value)[:30])
def test_filters_are_parsed_into_conditions_and_formatted_back(
    modules: Page, text: str, conditions: list[dict[str, object]]
) -> None:
    assert call(modules, "filter_text", "it.parseConditions(a)", text) == conditions
    assert call(modules, "filter_text", "it.formatConditions(a)", conditions) == text
    parse(text)  # what the library parses


@pytest.mark.parametrize(
    "text",
    ["price < 5 or price > 9", "not kind = 'mug'", "price = 'x", "a = 1 and a = 2", "price <"],
)
def test_a_filter_that_controls_cannot_express_has_no_conditions(modules: Page, text: str) -> None:
    assert call(modules, "filter_text", "it.parseConditions(a)", text) is None


@pytest.mark.parametrize(
    "search",
    [
        "?",
        "?image=3&not_image=2:4&text=red+mug&alpha=0.3",
        "?text=1:2:1&extractor=color&extractor=phash&diversity=0.4&collapse_duplicates=true&min_relevance=strong",
        "?upload=ab12&region=0.1000,0.2000,0.5000,0.5000&where=price+%3C+5&open=7",
        "?page=map&color=kind&viewport=0.5000,0.4000,2.00&lasso=1,2,3,4,5,6",
        "?page=duplicates&kind=near&group=4",
        "?where=price+%3C+5&order=-price",
    ],
)
def test_an_address_has_the_whole_state(modules: Page, search: str) -> None:
    assert call(modules, "address", "it.format(it.parse(a))", search) == search


def test_invalid_parameters_of_an_address_have_their_defaults(modules: Page) -> None:
    invalid = "?image=x&page=nowhere&alpha=9&region=1,2,3&open=-1&diversity=&group=x"
    assert call(modules, "address", "it.format(it.parse(a))", invalid) == "?"


def test_rows_fill_the_width_and_keep_aspect_ratios(modules: Page) -> None:
    items = [{"width": 200, "height": 100}] * 3 + [{"width": 100, "height": 100}]
    boxes = call(
        modules,
        "justified_layout",
        "it.justifiedLayout({width: 400, row: 100, gap: 0}).add(a, true)",
        items,
    )
    assert [(box["x"], box["y"], box["width"], box["height"]) for box in boxes] == [
        (0, 0, 200, 100),
        (200, 0, 200, 100),
        # Three of the mean ratio, 3 : 2, would fill the row: 400 = 3 · 1.5 · height.
        pytest.approx((0, 100, 1600 / 9, 800 / 9)),
        pytest.approx((1600 / 9, 100, 800 / 9, 800 / 9)),
    ]


def test_a_row_is_returned_when_it_is_full(modules: Page) -> None:
    square = {"width": 10, "height": 10}
    boxes = call(
        modules,
        "justified_layout",
        "it.justifiedLayout({width: 200, row: 100, gap: 0}).add(a, false)",
        [square] * 3,
    )
    assert len(boxes) == 2


def test_a_region_stays_inside_the_image(modules: Page) -> None:
    assert call(modules, "region", "it.clampBox(a)", [0.9, -0.2, 0.5, 0.5]) == [0.5, 0, 0.5, 0.5]
    assert call(modules, "region", "it.boxBetween(a, b)", [0.75, 0.5], [0.25, 0.25]) == [
        0.25, 0.25, 0.5, 0.25,
    ]  # fmt: skip
    assert call(modules, "region", "it.moveByKey(a, b, c)", [0.5, 0, 0.5, 0.5], "ArrowRight", False) == [
        0.5, 0, 0.5, 0.5,
    ]  # fmt: skip


def test_a_polygon_encloses_the_points_inside(modules: Page) -> None:
    points = {"ids": [7, 8, 9], "x": [0.5, 0.1, 0.9], "y": [0.5, 0.5, 0.95]}
    square = [0.2, 0.2, 0.8, 0.2, 0.8, 0.8, 0.2, 0.8]
    assert call(modules, "map/geometry", "it.enclosedPoints(a, b)", points, square) == [0]
    assert call(modules, "map_address", "it.parsePolygon(it.formatPolygon(a))", square) == square


def test_a_polygon_loses_only_corners_that_are_not_seen(modules: Page) -> None:
    drawn = [0.1, 0.1, 0.5, 0.1001, 0.9, 0.1, 0.9, 0.9, 0.5, 0.7, 0.1, 0.9]
    text = call(modules, "map_address", "it.formatPolygon(a, b)", drawn, 0.001)
    assert text == "10000,10000,90000,10000,90000,90000,50000,70000,10000,90000"


def test_thumbnails_have_the_room_of_those_that_are_hidden(modules: Page) -> None:
    columns = {"x": [0.1, 0.11, 0.9], "y": [0.1] * 3, "groups": [0] * 3, "levels": [0, 7, 1]}
    levels = "[...it.levelsOfShown(it.indexPoints(a), (i) => b.includes(i))]"
    assert call(modules, "map/geometry", levels, columns, [0, 1, 2]) == [0, 7, 1]
    assert call(modules, "map/geometry", levels, columns, [1, 2]) == [13, 1, 0]


def test_zooming_keeps_the_position_under_the_pointer(modules: Page) -> None:
    viewport = {"x": 0.5, "y": 0.5, "zoom": 1}
    before = call(modules, "map/geometry", "it.toMap(a, 800, 600, 650, 100)", viewport)
    after = call(
        modules,
        "map/geometry",
        "it.toMap(it.zoomAt(a, 800, 600, 650, 100, 3), 800, 600, 650, 100)",
        viewport,
    )
    assert after == pytest.approx(before)


def test_thumbnails_are_drawn_from_the_level_at_which_they_fit(modules: Page) -> None:
    columns = {
        "x": [0, 0, 1],
        "y": [0, 0, 1],
        "groups": [0, 0, 0],
        "levels": [2, 0, 2],
    }
    shown = call(
        modules,
        "map/geometry",
        "[0, 1, 2, 9].map((level) => [...it.pointsUpTo(it.indexPoints(a), level)])",
        columns,
    )
    assert shown == [[1], [1], [1, 0, 2], [1, 0, 2]]
