"""Writes a map as one self-contained HTML file."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding_map.build import EmbeddingMap
from lookalike.embedding_map.sprites import ACROSS, SIDE, Sprites

# The modules of the exported map, each after those that it imports. The web page uses the first three, too.
MODULES = ("geometry.js", "renderer.js", "navigation.js", "sprites.js", "main.js")

METHODS = {"tsne": "t-SNE", "pca": "PCA", "umap": "UMAP"}


def map_page(map_: EmbeddingMap, sprites: Sprites, *, title: str) -> str:
    """Return the HTML file. Paths and names are embedded as data, never as markup."""
    folder = files("lookalike.viz") / "map_page"
    data = {
        "title": title,
        "summary": summary(map_),
        "color": map_.color,
        "names": list(map_.names),
        "paths": [_printable(path) for path in map_.paths],
        "positions": _packed(np.round(map_.positions.clip(0, 1) * 65535), "<u2"),
        "groups": _packed(map_.groups, "<i2"),
        "levels": _packed(map_.levels, "u1"),
        "slots": _packed(sprites.slots, "<i4"),
        "sizes": _packed(sprites.sizes, "u1"),
        "across": ACROSS,
        "side": SIDE,
    }
    # "</script>" in a file name would end the data; escaped it means the same in JSON.
    text = json.dumps(data, ensure_ascii=True).replace("<", "\\u003c")
    parts = {
        "title": html.escape(title),
        "css": (folder / "map.css").read_text("utf-8"),
        "js": script([(folder / name).read_text("utf-8") for name in MODULES]),
        "data": text,
        "sheets": "\n".join(
            f'<script type="text/plain" id="sheet-{number}">{base64.b64encode(sheet).decode()}</script>'
            for number, sheet in enumerate(sprites.sheets)
        ),
    }
    pieces = (folder / "map.html").read_text("utf-8").split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += [parts[name], rest]
    return "".join(filled)


def script(modules: Sequence[str]) -> str:
    """Return JavaScript modules joined into one script, without their imports and exports.

    A script in a file cannot import others: its content security policy forbids it, and so do browsers."""
    joined = re.sub(r"^import [^;]*;\n", "", "\n".join(modules), flags=re.MULTILINE)
    return '"use strict";\n' + re.sub(r"^export ", "", joined, flags=re.MULTILINE)


def summary(map_: EmbeddingMap) -> str:
    """Describe a map in one line."""
    count = f"{len(map_):,}"
    if map_.total > len(map_):
        count += f" of {map_.total:,}"
    preservation = map_.preservation
    return (
        f"{count} images by {map_.extractor}, laid out by {METHODS[map_.method]}, coloured by {map_.color} · "
        f"trustworthiness {preservation.trustworthiness:.2f}, continuity {preservation.continuity:.2f}, "
        f"{preservation.overlap:.0%} of the {preservation.neighbours} nearest neighbours preserved"
    )


def _packed(array: NDArray[np.generic], dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode()


def _printable(path: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in path)
