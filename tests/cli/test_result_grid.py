"""The picture of a question and its hits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from tests.cli.running import draw

from lookalike.errors import UsageError
from lookalike.query import Hit, Hits
from lookalike.viz import plots


def hits(files: list[Path]) -> Hits:
    found = tuple(
        Hit(rank=at + 1, id=at + 1, path=file.name, root=file.parent, similarity=1 - at / 10)
        for at, file in enumerate(files)
    )
    return Hits(found, "color", "cosine", exact=True, searched_count=1204, seconds={})


def plain(file: Path, colour: tuple[int, int, int]) -> Path:
    Image.new("RGB", (60, 60), colour).save(file)
    return file


def at(picture: Image.Image, column: int, row: int) -> tuple[int, int, int]:
    """The colour in the middle of a tile; column 0 is the question."""
    x = (
        2 * plots.GAP
        + plots.TILE / 2
        + column * (plots.TILE + plots.GAP)
        + plots.GAP * (column > 0)
    )
    y = plots.TITLE + plots.TILE / 3 + row * (plots.TILE + plots.CAPTION + plots.GAP)
    red, green, blue = (
        picture.convert("RGB")
        .resize(picture.size)
        .getpixel(  # type: ignore[misc]
            (round(x * plots.DPI), round(y * plots.DPI))
        )
    )
    return int(red), int(green), int(blue)


def test_the_part_that_matched_is_framed(tmp_path: Path) -> None:
    red = plain(tmp_path / "red.png", (200, 0, 0))
    found = hits([red, red])
    # Its upper edge runs through the point that `at` looks at: a third of the tile from above.
    part = (0.25, 1 / 3, 0.5, 0.5)
    one, other = replace(found.hits[0], box=part), replace(found.hits[1], box=plots.WHOLE)
    out = tmp_path / "grid.png"
    plots.result_grid([red], replace(found, hits=(one, other)), out, regions=[part])
    picture = Image.open(out)
    for column in (0, 1):
        assert at(picture, column, 0) != (200, 0, 0)
    assert at(picture, 2, 0) == (200, 0, 0)


def test_the_question_stands_left_and_the_hits_in_rows_by_rank(tmp_path: Path) -> None:
    red = plain(tmp_path / "red.png", (200, 0, 0))
    green = plain(tmp_path / "green.png", (0, 200, 0))
    blue = plain(tmp_path / "blue.png", (0, 0, 200))
    out = tmp_path / "out.png"
    plots.result_grid([blue], hits([red, green, red]), out, columns=2)
    with Image.open(out) as picture:
        assert at(picture, 0, 0) == (0, 0, 200)
        assert at(picture, 1, 0) == (200, 0, 0)
        assert at(picture, 2, 0) == (0, 200, 0)
        assert at(picture, 1, 1) == (200, 0, 0)
        assert at(picture, 2, 1) == (255, 255, 255)


def test_a_picture_that_is_gone_or_broken_is_a_grey_tile(tmp_path: Path) -> None:
    good = plain(tmp_path / "good.png", (200, 0, 0))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + b"nothing of use " * 20)
    out = tmp_path / "out.png"
    plots.result_grid([good], hits([tmp_path / "gone.png", broken]), out)
    with Image.open(out) as picture:
        assert at(picture, 1, 0) == at(picture, 2, 0) == (0xE5, 0xE7, 0xEB)


def test_questions_may_be_bytes_or_pixels(tmp_path: Path) -> None:
    file = plain(tmp_path / "red.png", (200, 0, 0))
    pixels = np.zeros((30, 50, 3), np.uint8)
    pixels[:, :] = (0, 0, 200)
    out = tmp_path / "out.png"
    plots.result_grid([file.read_bytes(), pixels], hits([file]), out)
    with Image.open(out) as picture:
        assert at(picture, 0, 0) == (200, 0, 0)
        assert at(picture, 0, 1) == (0, 0, 200)


def test_odd_file_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    names = ["$x_{1}$.png", "日本語.png", "a\nb.png", "m\udcfcller.png", "n" * 180 + ".png"]
    files = [draw(tmp_path / "a.png", 1).with_name(name) for name in names]
    out = tmp_path / "out.svg"
    plots.result_grid([], hits(files), out)
    assert out.read_text().lstrip().startswith("<?xml")


def test_nothing_found_is_drawn_too(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    plots.result_grid([draw(tmp_path / "a.png", 1)], hits([]), out)
    assert out.stat().st_size > 1000


def test_a_grid_that_cannot_be_saved_says_why(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"name a \.png, \.jpg, \.pdf or \.svg file"):
        plots.result_grid([], hits([]), tmp_path / "out.docx")
    with pytest.raises(UsageError, match="No such file or directory"):
        plots.result_grid([], hits([]), tmp_path / "nowhere" / "out.png")


def test_a_caption_keeps_the_end_of_the_name() -> None:
    assert plots.caption("pets/cat.jpg") == "pets/cat.jpg"
    long = plots.caption("a/very/deep/folder/of/photos/from/2024/" + "x" * 50 + "-0001.jpg")
    first, second = long.split("\n")
    assert first.startswith("…")
    assert first.endswith("2024/")
    assert second.endswith("-0001.jpg")
    assert max(len(first), len(second)) <= plots.NAME_WIDTH
    assert (
        plots.caption("2024/Norway, summer/IMG_0128.JPG", 26)
        == "2024/Norway, summer/\nIMG_0128.JPG"
    )


def test_a_logarithmic_axis_is_labelled_with_plain_numbers_between_the_powers() -> None:
    axes = Figure().subplots()
    axes.set_xscale("log")
    axes.set_xlim(2, 11)
    plots.plain_log(axes.xaxis)
    low, high = axes.get_xlim()
    places = [place for place in axes.xaxis.get_majorticklocs() if low <= place <= high]
    assert axes.xaxis.get_major_formatter().format_ticks(places) == ["2", "5", "10"]
