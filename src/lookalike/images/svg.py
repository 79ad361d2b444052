"""Draw SVG with resvg, which knows neither scripts nor the network; what an SVG would load is refused before.

Entities are refused, too (expanded, they fill the memory), and links are ignored.
"""

from __future__ import annotations

import io
import re
import zlib
from base64 import b64decode
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes
from xml.parsers import expat

import numpy as np

from lookalike.errors import ImageError, Outcome
from lookalike.images.metadata.facts import Facts
from lookalike.images.pixel_spec import Decoded

MIN_SIDE = 1024
"""Longer side in pixels at which a smaller drawing is drawn."""

MAX_BYTES = 64 << 20
MAX_ELEMENTS = 500_000
MAX_DEPTH = 200
MAX_LEVEL = 4
MAX_ATTRIBUTES = 1000
"""Of one element: resvg compares each with all others."""

_NOT_DRAWN = "its HTML (foreignObject) and CSS variables are not drawn as in browsers"

_UNITS = {
    "": 1.0,
    "px": 1.0,
    "pt": 96 / 72,
    "pc": 16.0,
    "mm": 96 / 25.4,
    "cm": 96 / 2.54,
    "in": 96.0,
}
_LENGTH = re.compile(r"\s*([+]?[\d.]+(?:[eE][+-]?\d+)?)\s*(px|pt|pc|mm|cm|in|)\s*")
_LOADS = re.compile(
    r"url\(\s*['\"]?(?!\s*(?:#|data:|['\"]?\s*\)))([^)]{0,80})|@import\s+(.{0,80})", re.I
)
_INSIDE = re.compile(r"#|data:image/(?:png|jpe?g|gif|webp)[;,]", re.I)


def decode_svg(
    data: bytes, scale: Callable[[int, int], float], check_size: Callable[[int, int], None]
) -> Decoded:
    """Draw an SVG on white at the scale that `scale` gives for its width and height in pixels."""
    import resvg_py
    from PIL import Image

    text = _text(data)
    width, height = check_drawing(text)
    check_size(max(1, round(width)), max(1, round(height)))
    factor = max(1.0, MIN_SIDE / max(width, height))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    factor = scale(*size)
    wanted = [max(1, round(side * factor)) for side in size]
    try:
        drawn = resvg_py.svg_to_bytes(
            svg_string=text.decode(),
            background="white",
            width=wanted[0],
            height=wanted[1],
            **_fonts(),
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise ImageError(
            Outcome.UNREADABLE, f"the SVG cannot be drawn: {str(error)[:120]}"
        ) from None
    note = _NOT_DRAWN if re.search(rb"<(\w+:)?foreignObject|var\(\s*--", text) else None
    with Image.open(io.BytesIO(bytes(drawn)), formats=["PNG"]) as image:
        return Decoded(np.asarray(image.convert("RGB")), Facts(*size, "svg", note=note))


@cache
def _fonts() -> dict[str, Any]:
    """Return fonts for what the system lacks, from Matplotlib: without a font, text is not drawn at all."""
    found = find_spec("matplotlib")
    folders = (found and found.submodule_search_locations) or ()
    families = {
        **dict.fromkeys(("font_family", "sans_serif_family", "cursive_family"), "DejaVu Sans"),
        "fantasy_family": "DejaVu Sans",
        "serif_family": "DejaVu Serif",
        "monospace_family": "DejaVu Sans Mono",
    }
    fonts = [Path(folder, "mpl-data", "fonts", "ttf") for folder in folders]
    return {**families, "font_files": [str(one) for at in fonts for one in at.glob("DejaVuS*.ttf")]}


def _text(data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    unpacker = zlib.decompressobj(31)
    text = unpacker.decompress(data, MAX_BYTES)
    if unpacker.unconsumed_tail:
        raise ImageError(
            Outcome.TOO_LARGE, f"has more than {MAX_BYTES >> 20} MB of SVG when unpacked"
        )
    return text


def check_drawing(text: bytes, level: int = 0) -> tuple[float, float]:
    """Return width and height that an SVG states, in pixels; `level` is that of an SVG within others.

    Raises ImageError for entities, for what it would load from elsewhere, and for what is no SVG.
    """
    found: list[tuple[str, dict[str, str]]] = []
    depth = elements = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > MAX_DEPTH or elements > MAX_ELEMENTS:
            raise ImageError(Outcome.TOO_LARGE, "has too many or too deeply nested elements")
        if len(attributes) > MAX_ATTRIBUTES:
            raise ImageError(Outcome.TOO_LARGE, "has an element with too many attributes")
        name = tag.rpartition(":")[2]
        if not found:
            found.append((name, attributes))
        for key, value in attributes.items():
            link = key.rpartition(":")[2] == "href" and name != "a"
            if link and not _INSIDE.match(value.strip()):
                _check_embedded(value.strip(), level)
            _check_style(value)

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse_entity(*_: object) -> None:
        raise ImageError(
            Outcome.UNSUPPORTED, "defines entities, which are not read; save it without them"
        )

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.EntityDeclHandler = refuse_entity
    parser.ProcessingInstructionHandler = lambda _, value: _check_instruction(value)
    parser.CharacterDataHandler = _check_style
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ImageError(Outcome.UNREADABLE, f"the SVG is damaged: {error}") from None
    if not found or found[0][0] != "svg":
        raise ImageError(Outcome.UNSUPPORTED, "is XML, but no SVG drawing")
    return _stated_size(found[0][1])


def _check_embedded(address: str, level: int) -> None:
    """Check what a link embeds: another SVG (programs for diagrams do that) may load something."""
    kind, found, content = address.partition(",")
    if not found or not kind.lower().startswith("data:image/svg+xml"):
        raise _loads(address)
    if level == MAX_LEVEL:
        raise ImageError(Outcome.TOO_LARGE, "has too many SVGs within SVGs")
    data = unquote_to_bytes(content)
    check_drawing(_text(b64decode(data) if kind.endswith(";base64") else data), level + 1)


def _check_style(value: str) -> None:
    if match := _LOADS.search(value):
        raise _loads(match[1] or match[2])


def _check_instruction(value: str) -> None:
    if match := re.search(r"href\s*=\s*['\"]([^'\"]*)", value):
        raise _loads(match[1])


def _loads(address: str) -> ImageError:
    shown = " ".join(address.split())[:80]
    return ImageError(
        Outcome.UNSUPPORTED,
        f"loads something from elsewhere ({shown}), which is not done; embed it",
    )


def _stated_size(attributes: dict[str, str]) -> tuple[float, float]:
    box = [
        float(n)
        for n in re.findall(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?", attributes.get("viewBox", ""))
        if n != "."
    ]
    ratio = box[2] / box[3] if len(box) == 4 and box[2] > 0 and box[3] > 0 else 0.0
    width, height = _length(attributes.get("width")), _length(attributes.get("height"))
    if width and height:
        return width, height
    if ratio:
        if width or height:
            return (width, width / ratio) if width else (height * ratio, height)
        return box[2], box[3]
    return width or 300.0, height or 150.0


def _length(value: str | None) -> float:
    """Return a length in pixels; 0 where there is none, or one in per cent."""
    match = _LENGTH.fullmatch(value or "")
    return float(match[1]) * _UNITS[match[2]] if match else 0.0
