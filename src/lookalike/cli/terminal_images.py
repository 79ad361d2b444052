"""Shows images in terminals that support it (protocols of kitty and iTerm2)."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from lookalike.images.pixel_spec import Pixels

Protocol: TypeAlias = Literal["kitty", "iterm2"]

HEIGHT = 120  # pixels: five lines of text or so, and a row of ten fits a wide window
_GAP = 8
_CHUNK = 4096  # bytes of base64 in one escape sequence: the most that kitty's protocol allows


def protocol(env: Mapping[str, str]) -> Protocol | None:
    """Return the image protocol of this terminal, or None, judged by its environment alone.

    Querying the terminal could leave garbage on the screen. None inside tmux and screen, which drop such
    sequences.
    """
    term, program = env.get("TERM", ""), env.get("TERM_PROGRAM", "")
    if term.startswith(("screen", "tmux")) or "TMUX" in env:
        return None
    if "kitty" in term or "ghostty" in term or program == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm", "mintty"):
        return "iterm2"
    return None


def strip(thumbnails: Sequence[Pixels | None], width: int) -> Pixels:
    """Return thumbnails in a row as (HEIGHT, at most `width`, 3) uint8 on white.

    Those that do not fit are left out; those that cannot be shown are grey.
    """
    import numpy as np
    from PIL import Image

    pieces: list[Pixels] = []
    used = 0
    for thumbnail in thumbnails:
        if thumbnail is None:
            piece = np.full((HEIGHT, HEIGHT, 3), 0xE5, np.uint8)
        else:
            across = max(1, round(thumbnail.shape[1] * HEIGHT / thumbnail.shape[0]))
            piece = np.asarray(Image.fromarray(thumbnail).resize((across, HEIGHT)))
        used += piece.shape[1] + _GAP
        if used > width + _GAP and pieces:
            break
        pieces += [piece[:, :width], np.full((HEIGHT, _GAP, 3), 255, np.uint8)]
    return np.hstack(pieces[:-1])


def escape(pixels: Pixels, how: Protocol) -> str:
    """Return the escape sequence that shows RGB pixels (h, w, 3) uint8."""
    data = base64.b64encode(_png(pixels)).decode()
    if how == "iterm2":  # https://iterm2.com/documentation-images.html
        return f"\x1b]1337;File=inline=1:{data}\x07\n"
    # https://sw.kovidgoyal.net/kitty/graphics-protocol/
    parts = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    texts = []
    for at, part in enumerate(parts):
        keys = f"a=T,f=100,q=2,m={int(at < len(parts) - 1)}" if at == 0 else ""
        keys = keys or f"m={int(at < len(parts) - 1)}"
        texts.append(f"\x1b_G{keys};{part}\x1b\\")
    return "".join(texts) + "\n"


def _png(pixels: Pixels) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return out.getvalue()
