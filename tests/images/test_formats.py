"""Formats beyond those that Pillow and libheif read by themselves: real decoders on files drawn here."""

from __future__ import annotations

import io
import struct
import zlib
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.images.raw_builder import dng

from lookalike.errors import ImageError, Outcome
from lookalike.images import formats, sniff
from lookalike.images.decode import decode
from lookalike.images.metadata.facts import Facts
from lookalike.images.metadata.read_metadata import add_metadata
from lookalike.images.pixel_spec import Decoded, PixelSpec
from lookalike.images.raw import raw_blocks
from lookalike.images.reading import read
from lookalike.workers.limits import Limits

RED, BLUE = (220, 30, 30), (20, 40, 210)


def halves(width: int = 160, height: int = 120) -> Image.Image:
    """Return an image that is red on its left and blue on its right."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def is_red_then_blue(decoded: Decoded, *, downwards: bool = False) -> bool:
    pixels = decoded.pixels.astype(int)
    height, width = pixels.shape[:2]
    first = pixels[
        height // 4 if downwards else height // 2, width // 2 if downwards else width // 4
    ]
    last = pixels[
        -(height // 4) if downwards else height // 2, width // 2 if downwards else -(width // 4)
    ]
    return bool(first[0] > first[2] + 60 and last[2] > last[0] + 60)


def refused(data: bytes, name: str = "", **options: object) -> ImageError:
    with pytest.raises(ImageError) as error:
        decode(data, specs=(), name=name, **options)  # type: ignore[arg-type]
    return error.value


def test_jpeg_2000_is_decoded_at_a_reduced_size() -> None:
    data = saved(halves(1600, 1200), "JPEG2000")
    decoded = decode(data, specs=[PixelSpec(fit="inside", max_side=256)])
    assert decoded.pixels.shape == (300, 400, 3)
    assert (decoded.facts.width, decoded.facts.height, decoded.facts.format) == (1600, 1200, "jp2")
    assert is_red_then_blue(decoded)


def test_the_largest_image_of_an_icon_is_decoded() -> None:
    decoded = decode(saved(halves(64, 64), "ICO", sizes=[(16, 16), (64, 64)]), specs=())
    assert decoded.pixels.shape == (64, 64, 3)
    assert is_red_then_blue(decoded)


def test_the_composite_of_a_photoshop_file_is_decoded() -> None:
    pixels = np.asarray(halves())
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 120, 160, 8, 3)
    data = header + bytes(12) + b"\x00\x00" + pixels.transpose(2, 0, 1).tobytes()
    assert is_red_then_blue(decode(data, specs=()))
    absurd = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 300_000, 300_000, 8, 3) + bytes(14)
    assert refused(absurd).outcome is Outcome.TOO_LARGE


def test_jpeg_xl_is_decoded_and_too_large_ones_are_not() -> None:
    pytest.importorskip("pillow_jxl")
    data = saved(halves(), "JXL")
    assert is_red_then_blue(decode(data, specs=()))
    error = refused(data, limits=Limits(max_pixels=10_000))
    assert error.outcome is Outcome.TOO_LARGE
    assert "160×120" in error.reason


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {0}>{1}</svg>'


def test_svg_is_drawn_at_the_size_that_is_needed() -> None:
    pytest.importorskip("resvg_py")
    shapes = '<a href="https://example.com"><path d="M0 0h8v12H0z" fill="#dc1e1e"/></a>'
    shapes += '<rect x="8" width="8" height="12" fill="url(#g)"/>'
    shapes += '<linearGradient id="g"><stop stop-color="#1428d2"/></linearGradient>'
    text = SVG.format('viewBox="0 0 16 12"', shapes)
    decoded = decode(text.encode(), specs=[PixelSpec(fit="inside", max_side=200)])
    assert decoded.pixels.shape == (150, 200, 3)
    assert is_red_then_blue(decoded)
    packed = zlib.compressobj(wbits=31)
    assert is_red_then_blue(
        decode(packed.compress(text.encode()) + packed.flush(), specs=(), name="a.svgz")
    )


@pytest.mark.parametrize(
    "family", ["", "sans-serif", "Arial", "No Such Font", "monospace", "cursive"]
)
def test_the_text_of_an_svg_is_drawn_whatever_fonts_there_are(family: str) -> None:
    pytest.importorskip("resvg_py")
    font = f'font-family="{family}"' if family else ""
    text = SVG.format('width="90" height="40"', f'<text y="30" font-size="30" {font}>Ab</text>')
    assert (decode(text.encode(), specs=()).pixels < 100).mean() > 0.02


@pytest.mark.parametrize(
    "part",
    [
        '<image href="http://127.0.0.1:9/a.png" width="9" height="9"/>',
        '<image xlink:href="/etc/passwd" width="9" height="9"/>',
        '<use xlink:href="other.svg#a"/>',
        '<image href="data:text/plain,%3Csvg/%3E" width="9" height="9"/>',
        "<style>@import 'a.css';</style>",
        "<style>rect{fill:url(http://127.0.0.1/a)}</style>",
        '<rect style="fill: url( file:///etc/passwd )"/>',
        "<style>@im<![CDATA[port url(//x/y)]]></style>",
    ],
)
def test_svg_that_loads_something_is_refused(part: str) -> None:
    pytest.importorskip("resvg_py")
    error = refused(SVG.format('width="9" height="9"', part).encode())
    assert error.outcome is Outcome.UNSUPPORTED
    assert "loads something from elsewhere" in error.reason


def test_svg_within_svg_is_drawn_and_must_not_load_anything_either() -> None:
    pytest.importorskip("resvg_py")

    def containing(drawing: str, times: int) -> str:
        for _ in range(times):
            packed = b64encode(drawing.encode()).decode()
            link = f'<image width="16" height="12" href="data:image/svg+xml;base64,{packed}"/>'
            drawing = SVG.format('viewBox="0 0 16 12"', link)
        return drawing

    shapes = '<rect width="8" height="12" fill="#dc1e1e"/><rect x="8" width="8" height="12" fill="#1428d2"/>'
    drawing = SVG.format('width="16" height="12"', shapes)
    assert is_red_then_blue(decode(containing(drawing, 2).encode(), specs=()))
    assert refused(containing(drawing, 5).encode()).outcome is Outcome.TOO_LARGE
    loading = SVG.format('width="16" height="12"', '<image href="file:///a.png"/>')
    assert "file:///a.png" in refused(containing(loading, 2).encode()).reason


def test_svg_of_which_parts_are_not_drawn_has_a_note() -> None:
    pytest.importorskip("resvg_py")
    for part in ("<foreignObject/>", "<style>rect{fill:var(--c)}</style>"):
        note = decode(SVG.format('width="9" height="9"', part).encode(), specs=()).facts.note
        assert note is not None
        assert "not drawn" in note


def test_svg_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("resvg_py")
    entities = '<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + SVG.format("", "&b;")
    assert "entities" in refused(entities.encode()).reason
    huge = SVG.format('viewBox="0 0 1e9 1e9"', "<rect width='9' height='9'/>")
    assert refused(huge.encode()).outcome is Outcome.TOO_LARGE
    deep = SVG.format("", "<g>" * 5000 + "</g>" * 5000)
    assert refused(deep.encode()).outcome is Outcome.TOO_LARGE
    wide = SVG.format("", "<g " + " ".join(f"a{n}='1'" for n in range(1001)) + "/>")
    assert refused(wide.encode()).outcome is Outcome.TOO_LARGE
    monkeypatch.setattr("lookalike.images.svg.MAX_BYTES", 1 << 16)
    packed = zlib.compressobj(wbits=31)
    zeros = packed.compress(b"<svg>" + bytes(1 << 20)) + packed.flush()
    assert refused(zeros, name="a.svgz").outcome is Outcome.TOO_LARGE


def test_pages_of_a_pdf_are_drawn() -> None:
    pytest.importorskip("pypdfium2")
    data = saved(halves(), "PDF", save_all=True, append_images=[halves().rotate(-90, expand=True)])
    first = decode(data, specs=[PixelSpec(fit="inside", max_side=100)])
    assert (first.facts.frames, first.pages) == (2, ("2",))
    assert max(first.pixels.shape) <= 101
    assert is_red_then_blue(first)
    assert is_red_then_blue(decode(data, specs=(), page="2"), downwards=True)
    assert refused(data, page="3").outcome is Outcome.MISSING


def test_what_is_filled_into_the_form_of_a_pdf_is_drawn() -> None:
    pytest.importorskip("pypdfium2")
    objects = (
        "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/DR<</Font<</H 5 0 R>>>>>>>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 60]/Annots[4 0 R]>>",
        "<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(Ada)/Rect[0 0 200 60]/DA(/H 40 Tf 0 g)/P 3 0 R/F 4>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    numbered = (f"{number} 0 obj{one}endobj\n" for number, one in enumerate(objects, 1))
    data = f"%PDF-1.4\n{''.join(numbered)}trailer<</Root 1 0 R>>".encode()
    assert (decode(data, specs=()).pixels < 100).mean() > 0.02


def test_pdf_that_cannot_be_read_says_why() -> None:
    pdfium = pytest.importorskip("pypdfium2")
    protected = (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
        b"3 0 obj<</Filter/Standard/V 1/R 2/P -4/O<"
        + b"41" * 32
        + b">/U<"
        + b"42" * 32
        + b">>>endobj\n"
        b"trailer<</Root 1 0 R/Encrypt 3 0 R/ID[<00><00>]>>\n%%EOF"
    )
    error = refused(protected)
    assert (error.outcome, error.reason) == (
        Outcome.UNSUPPORTED,
        "needs a password; save it without one",
    )
    assert refused(b"%PDF-1.7\n" + bytes(range(256)) * 4).outcome is Outcome.UNREADABLE
    document = pdfium.PdfDocument.new()
    for _ in range(1200):
        document.new_page(14_400, 14_400)
    buffer = io.BytesIO()
    document.save(buffer)
    decoded = decode(buffer.getvalue(), specs=[PixelSpec(fit="inside", max_side=64)])
    assert len(decoded.pages) == 999
    assert decoded.facts.note == "has 1,200 pages, of which the first 1,000 are read"
    assert (decoded.facts.width, decoded.facts.height) == (4096, 4096)


def test_raw_files_are_read_by_their_preview_or_developed() -> None:
    pytest.importorskip("rawpy")
    small = [PixelSpec(fit="inside", max_side=64)]
    green = Image.new("RGB", (80, 60), (20, 200, 20))
    shown = decode(dng(halves(), preview=green), specs=small, name="a.dng")
    assert shown.pixels[9, 9, 1] > 150  # the preview
    nameless = decode(dng(halves(), preview=green), specs=small)  # an upload
    assert nameless.facts == shown.facts
    tiny = decode(dng(halves(), preview=green.resize((32, 24))), specs=small, name="a.dng")
    assert is_red_then_blue(tiny)
    assert tiny.pixels.shape == (60, 80, 3)
    facts = tiny.facts
    assert (facts.width, facts.height, facts.format) == (160, 120, "raw")
    assert (facts.taken, facts.camera, facts.lens) == (
        "2024-05-01T12:30:00",
        "Acme R1",
        "50mm F1.8",
    )
    assert (facts.latitude, facts.longitude) == (52.5, 13.4)


@pytest.mark.parametrize("preview", [None, halves()])
def test_raw_files_are_turned_upright(preview: Image.Image | None) -> None:
    pytest.importorskip("rawpy")
    for orientation in (5, 6):  # the left half is on top in both; 5 is mirrored
        decoded = decode(
            dng(halves(), preview=preview, orientation=orientation), specs=(), name="a.dng"
        )
        assert (decoded.facts.width, decoded.facts.height) == (120, 160)
        assert decoded.pixels.shape[0] > decoded.pixels.shape[1]
        assert is_red_then_blue(decoded, downwards=True)


def test_the_metadata_of_a_cr3_file_is_read_from_its_boxes() -> None:
    def box(name: bytes, directory: dict[int, object]) -> bytes:
        exif = Image.Exif()
        exif.update(directory)
        block = exif.tobytes().removeprefix(b"Exif\x00\x00")
        return struct.pack(">I4s", len(block) + 8, name) + block

    data = b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom"
    data += box(b"CMT1", {271: "Canon", 272: "Canon EOS R5"})
    data += box(b"CMT2", {0x9003: "2024:05:01 12:30:00", 0xA434: "RF50mm"})
    data += box(b"CMT4", {1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    facts = add_metadata(Facts(1, 1, "raw"), raw_blocks(data))
    assert (facts.camera, facts.lens) == ("Canon EOS R5", "RF50mm")
    assert (facts.taken, facts.latitude) == ("2024-05-01T12:30:00", 52.5)


def test_the_metadata_of_mrw_and_crw_files_is_read() -> None:
    exif = Image.Exif()
    exif.update({271: "Minolta", 272: "DiMAGE A2"})
    exif.get_ifd(0x8769)[0x9003] = "2004:11:18 23:14:58"
    block = exif.tobytes().removeprefix(b"Exif\x00\x00")
    mrw = b"\x00MRM\x00\x00\x0a\x00" + struct.pack(">4sI", b"\x00TTW", len(block)) + block
    facts = add_metadata(Facts(1, 1, "raw"), raw_blocks(mrw + bytes(99)))
    assert (facts.camera, facts.taken) == ("Minolta DiMAGE A2", "2004-11-18T23:14:58")

    def heap(entries: dict[int, bytes]) -> bytes:
        data, rows = b"", b""
        for tag, value in entries.items():
            rows += struct.pack("<HII", tag, len(value), len(data))
            data += value
        return data + struct.pack("<H", len(entries)) + rows + struct.pack("<I", len(data))

    camera = heap({0x080A: b"Canon\x00Canon EOS D60\x00"})
    settings = heap({0x2807: camera, 0x180E: struct.pack("<III", 1_068_485_966, 0, 0)})
    crw = b"II\x1a\x00\x00\x00HEAPCCDR\x02\x00".ljust(26, b"\x00") + heap({0x300A: settings})
    facts = add_metadata(Facts(1, 1, "raw"), raw_blocks(crw))
    assert (facts.camera, facts.taken) == ("Canon EOS D60", "2003-11-10T17:39:26")
    for cut in range(0, len(crw), 3):
        raw_blocks(crw[:cut])


def test_a_cut_raw_file_that_is_shown_by_its_preview_has_a_note() -> None:
    pytest.importorskip("rawpy")
    data = dng(halves(), preview=halves())
    size, place = 160 * 120 * 2, struct.pack("<HHII", 273, 4, 1, 8)
    behind = data.replace(place, place[:8] + struct.pack("<I", len(data))) + data[8 : 8 + size]
    assert decode(behind, specs=(), name="a.dng").facts.note is None
    cut = decode(behind[: -size // 2], specs=(), name="a.dng")
    assert is_red_then_blue(cut)
    assert cut.facts.note == "the end of the file is missing"
    assert refused(behind[: len(data) - 99], name="a.dng").outcome is Outcome.TRUNCATED


def test_raw_files_that_libraw_refuses_say_so() -> None:
    pytest.importorskip("rawpy")
    error = refused(b"II*\x00\x08\x00\x00\x00" + bytes(500), name="a.nef")
    assert error.outcome is Outcome.UNSUPPORTED
    assert "LibRaw" in error.reason
    whole = dng(halves(), preview=None)
    assert refused(whole[:3000], name="a.dng").outcome is Outcome.TRUNCATED
    size = struct.pack("<HHII", 279, 4, 1, 160 * 120 * 2)
    lacking = whole.replace(size, size[:8] + struct.pack("<I", 160 * 120 * 6))
    assert refused(lacking, name="a.dng").outcome is Outcome.TRUNCATED
    assert (
        refused(whole.replace(size, size[:8] + b"\xff" * 4), name="a.dng").outcome
        is Outcome.TRUNCATED
    )
    assert refused(whole, name="a.dng", limits=Limits(max_pixels=1000)).outcome is Outcome.TOO_LARGE


def write_video(
    path: Path, colors: list[tuple[int, int, int]], *, sound: bool = False, keys: bool = True
) -> None:
    """Write a second of each color, each with a key frame; without `keys`, the other frames only."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        if sound:
            stream = container.add_stream("aac", rate=44_100)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
            frame.sample_rate = 44_100
            container.mux(stream.encode(frame))
        else:
            stream = container.add_stream("mpeg4", rate=4, options={"g": "4", "sc_threshold": "0"})
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            for color in colors:
                image = Image.new("RGB", (96, 64), color)
                image.paste((255, 255, 255), (0, 0, 48, 32))
                for _ in range(4):
                    packets = stream.encode(av.VideoFrame.from_image(image))
                    container.mux([one for one in packets if keys or not one.is_keyframe])
        container.mux(stream.encode(None))


def test_frames_of_a_video_are_those_at_which_it_changes(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [RED, RED, BLUE, (0, 120, 0)])
    content = read(tmp_path / "a.mp4")
    decoded = decode(content, specs=())
    assert decoded.pages == ("t=2", "t=3")
    assert (decoded.facts.frames, decoded.facts.format) == (3, "mp4")
    assert decoded.pixels[50, 80, 0] > 150
    later = decode(read(f"{tmp_path / 'a.mp4'}#t=2"), specs=())
    assert later.pixels[50, 80, 2] > 150
    assert later.facts.frames == 1


def test_videos_without_pictures_say_so(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [], sound=True)
    assert refused((tmp_path / "a.mp4").read_bytes()).reason.startswith("has sound, but no video")
    write_video(tmp_path / "b.mp4", [RED])
    whole = (tmp_path / "b.mp4").read_bytes()
    assert refused(whole[: len(whole) // 2]).outcome in (Outcome.UNREADABLE, Outcome.TRUNCATED)
    write_video(tmp_path / "c.mts", [RED], keys=False)
    assert "no key frame" in refused((tmp_path / "c.mts").read_bytes()).reason
    # A playlist under the name of a video is not followed.
    assert sniff.sniff(b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n") is None


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda _: None)
    formats.is_readable.cache_clear()
    try:
        error = sniff.refusal("a.pdf", b"%PDF-1.7", 100)
        assert error is not None
        assert error.outcome is Outcome.SKIPPED
        assert formats.missing_extra(error.reason) == ("PDF", "pdf")
        assert not formats.became_readable(error.reason, ".pdf")
        other = sniff.refusal("a.cr2", b"II*\x00\x10\x00\x00\x00CR", 100)
        assert other is not None
        assert other.outcome is Outcome.UNSUPPORTED
    finally:
        monkeypatch.undo()
        formats.is_readable.cache_clear()
    assert formats.became_readable(error.reason, ".pdf") == formats.is_readable("pdf")
    assert formats.became_readable("not an image: neither its name nor its content says so", ".pdf")
