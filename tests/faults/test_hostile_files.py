"""Whatever a file or a text holds, its reader accepts it or refuses it with the errors that it documents.

`tests.faults.fuzz` makes the inputs; INPUTS is their number over all targets in `make torture`.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image
from tests.faults.fuzz import Target, run
from tests.faults.fuzz_targets import TARGETS, saved, target_of

from lookalike.errors import ImageError, UsageError
from lookalike.images.archives import ParquetArchive
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
        "frames.webp": saved_frames(frames[:1000], "WEBP"),
    }


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
