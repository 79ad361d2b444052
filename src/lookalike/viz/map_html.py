"""Writes a map as one self-contained HTML file."""

from __future__ import annotations

import base64
import html
import json
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding_map.build import EmbeddingMap
from lookalike.embedding_map.level_of_detail import MAX_LEVEL
from lookalike.embedding_map.sprites import ACROSS, SIDE, Sprites

SCRIPTS = ("data.js", "map.js", "moving.js")
METHODS = {"tsne": "t-SNE", "pca": "PCA", "umap": "UMAP"}


def map_page(map_: EmbeddingMap, sprites: Sprites, *, title: str) -> str:
    """Return the HTML file. Paths and names are embedded as data, never as markup."""
    folder = files("lookalike.viz") / "map_page"
    data = {
        "title": title,
        "facts": summary(map_),
        "color": map_.color,
        "names": list(map_.names),
        "paths": [_printable(path) for path in map_.paths],
        "places": _packed(np.round(map_.positions.clip(0, 1) * 65535), "<u2"),
        "groups": _packed(map_.groups, "<i2"),
        "level": _packed(map_.levels, "u1"),
        "slots": _packed(sprites.slots, "<i4"),
        "sizes": _packed(sprites.sizes, "u1"),
        "across": ACROSS,
        "side": SIDE,
        "deepest": MAX_LEVEL,
    }
    # "</script>" in a file name would end the data; escaped it means the same in JSON.
    text = json.dumps(data, ensure_ascii=True).replace("<", "\\u003c")
    parts = {
        "title": html.escape(title),
        "css": (folder / "map.css").read_text("utf-8"),
        "js": "\n".join((folder / name).read_text("utf-8") for name in SCRIPTS),
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
