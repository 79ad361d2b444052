"""Ratings, colour labels, people and hierarchical keywords come from XMP, and go back into sidecars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image
from tests.library.image_builders import draw

from lookalike import IndexOptions, Library
from lookalike.images.metadata.read_metadata import sidecar_fields
from lookalike.images.metadata.xmp_write import write_xmp

HEAD = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
 xmlns:r="http://www.metadataworkinggroup.com/schemas/regions/"
 xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#"
 xmlns:digiKam="http://www.digikam.org/ns/1.0/" xmlns:darktable="http://darktable.sf.net/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"><rdf:Description rdf:about="" """


def xmp(body: str = "", attributes: str = "") -> bytes:
    text = f"{HEAD}{attributes}>{body}</rdf:Description></rdf:RDF></x:xmpmeta>"
    return text.encode()


def bag(*items: str) -> str:
    return f"<rdf:Bag>{''.join(f'<rdf:li>{item}</rdf:li>' for item in items)}</rdf:Bag>"


FACES = """<r:Regions rdf:parseType="Resource"><r:RegionList><rdf:Bag>
<rdf:li><rdf:Description r:Name="Ada" r:Type="Face"/></rdf:li>
<rdf:li rdf:parseType="Resource"><r:Name>Bob</r:Name><r:Type>Face</r:Type></rdf:li>
<rdf:li r:Name="the eye" r:Type="Focus"/></rdf:Bag></r:RegionList></r:Regions>"""


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (xmp(attributes='xmp:Rating="4" xmp:Label="Rot"'), {"rating": 4, "color_label": "Rot"}),
        (xmp("<xmp:Rating>-1</xmp:Rating>"), {"rating": -1}),
        (xmp("<xmp:Rating>0</xmp:Rating>"), {}),
        (xmp("<xmp:Rating>many</xmp:Rating>"), {}),
        (
            xmp(f"<darktable:colorlabels>{bag('3')}</darktable:colorlabels>"),
            {"color_label": "Blue"},
        ),
        (xmp(attributes='digiKam:ColorLabel="4"'), {"color_label": "Green"}),
        (xmp(attributes='digiKam:ColorLabel="0"'), {}),
        (xmp(FACES), {"people": ["Ada", "Bob"]}),
        (xmp('<MPReg:x MPReg:PersonDisplayName="Cy"/>'), {"people": ["Cy"]}),
        (
            xmp(
                f"<Iptc4xmpExt:PersonInImage>{bag('Zoë', 'Ada')}</Iptc4xmpExt:PersonInImage>{FACES}"
            ),
            {"people": ["Zoë", "Ada", "Bob"]},
        ),
        (
            xmp(f"<lr:hierarchicalSubject>{bag('Places|Paris')}</lr:hierarchicalSubject>"),
            {"hierarchical_keywords": ["Places|Paris"]},
        ),
        (
            xmp(f"<digiKam:TagsList>{bag('Places/Paris')}</digiKam:TagsList>")
            .decode()
            .encode("utf-16"),
            {"hierarchical_keywords": ["Places|Paris"]},
        ),
    ],
)
def test_marks_of_all_programs_have_one_name(packet: bytes, expected: Mapping[str, Any]) -> None:
    assert sidecar_fields(packet) == expected


def test_marks_inside_a_jpeg_are_filters(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 60), "red")
    image.save(tmp_path / "a.jpg", xmp=xmp(FACES, 'xmp:Rating="5"'))
    image.save(tmp_path / "b.jpg", xmp=xmp("", 'xmp:Rating="2"'))
    with Library.create(tmp_path) as library:
        library.add([tmp_path], extractors=["histogram"], options=IndexOptions(workers=1))
        hits = library.search(where="rating >= 3 and people = 'Ada'")
        assert [hit.path for hit in hits] == ["a.jpg"]
        library.copy_to(tmp_path / "copy")
        with Library.open(tmp_path / "copy") as other:
            assert len(other.search(where="people = 'Bob'")) == 1


def test_what_another_program_wrote_stays_when_fields_are_written() -> None:
    foreign = xmp(
        f"<!-- theirs --><dc:subject>{bag('sea')}</dc:subject>"
        '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">old</rdf:li>'
        '<rdf:li xml:lang="de">alt</rdf:li></rdf:Alt></dc:description>',
        'crs:Exposure2012="+0.50" xmp:Rating="2"',
    )
    fields = {"caption": "new & <b>", "keywords": ["sea", "boat"], "rating": 5, "title": "T"}
    packet, kept = write_xmp(foreign, fields)
    assert packet is not None and kept
    assert b"<!-- theirs -->" in packet and b'crs:Exposure2012="+0.50"' in packet
    assert sidecar_fields(packet) == {
        "caption": "T\nold",
        "title": "T",
        "keywords": ["sea", "boat"],
        "rating": 2,
    }
    assert write_xmp(packet, fields) == (None, True)
    replaced, kept = write_xmp(packet, fields, replace=True)
    assert replaced is not None and not kept
    assert sidecar_fields(replaced)["rating"] == 5
    texts = [element.text for element in ElementTree.fromstring(replaced).iter() if element.text]
    assert {"new & <b>", "alt"} <= set(texts) and "old" not in texts
    assert write_xmp(replaced, fields, replace=True) == (None, False)


def test_metadata_is_exported_beside_the_images_only_and_comes_back(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for number, name in enumerate(("a.jpg", "b.jpg", "b.png", "c.jpg", "d.jpg", "e.jpg")):
        draw(photos / name, number)
    (photos / "b.xmp").write_bytes(xmp("", 'xmp:Rating="3"'))  # describes b.jpg and b.png
    (photos / "d.jpg.xmp").write_bytes(b"<broken")
    (tmp_path / "outside.xmp").write_bytes(xmp())
    (photos / "e.jpg.xmp").symlink_to(tmp_path / "outside.xmp")
    originals = {file: file.read_bytes() for file in photos.glob("*.[jp]*g")}
    with Library.create(photos) as library:
        library.add([photos], extractors=["histogram"], options=IndexOptions(workers=1))
        for name in ("a", "b", "d", "e"):
            library.set_metadata(
                photos / f"{name}.jpg", {"caption": "a\x01 boat"}, add_tags=["sea"]
            )
        planned = library.export_metadata(where="caption like '%boat%'", dry_run=True)
        assert not (photos / "a.jpg.xmp").exists()
        report = library.export_metadata()
        assert report.written[:2] == planned.written == (photos / "a.jpg.xmp", photos / "b.jpg.xmp")
        assert [Path(path).name for path, _ in report.failed] == ["d.jpg.xmp", "e.jpg.xmp"]
        assert sidecar_fields((photos / "b.jpg.xmp").read_bytes()) == {
            "caption": "a boat",
            "keywords": ["sea"],
            "rating": 3,
        }
        assert library.export_metadata(photos / "a.jpg").unchanged == 1
        library.add([photos], options=IndexOptions(workers=1))
        with library.snapshot() as snapshot:
            (image,) = (one for one in snapshot.iter_files() if one.path == "a.jpg")
            assert snapshot.metadata_sources([image.id])[image.id].sidecar["keywords"] == ["sea"]
    assert originals == {file: file.read_bytes() for file in originals}
    assert (tmp_path / "outside.xmp").read_bytes() == xmp()


@pytest.mark.parametrize(
    ("title", "caption"),
    [("Harbour", "Harbour\na boat"), ("IMG_1.JPG", "a boat"), ("scan.pdf", "a boat")],
)
def test_a_title_that_is_the_name_of_a_file_is_no_part_of_the_caption(
    title: str, caption: str
) -> None:
    packet, _ = write_xmp(None, {"title": title, "caption": "a boat"})
    assert sidecar_fields(packet or b"") == {"title": title, "caption": caption}
