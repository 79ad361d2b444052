"""Files of Google Takeout and XMP sidecars describe their images, whatever their names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.library.image_builders import draw

from lookalike import IndexOptions, Library

LONG = "Screenshot_20190221-112312_Save the Date Creator"
"""48 characters: with ".jpg", Takeout cuts the image to 51 and the name of its file to 46."""


def takeout(caption: str, **more: Any) -> str:
    document = {
        "title": "x.jpg",
        "description": caption,
        "imageViews": "3",
        "photoTakenTime": {"timestamp": "1563106856", "formatted": "Jul 14, 2019, 12:20:56 PM UTC"},
        "geoData": {"latitude": 52.375, "longitude": 4.9, "altitude": 0.0},
        "people": [{"name": "Ada"}],
        **more,
    }
    return json.dumps(document)


def index(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return what the library knows of every image beyond its pixels."""
    with Library.create(folder) as library:
        report = library.add([folder], extractors=["histogram"], options=IndexOptions(workers=1))
        assert report.broken_sidecars == 0
        again = library.add([folder], options=IndexOptions(workers=1))
        assert again.sidecars == 0  # nothing has changed
        with library.snapshot() as snapshot:
            return {
                image.path: {**image.facts, **image.metadata}
                for image in snapshot.iter_files()
                if image.outcome == "indexed"
            }


@pytest.mark.parametrize(
    ("image", "sidecar"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-me.json"),
        ("IMG_1.jpg", "IMG_1.jpg.s.json"),
        ("IMG_1.jpg", "IMG_1.jpg..json"),
        ("IMG_1.JPG", "IMG_1.JPG.suppl.json"),
        ("IMG_1(1).jpg", "IMG_1.jpg.supplemental-metadata(1).json"),
        ("IMG_1(12).jpg", "IMG_1.jpg(12).json"),
        ("IMG_1(1).jpg", "IMG_1(1).jpg.supplemental-metadata.json"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1-edited(1).jpg", "IMG_1.jpg.supplemental-metadata(1).json"),
        ("IMG_1-bearbeitet.jpg", "IMG_1.jpg.json"),
        ("IMG_1-編集済み.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        (f"{LONG[:47]}.jpg", f"{LONG[:46]}.json"),
        (f"{LONG[:47]}(2).jpg", f"{LONG[:46]}(2).json"),
        (f"{LONG[:41]}.jpg", f"{LONG[:41]}.jpg.json"),
        (f"{LONG[:40]}.jpg", f"{LONG[:40]}.jpg.s.json"),
    ],
)
def test_takeout_describes_its_image(image: str, sidecar: str, tmp_path: Path) -> None:
    for folder in ("", "trip"):
        (tmp_path / folder).mkdir(exist_ok=True)
        draw(tmp_path / folder / image, 1)
        draw(tmp_path / folder / "other.jpg", 2)
        (tmp_path / folder / sidecar).write_text(takeout("a boat"), encoding="utf-8")
    found = index(tmp_path)
    for path in (image, f"trip/{image}"):
        assert found[path] == {
            "title": "x.jpg",
            "caption": "a boat",
            "people": ["Ada"],
            "taken": "2019-07-14T12:20:56+00:00",
            "latitude": 52.375,
            "longitude": 4.9,
        }
    assert found["other.jpg"] == {}


def test_duplicates_and_edited_images_have_their_own_descriptions(tmp_path: Path) -> None:
    for number, name in enumerate(("a.jpg", "a(1).jpg", "a-edited.jpg", "a-edited(1).jpg")):
        draw(tmp_path / name, number)
    (tmp_path / "a.jpg.supplemental-metadata.json").write_text(takeout("first"))
    (tmp_path / "a.jpg.supplemental-metadata(1).json").write_text(takeout("second"))
    captions = {path: fields["caption"] for path, fields in index(tmp_path).items()}
    assert captions == {
        "a.jpg": "first",
        "a-edited.jpg": "first",
        "a(1).jpg": "second",
        "a-edited(1).jpg": "second",
    }


def test_what_the_image_itself_says_comes_before_takeout(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0x9003] = "2019:07:14 14:20:56"
    Image.new("RGB", (60, 60), "red").save(tmp_path / "a.jpg", exif=tags)
    (tmp_path / "a.jpg.supplemental-metadata.json").write_text(takeout("a boat"))
    (tmp_path / "a.jpg.txt").write_text("two boats")
    found = index(tmp_path)["a.jpg"]
    assert found["taken"] == "2019-07-14T14:20:56"
    assert found["latitude"] == 52.375
    assert found["caption"] == "two boats"


def test_odd_values_in_takeout_are_left_out(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg", 1)
    odd = takeout(
        "",
        photoTakenTime={"timestamp": "soon"},
        title=" ",
        geoData={"latitude": 0.0, "longitude": 0.0},
        people=[{}, "x", {"name": 3}],
        favorited=True,
    )
    (tmp_path / "a.jpg.supplemental-metadata.json").write_text(odd)
    assert index(tmp_path)["a.jpg"] == {"people": [], "favorite": True}


def test_the_place_in_the_image_stands_in_where_takeout_has_no_other(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg", 1)
    place = {"latitude": 48.85, "longitude": 2.35}
    none = {"latitude": 0.0, "longitude": 0.0}
    (tmp_path / "a.jpg.json").write_text(takeout("", geoData=none, geoDataExif=place))
    assert index(tmp_path)["a.jpg"]["latitude"] == 48.85


def test_a_description_of_another_image_is_not_taken_for_takeout(tmp_path: Path) -> None:
    draw(tmp_path / "shoe.jpg", 1)
    draw(tmp_path / "shoe-red.jpg", 2)
    (tmp_path / "shoe.jpg.json").write_text('{"price": 5}')
    assert index(tmp_path) == {"shoe.jpg": {"price": 5}, "shoe-red.jpg": {}}


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/"
  xmlns:dc="http://purl.org/dc/elements/1.1/" exif:DateTimeOriginal="2019-07-14T12:20:56+02:00"
  exif:GPSLatitude="52,22.5N" exif:GPSLongitude="4,54.0E">
<dc:subject><rdf:Bag><rdf:li>boat</rdf:li><rdf:li>sea</rdf:li></rdf:Bag></dc:subject>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.xmp", "a.XMP"])
def test_an_xmp_sidecar_describes_its_image(name: str, tmp_path: Path) -> None:
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0x9003] = "2001:01:01 00:00:00"
    Image.new("RGB", (60, 60), "red").save(tmp_path / "a.jpg", exif=tags)
    (tmp_path / name).write_text(XMP)
    assert index(tmp_path)["a.jpg"] == {
        "taken": "2019-07-14T12:20:56+02:00",
        "latitude": 52.375,
        "longitude": 4.9,
        "keywords": ["boat", "sea"],
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<x",
        b"\xff\xd8\xff",
        b"<!DOCTYPE x [<!ENTITY y 'z'>]><x>&y;</x>",
        b"<a>" * 50_000,
        b"x" * (1 << 20 | 1),
    ],
)
def test_a_broken_xmp_sidecar_is_harmless_and_told(content: bytes, tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg", 1)
    (tmp_path / "a.jpg.xmp").write_bytes(content)
    with Library.create(tmp_path) as library:
        report = library.add([tmp_path], extractors=["histogram"], options=IndexOptions(workers=1))
    assert report.new == 1
    assert [path for path, _ in report.broken_examples] == [str(tmp_path / "a.jpg.xmp")]


def test_sidecars_without_an_image_are_counted_those_of_other_files_are_not(
    tmp_path: Path,
) -> None:
    draw(tmp_path / "a.jpg", 1)
    draw(tmp_path / "b.png", 2)
    for name in ("c.mp3", "a.AAE"):
        (tmp_path / name).write_bytes(b"x")
    for name in ("a.xmp", "b.jpg.xmp", "c.mp3.xmp", "c.xmp", "d.xmp", "e.jpg.xmp", "a_01.jpg.xmp"):
        (tmp_path / name).write_text(XMP)  # the last one is darktable's, of another version
    with Library.create(tmp_path) as library:
        report = library.add([tmp_path], extractors=["histogram"], options=IndexOptions(workers=1))
    assert (report.sidecars, report.orphan_sidecars, report.failures) == (1, 3, 0)
    assert report.orphan_example == str(tmp_path / "b.jpg.xmp")
