"""Whatever a file or a text holds, its reader accepts it or refuses it with the errors that it documents.

`tests.faults.fuzz` makes the inputs; INPUTS is their number over all targets in `make torture`.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import sys
import tarfile
import zlib
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tests.faults.fuzz import Target, run
from tests.faults.fuzz_targets import TARGETS, common_images, saved, target_of

from lookalike.errors import ImageError, UsageError
from lookalike.images import archives
from lookalike.images.archives import ParquetArchive, TarArchive
from lookalike.images.decode import decode
from lookalike.images.pixel_spec import PixelSpec
from lookalike.models.torch_file import read_tensors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits processes as Linux does")

INPUTS = int(os.environ.get("INPUTS", "1000000"))
FEW = 60


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_a_reader(name: str) -> None:
    target = target_of(name)
    count = len(target.seeds) + (FEW if target.share >= 0.2 else 6)
    found = run(target, 0, count)
    assert found.faults == {}
    assert found.tried == count


@pytest.mark.parametrize(
    ("name", "number"),
    [("onnx", 309), ("onnx", 10992), ("onnx", 27146), ("weights", 207), ("tables", 17639)],
)
def test_inputs_that_broke_a_reader_do_no_longer(name: str, number: int) -> None:
    assert run(target_of(name), number, 1).faults == {}


@pytest.mark.torture
@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_a_million_breaks_a_reader(name: str) -> None:
    shares = {one: target_of(one).share for one in TARGETS}
    found = run(target_of(name), 0, round(INPUTS * shares[name] / sum(shares.values())))
    print(f"{name}: {found.tried} tried, {found.refused} refused, {found.contained} contained")
    assert found.faults == {}


def absurd_files() -> dict[str, bytes]:
    """Return small files that state, or would become, something huge, or that refer to themselves."""
    size = 60_000
    ihdr = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    profile = zlib.compress(bytes(64 << 20), 9)
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    loop = b"II*\0" + struct.pack("<IH", 8, 2) + entry + struct.pack("<HHII", 0x8825, 4, 1, 8)
    count = struct.pack("<HHII", 270, 2, 0xFFFFFFFF, 0xFFFFFFF0)
    beyond = b"II*\0" + struct.pack("<IH", 8, 0xFFFF) + count
    frames = [Image.new("L", (4, 4), n % 256) for n in range(10_000)]
    return {
        "stated.png": png(ihdr, b"IDAT", zlib.compress(bytes(9))),
        "profile.png": png(
            struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0), b"iCCP", b"x\0\0" + profile
        ),
        "text.png": png(struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0), b"zTXt", b"x\0\0" + profile),
        "exif-loop.jpg": saved("JPEG", exif=b"Exif\0\0" + loop + struct.pack("<I", 8)),
        "exif-beyond.jpg": saved("JPEG", exif=b"Exif\0\0" + beyond),
        "directories.tif": loop + struct.pack("<I", 8),
        "counts.tif": beyond,
        "stated.gif": b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b";",
        "stated.bmp": b"BM"
        + struct.pack("<IIIIiiHHI", 99, 0, 54, 40, size, size, 1, 24, 0)
        + bytes(40),
        "stated.webp": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\xff" * 2 + bytes(8),
        "stated.ico": b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, 0xFFFFFFF, 22),
        "pages.pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids"
        b"[2 0 R]/Count 99999999>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        "frames.gif": saved_frames(frames, "GIF"),
        **absurd_containers(),
        **absurd_metadata(),
        "frames.webp": saved_frames(frames[:1000], "WEBP"),
    }


def absurd_containers() -> dict[str, bytes]:
    """Return drawings, videos and other containers that state, nest or repeat too much."""
    svg, links = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">%s</svg>', b""
    for level in range(1, 12):
        links += b'<g id="a%d">%s</g>' % (level, b'<use href="#a%d"/>' % (level - 1) * 10)
    heif = bytearray(next(one for one in common_images() if one[4:12] == b"ftypheic"))
    at = heif.index(b"ispe") + 8
    heif[at : at + 8] = b"\0\0\xff\xff" * 2
    brand, nested = struct.pack(">I4s8s", 16, b"ftyp", b"isom"), b""
    for _ in range(2000):
        nested = struct.pack(">I4s", 8 + len(nested), b"moov") + nested
    page = struct.Struct("<HHHIII")  # a directory of one entry, and where the next one is
    pages = (page.pack(1, 256, 3, 1, 1, 8 + page.size * (n + 1)) for n in range(20_000))
    return {
        "uses.svg": svg % (b'<g id="a0"><path d="M0 0"/></g>%s<use href="#a11"/>' % links),
        "infinite.svg": b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1e999 1e999"/>',
        "blanks.svgz": gzip.compress(svg % bytes(1 << 27).replace(b"\0", b" "), 9),
        "stated.heic": bytes(heif),
        "atoms.mp4": brand + struct.pack(">I4s", 8, b"moov") * 20_000,
        "nested.mp4": brand + nested,
        "stated.jxl": b"\xff\x0a\xfe" + b"\xff" * 60,
        "stated.psd": b"8BPS" + struct.pack(">H6xHIIHH", 1, 56, 30_000, 30_000, 8, 3) + bytes(14),
        "pages.tif": b"II*\0" + struct.pack("<I", 8) + b"".join(pages),
        "box.pdf": saved("PDF").replace(b"/MediaBox [ 0 0 16.0 12.0", b"/MediaBox [ 0 0 1e99 1e99"),
    }


def absurd_metadata() -> dict[str, bytes]:
    """Return images whose profile, EXIF or XMP states, nests or expands too much."""
    tags = struct.pack("<IH", 8, 5000) + struct.pack("<HHII", 0x9003, 2, 60_000, 8) * 5000
    head = bytes(12) + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(88)
    curve = (
        struct.pack(">I4sII", 0xFFFFFF, b"rTRC", 144, 0xFFFFFFF0) + b"curv\0\0\0\0\xff\xff\xff\xff"
    )
    table = struct.pack(">I", 100) + struct.pack(">4sII", b"A2B0", 1332, 60_000) * 100 + b"mft2"
    table += bytes([0, 0, 0, 0, 15, 3, 255, 0]) + bytes(36) + b"\x10\0\x10\0" + bytes(50_000)
    entity = "".join(f'<!ENTITY a{n} "' + f"&a{n - 1};" * 10 + '">' for n in range(1, 10))
    xmp = f'<!DOCTYPE x [<!ENTITY a0 "x">{entity}]><x>&a9;</x>'
    return {
        "tags.jpg": saved("JPEG", exif=b"Exif\0\0II*\0" + tags[:60_000]),
        "curve.jpg": saved("JPEG", icc_profile=head + curve),
        "table.jpg": saved("JPEG", icc_profile=head + table),
        "deep.png": saved("PNG", pnginfo=with_xmp("<a>" * 20_000)),
        "entities.png": saved("PNG", pnginfo=with_xmp(xmp)),
    }


def with_xmp(text: str) -> PngInfo:
    """Return the chunk of a PNG file that holds XMP."""
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", text)
    return info


def png(header: bytes, kind: bytes, content: bytes) -> bytes:
    """Return a PNG file of a header and one chunk."""
    chunks = ((b"IHDR", header), (kind, content), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def saved_frames(frames: list[Image.Image], kind: str) -> bytes:
    """Return an animation."""
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


def test_no_bomb_takes_time_or_memory() -> None:
    files = absurd_files()

    def decode_one(data: bytes) -> None:
        name = next(name for name, one in files.items() if one == data)
        decoded = decode(data, specs=[PixelSpec(fit="inside", max_side=64)], name=name)
        assert len(decoded.pages) < 100
        assert decoded.pixels.size < 1 << 20

    # Not guarded: no crash, hang or lack of memory is left to the limits of workers.
    found = run(Target("bombs", list(files.values()), decode_one, (ImageError,)), 0, len(files))
    assert found.faults == {}
    assert found.refused >= 8


def test_a_pickle_that_reserves_memory_is_refused(tmp_path: Path) -> None:
    far = b"\x80\x02N" + b"r" + struct.pack("<I", 0xFFFFFFF0) + b"."  # LONG_BINPUT: 64 GB of places
    (tmp_path / "a.pth").write_bytes(far)
    with pytest.raises(UsageError, match="too many objects"):
        read_tensors(tmp_path / "a.pth")


def test_a_parquet_file_that_states_absurd_rows_is_refused(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    file = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"image": pa.nulls(200_000, pa.binary())}), file)
    archive = ParquetArchive(file)
    assert "states 200,000 rows" in archive.problem
    assert list(archive.members()) == []


@pytest.mark.parametrize("size", [-512, 1 << 60, 1 << 80])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_tar_file_that_states_absurd_sizes_is_read_up_to_there(
    tmp_path: Path, size: int, kind: bytes
) -> None:
    before, lying = tarfile.TarInfo("a.jpg"), tarfile.TarInfo("b.jpg")
    before.size, lying.type = 3, kind
    head = bytearray(lying.tobuf(tarfile.GNU_FORMAT))
    head[124:136] = (b"\xff" if size < 0 else b"\x80") + (size % (1 << 88)).to_bytes(11, "big")
    head[148:156] = b"%06o\0 " % (sum(head) - sum(head[148:156]) + 8 * 32)
    (tmp_path / "a.tar").write_bytes(
        before.tobuf() + b"abc".ljust(512, b"\0") + head + b"rest" * 200
    )
    archive = TarArchive(tmp_path / "a.tar")
    assert archive.problem.startswith("is damaged")
    sizes = {member.name: len(archive.read(member.name)) for member in archive.members()}
    assert sizes.pop("a.jpg") == 3 and max(sizes.values(), default=0) <= 800
    archive.close()


def test_a_parquet_file_that_repeats_one_image_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 100_000)
    image = bytes(range(250)) * 40
    parquet.write_table(
        pa.table({"image": [image] * 500}), tmp_path / "a.parquet", compression=None
    )
    archive = ParquetArchive(tmp_path / "a.parquet")
    assert archive.read("000000000.jpg") == image
    with pytest.raises(OSError, match="too large in memory"):
        archive.read("000000499.jpg")
    archive.close()
