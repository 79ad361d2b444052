"""Images in the terminal: which terminals show them, and their escape sequences."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from lookalike.cli import terminal_images


@pytest.mark.parametrize(
    ("env", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "dumb"}, None),
        ({}, None),
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "iTerm.app"}, None),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux-0"}, None),
    ],
)
def test_only_terminals_known_to_show_images_get_them(
    env: dict[str, str], protocol: str | None
) -> None:
    assert terminal_images.protocol(env) == protocol


def noise(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_iterm2_gets_a_png_in_one_sequence() -> None:
    pixels = noise(5, 7)
    text = terminal_images.escape(pixels, "iterm2")
    found = re.fullmatch(r"\x1b\]1337;File=inline=1:([A-Za-z0-9+/=]+)\x07\n", text)
    assert found
    with Image.open(io.BytesIO(base64.b64decode(found[1]))) as image:
        assert np.array_equal(np.asarray(image), pixels)


def test_kitty_gets_a_png_in_chunks_and_the_last_one_is_marked() -> None:
    pixels = noise(60, 80)
    text = terminal_images.escape(pixels, "kitty")
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    assert "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in chunks) + "\n" == text
    assert len(chunks) > 2
    assert chunks[0][0] == "a=T,f=100,q=2,m=1"
    assert [keys for keys, _ in chunks[1:]] == ["m=1"] * (len(chunks) - 2) + ["m=0"]
    assert all(len(data) <= 4096 for _, data in chunks)
    with Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in chunks)))) as image:
        assert np.array_equal(np.asarray(image), pixels)


def test_the_strip_holds_what_fits_and_marks_what_cannot_be_shown() -> None:
    wide, high = noise(60, 120), noise(120, 60)
    row = terminal_images.strip([wide, None, high, wide], 240 + 8 + 120 + 8 + 60)
    assert row.shape == (120, 436, 3)
    assert (row[:, 248:368] == 0xE5).all()
    assert (row[:, 240:248] == 255).all()
    assert np.array_equal(row[:, 376:], high)
    assert terminal_images.strip([wide], 100).shape == (120, 100, 3)
