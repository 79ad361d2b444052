"""A map as one HTML file that loads nothing from anywhere."""

from __future__ import annotations

import base64
import html
import json
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding_map.build import Atlas
from lookalike.embedding_map.level_of_detail import DEEPEST
from lookalike.embedding_map.sprites import ACROSS, SIDE, Sprites

SCRIPTS = ("data.js", "map.js", "moving.js")
METHODS = {"tsne": "t-SNE", "pca": "PCA", "umap": "UMAP"}


def page(atlas: Atlas, sprites: Sprites, *, title: str) -> str:
    """The whole file. Paths and names are data in it, never markup."""
    room = files("lookalike.viz") / "map_page"
    data = {
        "title": title,
        "facts": facts(atlas),
        "color": atlas.color,
        "names": list(atlas.names),
        "paths": [_printable(path) for path in atlas.paths],
        "places": _packed(np.round(atlas.places.clip(0, 1) * 65535), "<u2"),
        "groups": _packed(atlas.groups, "<i2"),
        "level": _packed(atlas.level, "u1"),
        "slots": _packed(sprites.slots, "<i4"),
        "sizes": _packed(sprites.sizes, "u1"),
        "across": ACROSS,
        "side": SIDE,
        "deepest": DEEPEST,
    }
    # "</script>" in a file name would end the data; so written it is the same to JSON.
    text = json.dumps(data, ensure_ascii=True).replace("<", "\\u003c")
    parts = {
        "title": html.escape(title),
        "css": (room / "map.css").read_text("utf-8"),
        "js": "\n".join((room / name).read_text("utf-8") for name in SCRIPTS),
        "data": text,
        "sheets": "\n".join(
            f'<script type="text/plain" id="sheet-{number}">{base64.b64encode(sheet).decode()}</script>'
            for number, sheet in enumerate(sprites.sheets)
        ),
    }
    pieces = (room / "map.html").read_text("utf-8").split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += [parts[name], rest]
    return "".join(filled)


def facts(atlas: Atlas) -> str:
    """What a map is, in one line."""
    shown = f"{len(atlas):,}"
    if atlas.total > len(atlas):
        shown += f" of {atlas.total:,}"
    report = atlas.kept
    return (
        f"{shown} pictures by {atlas.by}, laid out by {METHODS[atlas.method]}, coloured by {atlas.color} · "
        f"trustworthiness {report.trustworthiness:.2f}, continuity {report.continuity:.2f}, "
        f"{report.same:.0%} of the {report.neighbours} nearest kept"
    )


def _packed(array: NDArray[np.generic], dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype).tobytes()).decode()


def _printable(path: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in path)
