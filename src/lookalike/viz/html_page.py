"""Self-contained HTML pages: no network, no scripts, images and figures embedded."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TypeAlias

from lookalike import __version__
from lookalike.evaluation.ground_truth import Note
from lookalike.files import output_file
from lookalike.images.drawing_mark import pillow_options
from lookalike.images.pixel_spec import Pixels

Html: TypeAlias = str
"""Escaped HTML text."""

# Largest side of an image on the page, in pixels.
SIDE = 150

_STYLE = """
:root { --ink: #1b1f24; --faint: #6b7280; --line: #e5e7eb; --right: #15803d; --wrong: #b91c1c; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 2rem 1.25rem 4rem; color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; background: #fff; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
p { margin: .4rem 0; max-width: 75ch; } .faint { color: var(--faint); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { font-weight: 600; color: var(--faint); font-size: .85rem; }
th:first-child, td:first-child { text-align: left; }
td.best { font-weight: 700; } td small { color: var(--faint); }
small.below { display: block; line-height: 1.1; }
figure { margin: 1rem 0; } figure > svg { width: 100%; height: auto; }
.example { display: flex; gap: .6rem; padding: .8rem 0; border-bottom: 1px solid var(--line);
  overflow-x: auto; }
.hit { margin: 0; width: 150px; flex: none; font-size: .75rem; color: var(--faint); }
.hit span { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.hit div { height: 120px; display: flex; align-items: center; justify-content: center;
  background: #f9fafb; border: 3px solid var(--line); border-radius: 6px; overflow: hidden; }
.hit img { max-width: 100%; max-height: 100%; }
.relevant div { border-color: var(--right); } .wrong div { border-color: var(--wrong); }
.query { margin-right: 1rem; } .query div { border-color: #2563eb; }
.relevant b { color: var(--right); } .wrong b { color: var(--wrong); } .query b { color: #2563eb; }
"""


def page(title: str, lead: Html, sections: Iterable[tuple[str, Html]]) -> Html:
    """Return the whole document. A section is a heading and its content."""
    body = "\n".join(f"<h2>{escape(head)}</h2>\n{inner}" for head, inner in sections)
    created = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{lead}
{body}
<p class="faint">Written by lookalike {escape(__version__)}, {escape(created)}.</p>
</body>
</html>
"""


def table(heads: Sequence[str], rows: Iterable[Sequence[Html]]) -> Html:
    """Return a table. Cells are HTML; one that begins with "*" is highlighted as the best of its column."""
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    lines = "\n".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{top}</tr>\n{lines}</table></div>'


def _cell(cell: Html) -> Html:
    return f'<td class="best">{cell[1:]}</td>' if cell.startswith("*") else f"<td>{cell}</td>"


def paragraph(text: str, *, faint: bool = False) -> Html:
    """Return a paragraph of plain text."""
    return f"<p{' class=faint' if faint else ''}>{escape(text)}</p>"


def figure(svg: str, number: int) -> Html:
    """Return an SVG element with ids of its own: two figures on one page would share clip paths."""
    own = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>f{number}-", svg)
    return f"<figure>{own}</figure>"


def notes(found: Sequence[Note]) -> Html:
    """Return a list of the notes."""
    if not found:
        return paragraph("Nothing was left out.")
    return "<ul>" + "".join(f"<li>{escape(str(one))}</li>" for one in found) + "</ul>"


def hit(pixels: Pixels | None, heading: str, name: str, kind: str) -> Html:
    """Return an image with two lines of text. `kind`: "query", "relevant", "wrong" or "unjudged"."""
    content = "<span>cannot be shown</span>" if pixels is None else _image(pixels)
    return (
        f'<figure class="hit {kind}"><div>{content}</div><b>{escape(heading)}</b>'
        f'<span title="{escape(name)}">{escape("/".join(Path(name).parts[-2:]))}</span></figure>'
    )


def _image(pixels: Pixels) -> Html:
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((SIDE * 2, SIDE * 2))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80, **pillow_options("jpeg"))
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="" src="data:image/jpeg;base64,{data}">'


def write_page(out: Path, text: str) -> None:
    """Write the page. Raises UsageError if that fails."""
    with output_file(out) as file:
        file.write(text.encode("utf-8", "replace"))
