"""EXIF, IPTC and XMP are written here and read back."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from lookalike.images.decode import decode
from lookalike.images.metadata.facts import Facts
from lookalike.images.metadata.xmp import read_xmp

EXIF, GPS = 0x8769, 0x8825


def exif(
    main: dict[int, Any] | None = None,
    inner: dict[int, Any] | None = None,
    gps: dict[int, Any] | None = None,
) -> Image.Exif:
    tags = Image.Exif()
    tags.update(main or {})
    if inner:
        tags.get_ifd(EXIF).update(inner)
    if gps:
        tags.get_ifd(GPS).update(gps)
    return tags


def image_file(format: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(out, format, **options)
    return out.getvalue()


def facts(data: bytes) -> Facts:
    return decode(data, specs=()).facts


def app(marker: int, content: bytes) -> bytes:
    """Return a JPEG segment, to be placed after the first two bytes."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def with_segment(marker: int, content: bytes) -> bytes:
    plain = image_file()
    return plain[:2] + app(marker, content) + plain[2:]


def packet(inside: str, attributes: str = "", head: str = "") -> bytes:
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{head}
      <x:xmpmeta xmlns:x="adobe:ns:meta/">
      <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" {attributes}>{inside}
      </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


def described(text: str) -> str:
    return f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:description>'


def xmp(*arguments: str) -> bytes:
    return with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + packet(*arguments))


def dataset(record: int, number: int, value: bytes) -> bytes:
    return bytes([0x1C, record, number]) + struct.pack(">H", len(value)) + value


def iptc(*datasets: bytes) -> bytes:
    records = b"".join(datasets)
    first = b"8BIM\x03\xed\x00\x00" + struct.pack(">I", 3) + b"dpi\x00"
    records = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(records)) + records
    return with_segment(0xED, b"Photoshop 3.0\x00" + first + records)


R = TiffImagePlugin.IFDRational
EXPOSURE = {0x829A: R(1, 250), 0x829D: R(8, 1), 0x8827: 100, 0x9204: R(-3, 2)}

FULL = exif(
    {0x010F: "Canon", 0x0110: "Canon EOS 5D", 0x010E: "Two cats on a wall"},
    {0x9003: "2024:05:01 12:30:00", 0x9011: "+02:00", 0xA434: "EF 50mm f/1.8", **EXPOSURE},
    {1: "N", 2: (48.0, 8.0, 15.0), 3: "W", 4: (11.0, 34.5, 0.0)},
)


def tiff() -> bytes:
    """Return a TIFF whose directory points to those of EXIF and GPS."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.update(dict(FULL))
    for part in (EXIF, GPS):
        tags[part] = dict(FULL.get_ifd(part))
    return image_file("TIFF", tiffinfo=tags)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_is_read_from_every_format_that_has_it(format: str) -> None:
    found = facts(tiff() if format == "TIFF" else image_file(format, exif=FULL))
    assert found.taken == "2024-05-01T12:30:00+02:00"
    assert found.camera == "Canon EOS 5D"
    assert found.lens == "EF 50mm f/1.8"
    assert found.exposure == "1/250 s f/8 ISO 100 -1.5 EV"
    assert found.latitude == pytest.approx(48 + 8 / 60 + 15 / 3600)
    assert found.longitude == pytest.approx(-(11 + 34.5 / 60))
    assert found.caption == "Two cats on a wall"
    assert (found.width, found.height) == (40, 30)


def test_exif_is_read_from_heic() -> None:
    import pillow_heif

    out = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 64), "red")).save(out, exif=FULL.tobytes())
    assert facts(out.getvalue()).taken == "2024-05-01T12:30:00+02:00"


def test_an_image_without_metadata_has_only_size_and_format() -> None:
    assert facts(image_file()) == Facts(40, 30, "jpeg")
    assert facts(image_file("PNG")) == Facts(40, 30, "png")


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("NIKON CORPORATION", "NIKON D90", "NIKON D90"),
        ("Apple", "iPhone 15", "Apple iPhone 15"),
        ("SONY  \x00junk", "", "SONY"),
        ("", "X100", "X100"),
        ("", "", None),
    ],
)
def test_the_camera_names_the_maker_once(make: str, model: str, camera: str | None) -> None:
    assert facts(image_file(exif=exif({0x010F: make, 0x0110: model}))).camera == camera


@pytest.mark.parametrize(
    ("written", "offset", "taken"),
    [
        ("2024:05:01 12:30:00", "", "2024-05-01T12:30:00"),
        ("2024-05-01 12:30:00", "-05:30", "2024-05-01T12:30:00-05:30"),
        ("2024:05:01 12:30:00", "nonsense", "2024-05-01T12:30:00"),
        ("0000:00:00 00:00:00", "", None),
        ("2024:02:31 12:30:00", "", None),
        ("yesterday", "", None),
        ("    :  :     :  :  ", "", None),
    ],
)
def test_an_impossible_date_is_ignored(written: str, offset: str, taken: str | None) -> None:
    assert facts(image_file(exif=exif({}, {0x9003: written, 0x9011: offset}))).taken == taken


def test_the_date_of_digitisation_is_the_fallback() -> None:
    tags = {0x9003: "0000:00:00 00:00:00", 0x9004: "2001:02:03 04:05:06"}
    assert facts(image_file(exif=exif({}, tags))).taken == "2001-02-03T04:05:06"


@pytest.mark.parametrize(
    "gps",
    [
        {1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)},
        {1: "N", 2: (91.0, 0.0, 0.0), 3: "E", 4: (11.0, 0.0, 0.0)},
        {1: "N", 2: (48.0, 0.0, 0.0)},
        {2: (48.0, 0.0, 0.0), 4: (11.0, 0.0, 0.0)},
        {1: "Q", 2: (48.0, 0.0, 0.0), 3: "E", 4: (11.0, 0.0, 0.0)},
    ],
)
def test_an_impossible_position_is_ignored(gps: dict[int, Any]) -> None:
    found = facts(image_file(exif=exif(gps=gps)))
    assert (found.latitude, found.longitude) == (None, None)


@pytest.mark.parametrize(
    "junk", ["OLYMPUS DIGITAL CAMERA", "SONY DSC", "DCIM\\100MEDIA\\DJI_0001.JPG", "IMG_0042", " "]
)
def test_captions_written_by_cameras_are_ignored(junk: str) -> None:
    assert facts(image_file(exif=exif({0x010E: junk}))).caption is None


@pytest.mark.parametrize(
    ("tags", "inner", "caption"),
    [
        ({0x9C9B: "Grüße".encode("utf-16-le") + b"\0\0"}, {}, "Grüße"),
        ({}, {0x9286: b"ASCII\x00\x00\x00a plain comment\x00"}, "a plain comment"),
        ({}, {0x9286: b"UNICODE\x00" + "ein Käfer".encode("utf-16-le")}, "ein Käfer"),
        ({}, {0x9286: b"UNICODE\x00" + "ein Käfer".encode("utf-16-be")}, "ein Käfer"),
        ({}, {0x9286: b"\x00" * 8 + b"\x00" * 50}, None),
        ({}, {0x9286: b"\x00" * 8 + b"\xff\xfe\x93"}, None),
    ],
)
def test_comments_are_decoded_in_all_encodings(
    tags: dict[int, Any], inner: dict[int, Any], caption: str | None
) -> None:
    assert facts(image_file(exif=exif(tags, inner))).caption == caption


def test_the_keywords_of_windows_are_split() -> None:
    tags = {0x9C9E: "beach; summer;beach;".encode("utf-16-le")}
    assert facts(image_file(exif=exif(tags))).keywords == ("beach", "summer")


def test_nested_xmp_properties_are_read_once() -> None:
    inner = "<dc:subject><rdf:Bag><rdf:li>{}</rdf:li></rdf:Bag>{}</dc:subject>"
    both = inner.format("outer", f"<x>{inner.format('inner', '')}</x>")
    assert read_xmp(packet(both)).text.keywords == ("outer", "inner")


def test_xmp_gives_title_description_and_keywords() -> None:
    found = facts(
        xmp(
            "<dc:title><rdf:Alt><rdf:li xml:lang='de'>Katzen</rdf:li>"
            "<rdf:li xml:lang='x-default'>Cats</rdf:li></rdf:Alt></dc:title>"
            + described("Two of them &amp; a wall")
            + "<dc:subject><rdf:Bag><rdf:li>cat</rdf:li><rdf:li>wall</rdf:li></rdf:Bag></dc:subject>"
        )
    )
    assert found.caption == "Cats\nTwo of them & a wall"
    assert found.keywords == ("cat", "wall")


def test_xmp_may_have_a_description_as_an_attribute() -> None:
    assert facts(xmp("", 'dc:description="a boat"')).caption == "a boat"


def test_xmp_is_read_from_webp_and_png() -> None:
    assert facts(image_file("WEBP", xmp=packet(described("a boat")))).caption == "a boat"
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet(described("a boat")).decode())
    assert facts(image_file("PNG", pnginfo=info)).caption == "a boat"


def test_the_texts_of_a_png_are_read() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Description", "a drawing")
    assert facts(image_file("PNG", pnginfo=info)).caption == "a drawing"


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
    ],
)
def test_xmp_with_a_document_type_is_refused(head: str) -> None:
    assert facts(xmp(described("a boat"), "", head)) == Facts(40, 30, "jpeg")


def test_iptc_gives_caption_and_keywords() -> None:
    found = facts(
        iptc(
            dataset(1, 90, b"\x1b%G"),
            dataset(2, 25, "Käfer".encode()),
            dataset(2, 25, b"garden"),
            dataset(2, 105, b"Headline"),
            dataset(2, 120, b"A beetle in the garden"),
        )
    )
    assert found.keywords == ("Käfer", "garden")
    assert found.caption == "Headline\nA beetle in the garden"


def test_iptc_without_encoding_may_be_latin_1() -> None:
    assert facts(iptc(dataset(2, 120, "Käfer".encode("cp1252")))).caption == "Käfer"


def test_texts_of_several_blocks_are_merged_and_xmp_comes_first() -> None:
    plain = image_file(exif=exif({0x010E: "from exif"}))
    both = (
        plain[:2]
        + app(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + packet(described("from xmp")))
        + plain[2:]
    )
    assert facts(both).caption == "from xmp"


def test_long_texts_are_cut() -> None:
    found = facts(image_file("PNG", exif=exif({0x010E: "word " * 9_000})))
    assert found.caption is not None
    assert len(found.caption) == 10_000
    bag = "".join(f"<rdf:li>k{n}</rdf:li>" for n in range(1_000))
    words = xmp(f"<dc:subject><rdf:Bag>{bag}</rdf:Bag></dc:subject>")
    assert len(facts(words).keywords) == 200


MAKERS: dict[str, Callable[[], bytes]] = {
    "exif": lambda: image_file(exif=FULL),
    "exif in png": lambda: image_file("PNG", exif=FULL),
    "exif in tiff": tiff,
    "xmp": lambda: xmp(described("a boat")),
    "iptc": lambda: iptc(dataset(2, 25, b"garden"), dataset(2, 120, b"beetle")),
}


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_damaged_metadata_does_not_fail_an_image(kind: str) -> None:
    good = MAKERS[kind]()
    whole = facts(good)
    rng = random.Random(7)
    begin = good.index({"xmp": b"http:", "iptc": b"8BIM"}.get(kind, b"2024:05:01"))
    begin -= 60 if kind.startswith("exif") else 0
    end = good.index(b"beetle") if kind == "iptc" else begin + 140
    for _ in range(300):
        damaged = bytearray(good)
        for _ in range(rng.randint(1, 8)):
            damaged[rng.randrange(begin, end)] = rng.randrange(256)
        if kind == "exif in png":
            continue_with_checksum(damaged)
        try:
            found = facts(bytes(damaged))
        except Exception as error:
            # A TIFF is one directory: damage there may well cost the pixels. Nothing else may.
            assert kind == "exif in tiff" and type(error).__name__ == "ImageError", repr(error)
            continue
        assert {found.width, found.height} == {whole.width, whole.height}


def continue_with_checksum(png: bytearray) -> None:
    """Correct the checksum of the eXIf chunk, so that only the block is damaged."""
    import zlib

    at = png.index(b"eXIf")
    (size,) = struct.unpack(">I", png[at - 4 : at])
    png[at + 4 + size : at + 8 + size] = struct.pack(">I", zlib.crc32(png[at : at + 4 + size]))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "AVIF", "PNG", "TIFF"])
def test_animations_and_documents_tell_the_number_of_their_frames(kind: str) -> None:
    images = [Image.new("RGB", (40, 30), (60 * number, 10, 200)) for number in range(3)]
    several, single = io.BytesIO(), io.BytesIO()
    images[0].save(several, kind, save_all=True, append_images=images[1:])
    images[0].save(single, kind)

    assert facts(several.getvalue()).frames == 3
    assert facts(single.getvalue()).frames == 1


NAMESPACES = (
    'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
    'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" '
)
DAY = "2019-07-14T12:20:56"


@pytest.mark.parametrize(
    ("properties", "taken"),
    [
        (
            f'exif:DateTimeOriginal="{DAY}+02:00" xmp:CreateDate="2001-01-01T00:00:00"',
            f"{DAY}+02:00",
        ),
        (f'photoshop:DateCreated="{DAY}"', DAY),
        (f'xmp:CreateDate="{DAY}.50Z"', f"{DAY}+00:00"),
        (f'exif:DateTimeDigitized="{DAY}"', DAY),
        ('photoshop:DateCreated="2019-07-14"', "2019-07-14"),
        ('photoshop:DateCreated="2019-07-14T12:20-03:30"', "2019-07-14T12:20:00-03:30"),
        ('xmp:ModifyDate="2019-07-14T12:20:56"', None),
        ('photoshop:DateCreated="yesterday"', None),
        ('photoshop:DateCreated="2019-13-41T12:20:56"', None),
    ],
)
def test_dates_of_xmp_count(properties: str, taken: str | None) -> None:
    assert facts(xmp("", NAMESPACES + properties)).taken == taken
    if taken == DAY:
        element = f"<exif:DateTimeOriginal>{DAY}</exif:DateTimeOriginal>"
        assert facts(xmp(element, NAMESPACES)).taken == DAY


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        ("52,22.5N", "4,54.0E", (52.375, 4.9)),
        ("33,51,54S", "151,12.6E", (-33.865, 151.21)),
        ("0,0.0N", "0,0.0E", (None, None)),
        ("99,0N", "4,0E", (None, None)),
        ("52,22.5N", "", (None, None)),
        ("north", "4,0E", (None, None)),
    ],
)
def test_places_of_xmp_count(
    latitude: str, longitude: str, expected: tuple[float | None, float | None]
) -> None:
    place = f'exif:GPSLatitude="{latitude}" exif:GPSLongitude="{longitude}"'
    found = facts(xmp("", NAMESPACES + place))
    assert (found.latitude, found.longitude) == expected


def test_the_camera_of_xmp_counts_where_exif_names_none() -> None:
    camera = 'tiff:Make="NIKON" tiff:Model="NIKON D90" aux:Lens="18-105mm"'
    found = facts(xmp("", NAMESPACES + camera))
    assert (found.camera, found.lens) == ("NIKON D90", "18-105mm")


@pytest.mark.parametrize(
    ("records", "taken"),
    [
        ({55: "20190714", 60: "122056+0200"}, f"{DAY}+02:00"),
        ({55: "20190714", 60: "122056"}, DAY),
        ({55: "20190714"}, "2019-07-14"),
        ({62: "20190714", 63: "122056-0530"}, f"{DAY}-05:30"),
        ({55: "00000000", 62: "20190714"}, "2019-07-14"),
        ({60: "122056"}, None),
        ({55: "2019"}, None),
    ],
)
def test_dates_of_iptc_count(records: dict[int, str], taken: str | None) -> None:
    datasets = [dataset(2, number, value.encode()) for number, value in records.items()]
    assert facts(iptc(*datasets)).taken == taken


def test_exif_comes_before_xmp_and_iptc_in_dates_and_places() -> None:
    others = NAMESPACES + (
        'exif:DateTimeOriginal="2001-01-01T00:00:00" exif:GPSLatitude="1,0N" exif:GPSLongitude="1,0E"'
    )
    data = image_file(exif=FULL)
    found = facts(data[:2] + xmp("", others)[2 : -len(image_file()) + 2] + data[2:])
    assert found.taken == "2024-05-01T12:30:00+02:00"
    assert found.latitude == pytest.approx(48.1375)


def test_the_original_date_of_xmp_comes_before_that_of_digitisation_in_exif() -> None:
    scan = exif(inner={0x9004: "2020:02:02 10:00:00"})
    data = image_file(exif=scan)
    inserted = xmp("", NAMESPACES + 'photoshop:DateCreated="1968-08-21"')[
        2 : -len(image_file()) + 2
    ]
    assert facts(data[:2] + inserted + data[2:]).taken == "1968-08-21"


def test_xmp_adds_the_time_zone_that_exif_lacks() -> None:
    data = image_file(exif=exif(inner={0x9003: "2019:07:14 12:20:56"}))
    for zoned, taken in ((f"{DAY}+02:00", f"{DAY}+02:00"), ("2019-07-14T10:20:56Z", DAY)):
        stated = NAMESPACES + f'exif:DateTimeOriginal="{zoned}"'
        inserted = xmp("", stated)[2 : -len(image_file()) + 2]
        assert facts(data[:2] + inserted + data[2:]).taken == taken
