"""What is fuzzed: every reader of files and texts that may come from strangers, with seeds drawn here."""

from __future__ import annotations

import atexit
import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms
from tests.faults.fuzz import Target

from lookalike.errors import ImageError, LookalikeError, UsageError


@cache
def folder() -> Path:
    """Return a folder for the files of this process and of its children."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    made = Path(tempfile.mkdtemp(prefix="fuzz-", dir=place))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def written(name: str, data: bytes) -> Path:
    """Write an input to a file of this name."""
    path = folder() / name
    path.write_bytes(data)
    return path


def through_file(name: str, accept: Callable[[Path], object]) -> Callable[[bytes], object]:
    """Return a target that reads its input from a file."""
    return lambda data: accept(written(name, data))


def text(data: bytes) -> str:
    """Return any text, lone surrogates included."""
    return data.decode("utf-8", "surrogateescape")


# Images


def saved(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    """Return a small image file."""
    pixels = np.random.default_rng(3).integers(0, 255, (12, 16, 4), np.uint8)
    image = Image.fromarray(pixels).convert("RGB").convert(mode)
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def exif() -> bytes:
    """Return an EXIF block with dates, a camera and a place."""
    tags = Image.Exif()
    tags.update({271: "Acme", 272: "R1", 270: "a cat", 274: 6, 306: "2024:05:01 12:30:00"})
    tags.get_ifd(0x8769).update({0x9003: "2024:05:01 12:30:00", 0xA434: "50mm"})
    tags.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    return tags.tobytes().removeprefix(b"Exif\x00\x00")


XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmp:Rating="4"
 xmp:Label="Red" exif:DateTimeOriginal="2024-05-01T12:30:00+02:00"
 exif:GPSLatitude="52,30.0N" exif:GPSLongitude="13,24.0E"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/">
<dc:subject><rdf:Bag><rdf:li>beach</rdf:li></rdf:Bag></dc:subject>
<dc:title><rdf:Alt><rdf:li>Sea</rdf:li></rdf:Alt></dc:title>
<lr:hierarchicalSubject><rdf:Bag><rdf:li>Places|France</rdf:li></rdf:Bag></lr:hierarchicalSubject>
</rdf:Description></rdf:RDF></x:xmpmeta>"""

IPTC = b"".join(
    struct.pack(">BBBH", 0x1C, record, number, len(value)) + value
    for record, number, value in (
        *((1, 90, b"\x1b%G"), (2, 5, b"title"), (2, 25, b"beach"), (2, 55, b"20240501")),
        *((2, 60, b"123000+0200"), (2, 120, "Café".encode())),
    )
)
PHOTOSHOP = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(IPTC)) + IPTC

SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 12"><defs><linearGradient id="g">
<stop stop-color="#12f"/></linearGradient></defs>
<rect width="8" height="9" fill="url(#g)"/><text y="5">ab</text></svg>"""


def profile() -> bytes:
    """Return the ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def common_images() -> list[bytes]:
    """Return files of the formats that are always read."""
    import pillow_heif

    shape = Image.fromarray(np.random.default_rng(1).integers(0, 255, (12, 16, 3), np.uint8))
    heif = io.BytesIO()
    pillow_heif.from_pillow(shape).save(heif, quality=50)
    frames: dict[str, Any] = {
        "save_all": True,
        "append_images": [shape.resize((16, 12)).rotate(90)],
    }
    psd = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 4, 4, 8, 3) + bytes(14) + bytes(48)
    return [
        saved("JPEG", exif=b"Exif\x00\x00" + exif(), icc_profile=profile()[:600]),
        *(saved("JPEG", "CMYK"), saved("JPEG", progressive=True), saved("PNG"), saved("PNG", "I;16")),
        *(saved("PNG", "P"), saved("PNG", **frames), saved("GIF", "P", **frames), saved("BMP")),
        *(saved("WEBP"), saved("WEBP", lossless=True, **frames), saved("AVIF"), heif.getvalue()),
        *(saved("TIFF"), saved("TIFF", compression="tiff_lzw", **frames), saved("TIFF", "F")),
        *(saved("TIFF", "CMYK", compression="jpeg"), saved("TIFF", "1", compression="group4")),
        *(saved("JPEG2000"), saved("ICO"), psd),
    ]  # fmt: skip


def documents() -> list[bytes]:
    """Return files of the formats of the extras that are installed."""
    from tests.images.raw_builder import dng

    from lookalike.images.formats import is_readable

    found = []
    small = Image.new("RGB", (16, 12), (200, 30, 30))
    if is_readable("raw"):
        found += [dng(small), dng(small, preview=small)]
    if is_readable("svg"):
        packed = zlib.compressobj(wbits=31)
        found += [SVG, packed.compress(SVG) + packed.flush()]
    if is_readable("pdf"):
        found.append(saved("PDF", save_all=True, append_images=[small]))
    if is_readable("jxl"):
        import pillow_jxl  # noqa: F401 - Pillow writes the format then

        found += [saved("JXL"), saved("JXL", lossless=True)]
    return found


def videos() -> list[bytes]:
    """Return two short videos, none without the extra."""
    try:
        import av  # noqa: F401
    except ImportError:
        return []
    from tests.images.test_formats import write_video

    found = []
    for kind in ("mp4", "mkv"):
        write_video(folder() / f"seed.{kind}", [(200, 0, 0), (0, 0, 200)])
        found.append((folder() / f"seed.{kind}").read_bytes())
    return found


def decode_any(data: bytes) -> object:
    """Decode an image as a worker does; its name is one of those that change what happens."""
    from lookalike.images.decode import decode
    from lookalike.images.pixel_spec import PixelSpec
    from lookalike.workers.limits import Limits

    number = zlib.crc32(data)
    name = ("", "a.jpg", "a.dng", "a.svgz", "a\n\udc80.tif", "a.cr2")[number % 6]
    page = ("", "", "", "1", "2", "t=0.5")[number // 6 % 6]
    specs = [PixelSpec(fit="inside", max_side=64)] if number % 2 else []
    return decode(data, specs=specs, limits=Limits(max_pixels=4_000_000), name=name, page=page)


def sniff_any(data: bytes) -> None:
    """Recognise a format, by content and by a name that is as odd as the content."""
    from lookalike.images.pages import split_page
    from lookalike.images.sniff import HEAD_BYTES, kind_of, refusal, sniff

    name = text(data[-40:])
    for head in (data[:HEAD_BYTES], data[:13]):
        sniff(head)
        kind_of(name, head)
        refused = refusal(name, head, len(head))
        assert refused is None or "\n" not in refused.reason.replace(name, "")
    split_page(name)


# Metadata


def exif_any(data: bytes) -> None:
    """Parse EXIF by ourselves, as the program does when it looks for facts."""
    from lookalike.images.jpeg import exif_orientation, read_header
    from lookalike.images.metadata.facts import Facts, MetadataBlocks
    from lookalike.images.metadata.read_metadata import add_metadata

    assert 0 <= exif_orientation(data) <= 8
    read_header(data)
    facts = add_metadata(Facts(1, 1, "jpeg"), MetadataBlocks(data, data, data))
    json.dumps([str(facts)], allow_nan=False)


def color_any(data: bytes) -> None:
    """Convert pixels by a profile, which is ignored where it is damaged."""
    from lookalike.images.color_profile import convert_cmyk, convert_to_srgb

    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert convert_to_srgb(pixels, data).shape == (4, 4, 3)
    assert convert_to_srgb(pixels, data, grey=True).shape == (4, 4, 3)
    convert_cmyk(Image.new("CMYK", (4, 4)), data)


TAKEOUT = json.dumps(
    {"title": "a.jpg", "photoTakenTime": {"timestamp": "1714566600"}, "favorited": True,
     "geoData": {"latitude": 52.5, "longitude": 13.4}, "people": [{"name": "Ann"}], "description": "x"}
).encode()  # fmt: skip


def refused_constant(name: str) -> None:
    """Refuse NaN and infinity, which JSON does not have."""
    raise AssertionError(name)


def sidecar_any(data: bytes) -> None:
    """Read a sidecar of each kind as indexing does, and store what it says."""
    from lookalike.images.walk import FoundFile
    from lookalike.indexing.sidecars import read_sidecar, reason
    from lookalike.indexing.takeout import is_takeout, takeout_fields
    from lookalike.stores.metadata import field_values, metadata_json

    for kind in ("json", "xmp", "txt"):
        path = written(f"a.{kind}", data)
        try:
            fields = read_sidecar(FoundFile(str(path), len(data), 1, (1, 1, 1)), kind)  # type: ignore[arg-type]
            fields = takeout_fields(fields) if is_takeout(fields) else fields
        except (ValueError, OSError, RecursionError) as error:
            assert "\n" not in reason(error)
            continue
        json.loads(metadata_json(fields), parse_constant=refused_constant)
        field_values(None, fields)


def table_any(data: bytes) -> None:
    """Read a table as CSV and as JSON."""
    from lookalike.indexing.tables import check_table

    for name in ("a.csv", "a.jsonl"):
        try:
            for _ in check_table(written(name, data)).rows():
                pass
        except UsageError as error:
            assert "\n" not in str(error), str(error)


# Models


def onnx_graph() -> bytes:
    """Return a small ONNX file: weights inside, and one in a file beside it."""
    from lookalike.extractors.onnx_graph import integer, message

    def tensor(name: str, data: bytes) -> bytes:
        return integer(1, 2) + integer(1, 3) + integer(2, 1) + message(8, name.encode()) + data

    inside = tensor("w", message(9, bytes(24)))
    packed = tensor("p", message(4, bytes(24)))
    entry = message(1, b"location") + message(2, b"weights.bin")
    outside = tensor("e", message(13, entry) + integer(14, 1))
    node = message(1, b"x") + message(1, b"w") + message(2, b"y") + message(4, b"Gemm")
    node += message(5, message(1, b"alpha") + integer(3, 2))
    graph = message(1, node) + b"".join(message(5, t) for t in (inside, packed, outside))
    graph += message(11, message(1, b"x")) + message(12, message(1, b"y"))
    return integer(1, 8) + message(7, graph)


def onnx_any(path: Path) -> None:
    """Read a graph, and its weights."""
    from lookalike.extractors.classifier_head import find_classifier_head
    from lookalike.extractors.onnx_graph import read_graph, values

    graph = read_graph(path)
    graph.external_files()
    for tensor in graph.tensors.values():
        try:
            values(tensor, path.parent)
        except UsageError:
            continue
    for output in graph.outputs:
        find_classifier_head(graph, output)


def torch_file() -> bytes:
    """Return a state dict in PyTorch's legacy format, of one tensor, without PyTorch."""
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpuK\6tQ"
    arguments = b"(" + storage + b"K\0K\2K\3\x86K\3K\1\x86\x89ccollections\nOrderedDict\n)Rt"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"
    state = b"\x80\2ccollections\nOrderedDict\n)R(X\1\0\0\0w" + tensor + b"u."
    head = [
        pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    ]
    return b"".join([*head, state, pickle.dumps(["0"], 2), struct.pack("<q", 6), bytes(24)])


def model_folder_any(data: bytes) -> None:
    """Read what describes a model: JSON files, rules of its texts, names of its classes."""
    from lookalike.extractors.class_words import read_labels
    from lookalike.extractors.preprocessing import read_preprocessing
    from lookalike.extractors.tokenizer import read_rules
    from lookalike.models.files import ModelFiles
    from lookalike.models.spec import read_json

    for name in ("config.json", "preprocessor_config.json", "labels.txt"):
        written(name, data)
    files = ModelFiles(folder(), ("config.json", "preprocessor_config.json", "labels.txt"))
    for read in (
        lambda: read_labels(files, read_json(files, "config.json")),
        lambda: read_rules(*[read_json(files, "config.json")] * 3),
        lambda: read_preprocessing(*[read_json(files, "config.json")] * 2),
    ):
        try:
            read()
        except UsageError:
            continue


# Texts


def query_any(data: bytes) -> None:
    """Parse the words of a query, as the command line and HTTP give them."""
    from lookalike.search.query_parser import parse_terms

    parse_terms(text(data).split("\n"))


def filter_any(data: bytes) -> None:
    """Parse a filter."""
    from lookalike.stores.filter_parser import parse

    parse(text(data))


# Parts, vectors, archives


def part_seed() -> bytes:
    """Return a part of two images."""
    from tests.stores.builders import entry, failed, space

    from lookalike.indexing.parts import PartRow, encode_part

    rows = [
        PartRow(0, "a.jpg", entry("a.jpg"), "", None, b""),
        PartRow(0, "b.jpg", failed("b.jpg"), "", {"k": 1}, b""),
    ]
    return encode_part(rows, [space()])


def part_any(data: bytes) -> None:
    """Read a part and a manifest of parts."""
    from lookalike.indexing.parts import decode_manifest, read_part, read_states, rows_of

    for read in (
        lambda: decode_manifest(data),
        lambda: rows_of(io.BytesIO(data)),
        lambda: read_states(io.BytesIO(data)),
        lambda: list(read_part(data)),
    ):
        try:
            read()
        except UsageError:
            continue


def tar_seed() -> bytes:
    """Return a tar file with names that lead elsewhere, a link and a device among its members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind in (
            ("a.jpg", b"0"),
            ("../b.jpg", b"0"),
            ("c", b"2"),
            ("d", b"3"),
            ("é" * 120, b"0"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd" if kind == b"2" else ""
            info.size = 4 if kind == b"0" else 0
            tar.addfile(info, io.BytesIO(b"data") if kind == b"0" else None)
    return out.getvalue()


def archive_any(data: bytes) -> None:
    """List the members of an archive and read them."""
    from lookalike.images.archives import ParquetArchive, TarArchive

    for name, kind in (("a.tar", TarArchive), ("a.parquet", ParquetArchive)):
        if name == "a.parquet" and data[:4] != b"PAR1":
            continue
        archive = kind(written(name, data))
        try:
            for number, member in enumerate(archive.members()):
                if number == 20:
                    break
                try:
                    assert b"root:" not in archive.read(member.name)
                except (KeyError, OSError):
                    continue
        finally:
            archive.close()


def parquet_images() -> bytes:
    """Return a Parquet file of images."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    out = io.BytesIO()
    parquet.write_table(pa.table({"image": pa.array([b"abc", None, b"d" * 50])}), out)
    return out.getvalue()


def vectors_any(path: Path) -> None:
    """Read a file of vectors to be imported."""
    from lookalike.indexing.vector_import import check_finite, open_rows, read_paths

    rows = open_rows(path)
    check_finite(rows, path)
    list(read_paths(None, len(rows)))


def npy(array: np.ndarray[Any, Any]) -> bytes:
    """Return an NPY file."""
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


# ANN indexes

RECIPES = ("IVF4,SQ8", "IVF4,PQ8x4fs", "RR16,IVF4,RaBitQfs4", "PCAR8,IVF4,Flat", "HNSW4")


def ann_files() -> list[bytes]:
    """Return an index by each of the recipes; the first byte says which."""
    from lookalike.ann.faiss_index import fill, train

    rows = np.random.default_rng(5).standard_normal((200, 16)).astype(np.float32)
    found = []
    for number, recipe in enumerate(RECIPES):
        index = train(rows, recipe, similarity="cosine")
        fill(index, rows)
        index.save(folder() / "seed.faiss")
        found.append(bytes([number]) + (folder() / "seed.faiss").read_bytes())
    return found


def ann_any(data: bytes) -> None:
    """Try an index in a process of its own, as the program does, and search those that it does not refuse."""
    from lookalike.ann import untrusted_index
    from lookalike.ann.faiss_index import AnnIndex

    path, recipe = written("ann-1.faiss", data[1:]), RECIPES[(data or b"\0")[0] % len(RECIPES)]
    child = os.fork()
    if not child:
        try:
            os._exit(1 if untrusted_index.problem(path, recipe) else 0)
        finally:
            os._exit(2)
    if os.waitpid(child, 0)[1]:
        raise UsageError("refused")
    index = AnnIndex.load(path, recipe, "cosine")
    queries = np.random.default_rng(6).standard_normal((20, index.index.d)).astype(np.float32)
    for nprobe in (1, index.max_nprobe):
        assert (index.candidates(queries, 10, nprobe=nprobe) < index.count).all()


# Small files of a library and of evaluations


def lists_any(path: Path) -> None:
    """Read the files that evaluations, moves and judgements leave, and that people pass on."""
    from lookalike.duplicates.move_record import read_record
    from lookalike.evaluation.labels import read_manifest
    from lookalike.evaluation.relevance_judgements import JudgementFile
    from lookalike.evaluation.trec import read_qrels, read_run

    for read in (
        read_record, read_qrels, read_run, JudgementFile.open, lambda p: list(read_manifest(p)),
    ):  # fmt: skip
        try:
            read(path)
        except UsageError as error:
            assert "\n" not in str(error), str(error)


def jobs_any(data: bytes) -> None:
    """Read states of jobs, saved searches, uploads and feedback of a library from elsewhere."""
    from lookalike.embedding_map.stored_layout import Layout
    from lookalike.server.jobs.job_folder import JobFolder
    from lookalike.server.responses import HTTPError
    from lookalike.server.saved import FILE, Saved

    home = folder() / "jobs"
    home.mkdir(exist_ok=True)
    for name in (f"{'a' * 16}.json", f"{'b' * 16}.job", "run-1.json"):
        (home / name).write_bytes(data)
    (home / FILE).write_bytes(data)
    jobs, saved_ones = JobFolder(home), Saved(home)
    for read in (
        lambda: jobs.state("a" * 16),
        lambda: jobs.state("b" * 16),
        lambda: jobs.state(),
        jobs.jobs,
        saved_ones.searches,
        saved_ones.done,
    ):
        try:
            read()
        except (LookalikeError, HTTPError):
            continue
    Layout.load(written("layout.npz", data))


def layout_seed() -> bytes:
    """Return a saved map."""
    out = io.BytesIO()
    arrays: dict[str, Any] = {
        "ids": np.arange(3),
        "digests": np.zeros(3, np.uint64),
        "positions": np.zeros((3, 2), np.float32),
        "levels": np.zeros(3, np.uint8),
        "clusters": np.zeros(3, int),
        "typical": np.ones((1, 3), int),
    }
    arrays["scalars"] = np.array(["color", "umap", "3", "0", "0"])
    arrays["preservation"] = np.array([1.0, 1, 1, 5, 3])
    np.savez(out, **arrays)
    return out.getvalue()


# Whole libraries


@cache
def library_files() -> tuple[Path, list[str]]:
    """Return a library with an ANN index, and the names of the files in it that are changed."""
    from tests.stores.ann_spaces import KEY, fill, image_vectors

    from lookalike.stores.ann_index import IndexBuildOptions
    from lookalike.stores.local.store import LocalStore

    home = folder() / "strange" / ".lookalike"
    home.parent.mkdir(exist_ok=True)
    with LocalStore.create(home) as store:
        fill(store, image_vectors(300))
        with store.writer() as writer:
            writer.set_metadata({1: {"kind": "shoe", "price": 3}, 2: {"kind": ["a", "b"]}})
        store.indexes.build(KEY, IndexBuildOptions(recipe="IVF4,SQ8"))
    names = [
        str(p.relative_to(home))
        for p in sorted(home.rglob("*"))
        if p.is_file() and p.suffix not in (".faiss", ".trained") and "lock" not in p.name
    ]
    return home, names


def library_any(data: bytes) -> None:
    """Open a library of which parts of one file were replaced, search, filter and check it.

    The first bytes choose the file and the places.
    """
    from tests.stores.ann_spaces import KEY

    from lookalike.ann import untrusted_index
    from lookalike.stores.local.store import LocalStore

    home, names = library_files()
    name = names[zlib.crc32(data[:2]) % len(names)]
    copy = folder() / "copy" / ".lookalike"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(home, copy)
    content = bytearray((copy / name).read_bytes())
    place = 0
    for start in range(2, len(data) - 6, 12):
        (place,) = struct.unpack_from("<I", data, start)
        piece = data[start + 4 : start + 12]
        at = place % (len(content) + 1)
        content[at : at + len(piece)] = piece
    if place % 16 == 0:
        del content[place % (len(content) + 1) :]
    (copy / name).write_bytes(content)
    if not name.endswith("ann.json"):  # then no process need try the index: it is what FAISS wrote
        for index in copy.rglob("*.faiss"):
            untrusted_index.remember(index)
    query = np.ones((1, 32), np.float32)
    with LocalStore.open(copy) as store:
        with store.snapshot() as snapshot:
            for read in (
                lambda: snapshot.search(KEY, query, 5),
                lambda: snapshot.select("kind = 'shoe' or price < 4 or width > 3"),
                lambda: snapshot.spaces(),
                lambda: snapshot.counts(),
                lambda: snapshot.images(range(1, 9)),
                lambda: snapshot.metadata_sources(range(1, 9)),
                lambda: snapshot.fields(),
                lambda: list(snapshot.iter_files()),
            ):
                try:
                    read()
                except LookalikeError:
                    continue
        store.check()


def spread(count: int) -> list[bytes]:
    """Return inputs for `library_any` that name every file."""
    return [bytes([n, 0]) + np.random.default_rng(n).bytes(24) for n in range(count)]


STRUCTURED = (TAKEOUT, b'{"a": [1, 2.5, "x", null, true], "b": {"c": "2024-05-01"}}', XMP)
CSV = b'path,kind,price\na.jpg,shoe,3.50\n"b \n.jpg","x""y",\n./a.jpg;1,2\n'
CONFIG = json.dumps(
    {"model_type": "siglip",
     "id2label": {"0": "cat", "1": "dog"}, "text_config": {"max_position_embeddings": 9},
     "size": {"shortest_edge": 8}, "crop_size": {"height": 8, "width": 8}, "image_mean": [0.5, 0.4, 0.3],
     "image_std": [0.2, 0.3, 0.4], "resample": 3, "do_resize": True, "pad_token": {"content": "x"}}
).encode()  # fmt: skip
JOB = json.dumps(
    {"id": "a" * 16, "kind": "index", "state": "running", "message": "x", "done": 1, "total": 2, "run": 1,
     "error": "", "searches": {"a": "cat"}, "done_groups": ["x"]}
).encode()  # fmt: skip
SAVED = b'{"searches": {"a": "b"}, "done": ["x"]}'
RECORD = b"""{"format": "lookalike moved files 1"}
{"step": 1, "action": "move", "from": "a", "to": "b", "sha256": "00"}
{"done": 1}
"""
JUDGED = b"""{"lookalike-judging": 2, "systems": ["a"], "queries": [{"query": "a.jpg", "images": ["b.jpg"]}]}
{"judge": "x", "query": "a.jpg", "image": "b.jpg", "relevant": true}
"""
FILTERS = (
    b"kind = 'shoe' and price < 50", b"not (a in (1, 'x') or b between 1 and 2)", b'"odd name" like \'%x_\'',
    b"taken >= '2024-05' and path glob 'trip/**'", b"width is not null", b"near(52.5, 13.4, 10km)",
)  # fmt: skip
QUERIES = (
    b"a.jpg\n+cat\n-dog",
    b"id:3*0.5",
    b"https://example.com/a.jpg\n-",
    b"text:red shoe*2\nimage:x.png",
    b"~a\n#tag",
)

MAKERS: dict[str, Callable[[], Target]] = {
    "sniff": lambda: Target("sniff", [d[:400] for d in (*common_images(), SVG)], sniff_any, share=2),
    "images": lambda: Target("images", common_images(), decode_any, (ImageError,), guarded=True),
    "documents": lambda: Target(
        "documents", documents(), decode_any, (ImageError,), guarded=True, share=0.3
    ),
    "videos": lambda: Target("videos", videos(), decode_any, (ImageError,), guarded=True, share=0.05),
    "exif": lambda: Target("exif", [exif(), IPTC, PHOTOSHOP, XMP, saved("JPEG")], exif_any, share=2),
    "color": lambda: Target("color", [profile()], color_any, guarded=True, share=0.5),
    "sidecars": lambda: Target("sidecars", STRUCTURED, sidecar_any),
    "tables": lambda: Target("tables", [CSV, CSV.replace(b",", b"\t"), *STRUCTURED], table_any),
    "onnx": lambda: Target("onnx", [onnx_graph()], through_file("a.onnx", onnx_any), (UsageError,)),
    "weights": lambda: Target("weights", [torch_file()], through_file("a.pth", read_weights), (UsageError,)),
    "models": lambda: Target("models", [CONFIG, b"cat\ndog\n"], model_folder_any, share=0.5),
    "queries": lambda: Target("queries", QUERIES, query_any, (UsageError,)),
    "filters": lambda: Target("filters", FILTERS, filter_any, (UsageError,), share=2),
    "parts": lambda: Target("parts", [part_seed(), JOB], part_any, share=0.3),
    "archives": lambda: Target("archives", [tar_seed(), parquet_images()], archive_any, share=0.5),
    "vectors": lambda: Target(
        "vectors", [npy(np.ones((3, 2), np.float32)), npy(np.ones((2, 2), np.int16))],
        through_file("a.npy", vectors_any), (UsageError,), share=0.5,
    ),
    "lists": lambda: Target("lists", [RECORD, JUDGED, CSV, b"1 0 a.jpg 1\n", b"1 Q0 a.jpg 1 0.5 x\n"],
                            through_file("a.csv", lists_any), share=0.5),
    "jobs": lambda: Target("jobs", [JOB, SAVED, layout_seed()], jobs_any, share=0.5),
    "ann": lambda: Target("ann", ann_files(), ann_any, (UsageError,), share=0.1),
    "library": lambda: Target("library", spread(40), library_any, (LookalikeError,), share=0.05),
}  # fmt: skip


def read_weights(path: Path) -> object:
    """Read a PyTorch file."""
    from lookalike.models.torch_file import read_tensors

    return read_tensors(path)


TARGETS: Sequence[str] = tuple(MAKERS)


@cache
def target_of(name: str) -> Target:
    """Return a target by name, with its seeds."""
    folder()  # not made by a child, which would leave it behind
    return MAKERS[name]()
