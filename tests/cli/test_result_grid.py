"""The drawn grid of a query and its hits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from tests.cli.program_runner import draw

from lookalike.errors import UsageError
from lookalike.query import Hit, Hits
from lookalike.viz import result_grid, style


def hits(files: list[Path]) -> Hits:
    found = tuple(
        Hit(rank=at + 1, id=at + 1, path=file.name, root=file.parent, score=1 - at / 10)
        for at, file in enumerate(files)
    )
    return Hits(found, "color", "cosine", exact=True, searched_count=1204, seconds={})


def plain(file: Path, colour: tuple[int, int, int]) -> Path:
    Image.new("RGB", (60, 60), colour).save(file)
    return file


def at(image: Image.Image, column: int, row: int) -> tuple[int, int, int]:
    """Return the colour in the middle of a tile; column 0 is the query."""
    x = (
        2 * result_grid.GAP
        + result_grid.TILE / 2
        + column * (result_grid.TILE + result_grid.GAP)
        + result_grid.GAP * (column > 0)
    )
    y = (
        result_grid.TITLE
        + result_grid.TILE / 3
        + row * (result_grid.TILE + result_grid.CAPTION + result_grid.GAP)
    )
    red, green, blue = (
        image.convert("RGB")
        .resize(image.size)
        .getpixel(  # type: ignore[misc]
            (round(x * style.DPI), round(y * style.DPI))
        )
    )
    return int(red), int(green), int(blue)


def test_the_matching_region_is_framed(tmp_path: Path) -> None:
    red = plain(tmp_path / "red.png", (200, 0, 0))
    found = hits([red, red])
    # Its upper edge runs through the point that `at` samples: a third of the tile from above.
    region = (0.25, 1 / 3, 0.5, 0.5)
    one, other = replace(found.hits[0], box=region), replace(found.hits[1], box=result_grid.WHOLE)
    out = tmp_path / "grid.png"
    result_grid.result_grid([red], replace(found, hits=(one, other)), out, regions=[region])
    image = Image.open(out)
    for column in (0, 1):
        assert at(image, column, 0) != (200, 0, 0)
    assert at(image, 2, 0) == (200, 0, 0)


def test_the_query_is_left_of_the_hits_in_rows_by_rank(tmp_path: Path) -> None:
    red = plain(tmp_path / "red.png", (200, 0, 0))
    green = plain(tmp_path / "green.png", (0, 200, 0))
    blue = plain(tmp_path / "blue.png", (0, 0, 200))
    out = tmp_path / "out.png"
    result_grid.result_grid([blue], hits([red, green, red]), out, columns=2)
    with Image.open(out) as image:
        assert at(image, 0, 0) == (0, 0, 200)
        assert at(image, 1, 0) == (200, 0, 0)
        assert at(image, 2, 0) == (0, 200, 0)
        assert at(image, 1, 1) == (200, 0, 0)
        assert at(image, 2, 1) == (255, 255, 255)


def test_a_missing_or_broken_image_is_a_grey_tile(tmp_path: Path) -> None:
    good = plain(tmp_path / "good.png", (200, 0, 0))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + b"nothing of use " * 20)
    out = tmp_path / "out.png"
    result_grid.result_grid([good], hits([tmp_path / "gone.png", broken]), out)
    with Image.open(out) as image:
        assert at(image, 1, 0) == at(image, 2, 0) == (0xE5, 0xE7, 0xEB)


def test_query_images_may_be_bytes_or_pixels(tmp_path: Path) -> None:
    file = plain(tmp_path / "red.png", (200, 0, 0))
    pixels = np.zeros((30, 50, 3), np.uint8)
    pixels[:, :] = (0, 0, 200)
    out = tmp_path / "out.png"
    result_grid.result_grid([file.read_bytes(), pixels], hits([file]), out)
    with Image.open(out) as image:
        assert at(image, 0, 0) == (200, 0, 0)
        assert at(image, 0, 1) == (0, 0, 200)


def test_unusual_file_names_are_drawn(tmp_path: Path) -> None:
    names = ["$x_{1}$.png", "日本語.png", "a\nb.png", "m\udcfcller.png", "n" * 180 + ".png"]
    files = [draw(tmp_path / "a.png", 1).with_name(name) for name in names]
    out = tmp_path / "out.svg"
    result_grid.result_grid([], hits(files), out)
    assert out.read_text().lstrip().startswith("<?xml")


def test_an_empty_result_is_drawn(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    result_grid.result_grid([draw(tmp_path / "a.png", 1)], hits([]), out)
    assert out.stat().st_size > 1000


def test_a_grid_that_cannot_be_saved_says_why(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"name a \.png, \.jpg, \.pdf or \.svg file"):
        result_grid.result_grid([], hits([]), tmp_path / "out.docx")
    with pytest.raises(UsageError, match="No such file or directory"):
        result_grid.result_grid([], hits([]), tmp_path / "nowhere" / "out.png")


def test_a_caption_keeps_the_end_of_the_name() -> None:
    assert style.caption("pets/cat.jpg") == "pets/cat.jpg"
    long = style.caption("a/very/deep/folder/of/photos/from/2024/" + "x" * 50 + "-0001.jpg")
    first, second = long.split("\n")
    assert first.startswith("…")
    assert first.endswith("2024/")
    assert second.endswith("-0001.jpg")
    assert max(len(first), len(second)) <= style.CAPTION_WIDTH
    assert (
        style.caption("2024/Norway, summer/IMG_0128.JPG", 26)
        == "2024/Norway, summer/\nIMG_0128.JPG"
    )


def test_a_logarithmic_axis_is_labelled_with_plain_numbers_between_the_powers() -> None:
    axes = Figure().subplots()
    axes.set_xscale("log")
    axes.set_xlim(2, 11)
    style.plain_log_ticks(axes.xaxis)
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.xaxis.get_majorticklocs() if low <= tick <= high]
    assert axes.xaxis.get_major_formatter().format_ticks(ticks) == ["2", "5", "10"]


def test_the_whole_query_is_drawn(tmp_path: Path) -> None:
    red, blue = plain(tmp_path / "red.png", (200, 0, 0)), plain(tmp_path / "blue.png", (0, 0, 200))
    out = tmp_path / "grid.svg"
    result_grid.result_grid(
        [red],
        hits([red, blue]),
        out,
        regions=[(15, 15, 30, 30)],
        weights=[2],
        against=[blue],
        words=["a red $hoe$"],
        without=["boot"],
        options=["where price < 50"],
    )
    text = out.read_text("utf-8")
    for line in (
        "query × 2",
        "less like this",
        "“a red $hoe$”",
        "not “boot”",
        "where price &lt; 50",
    ):
        assert f"<!-- {line} -->" in text, line


def test_a_region_in_pixels_is_framed_like_one_in_fractions(tmp_path: Path) -> None:
    red = plain(tmp_path / "red.png", (200, 0, 0))
    drawn = []
    for region in ((15.0, 20.0, 30.0, 30.0), (0.25, 1 / 3, 0.5, 0.5)):
        result_grid.result_grid([red], hits([red]), tmp_path / "grid.png", regions=[region])
        drawn.append(np.asarray(Image.open(tmp_path / "grid.png").convert("RGB")))
    assert np.array_equal(drawn[0], drawn[1])
    assert at(Image.fromarray(drawn[0]), 0, 0) != (200, 0, 0)


def test_a_list_is_drawn_without_a_query(tmp_path: Path) -> None:
    red = plain(tmp_path / "red.png", (200, 0, 0))
    found = replace(hits([red]), ranked_by="path", similarity=None)
    listed = replace(found, hits=(replace(found.hits[0], similarity=None),))
    out = tmp_path / "grid.svg"
    result_grid.result_grid([], listed, out, options=["where width > 3"])
    text = out.read_text("utf-8")
    assert "<!-- 1 of 1,204 images, by path -->" in text and "<!-- where width &gt; 3 -->" in text
