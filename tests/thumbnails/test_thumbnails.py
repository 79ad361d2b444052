"""Thumbnails: what they show, where they are cached, and when they are made."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tests.library.image_builders import draw

from lookalike import Library
from lookalike.cli.program import program
from lookalike.errors import ImageError, Outcome, UsageError
from lookalike.images.jpeg import decode_jpeg
from lookalike.indexing.report import IndexOptions
from lookalike.stores.local import writer
from lookalike.stores.local.thumbnails import count_unused
from lookalike.thumbnails import (
    DiskCache,
    MakeThumbnail,
    MemoryCache,
    ThumbnailTask,
    etag_of,
    round_up,
)
from lookalike.workers.limits import Limits
from lookalike.workers.pool import Pool


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    half = np.zeros((200, 400, 3), np.uint8)
    half[:, :200] = (250, 0, 0)
    Image.fromarray(half).save(folder / "wide.png")
    turned = Image.Exif()
    turned[274] = 6  # the camera was turned; upright, red is at the top
    Image.fromarray(half).save(folder / "turned.jpg", exif=turned, quality=95)
    draw(folder / "small.jpg", 1, size=48)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(500))
    return folder


@pytest.fixture
def library(photos: Path) -> Iterator[Library]:
    with Library.create(photos) as library:
        library.add([photos], extractors=["histogram"])
        yield library


def id_of(library: Library, name: str) -> int:
    with library.snapshot() as snapshot:
        return next(image.id for image in snapshot.iter_files() if image.path == name)


def test_a_thumbnail_is_upright_and_keeps_the_aspect(library: Library) -> None:
    wide = decode_jpeg(library.thumbnails.get(id_of(library, "wide.png"), 128).data)
    assert wide.shape == (64, 128, 3)
    assert wide[32, 20].tolist() == pytest.approx([250, 0, 0], abs=6)
    turned = decode_jpeg(library.thumbnails.get(id_of(library, "turned.jpg"), 128).data)
    assert turned.shape == (128, 64, 3)
    assert turned[20, 32].tolist() == pytest.approx([250, 0, 0], abs=6)
    assert turned[110, 32].tolist() == pytest.approx([0, 0, 0], abs=6)


def test_a_small_image_is_not_enlarged(library: Library) -> None:
    data = library.thumbnails.get(id_of(library, "small.jpg"), 512).data
    assert decode_jpeg(data).shape == (48, 48, 3)


def test_sizes_are_rounded_up_to_a_few() -> None:
    assert [round_up(side) for side in (1, 64, 65, 256, 300, 9999)] == [64, 64, 128, 256, 512, 1024]


def make_undecodable(file: Path) -> None:
    """Overwrite a file with zeros, with the size and time that the library knows."""
    known = file.stat()
    file.write_bytes(bytes(known.st_size))
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))


def test_a_thumbnail_is_made_once_and_then_read_from_disk(library: Library, photos: Path) -> None:
    id = id_of(library, "wide.png")
    first = library.thumbnails.get(id, 64)
    make_undecodable(photos / "wide.png")
    assert library.thumbnails.get(id, 64) == first
    with Library.open(photos) as again:
        assert again.thumbnails.get(id, 64) == first
    (file,) = (photos / ".lookalike" / "thumbnails").rglob("*.jpg")
    assert file.read_bytes().startswith(first.data)


def stored_etag(library: Library, id: int, side: int = 256) -> str:
    with library.snapshot() as snapshot:
        return etag_of(snapshot.images([id])[id], side)


def test_the_etag_is_known_before_and_changes_with_content_and_size(
    library: Library, photos: Path
) -> None:
    id = id_of(library, "small.jpg")
    before = stored_etag(library, id, 64)
    assert library.thumbnails.get(id, 64).etag == before
    assert stored_etag(library, id, 128) != before
    draw(photos / "small.jpg", 2, size=50)
    library.add([photos])
    assert stored_etag(library, id_of(library, "small.jpg"), 64) != before


def test_a_file_changed_since_indexing_is_not_cached_as_the_old_content(
    library: Library, photos: Path
) -> None:
    id = id_of(library, "small.jpg")
    Image.new("RGB", (40, 30), (0, 200, 0)).save(photos / "small.jpg")
    now = library.thumbnails.get(id, 64)
    assert decode_jpeg(now.data).shape == (30, 40, 3)
    assert now.etag != stored_etag(library, id, 64)


def test_an_image_that_cannot_be_shown_gives_the_reason(library: Library, photos: Path) -> None:
    with pytest.raises(UsageError, match="no image with the id 999"):
        library.thumbnails.get(999)
    with pytest.raises(ImageError) as broken:
        library.thumbnails.get(id_of(library, "broken.jpg"))
    assert broken.value.outcome is not Outcome.INDEXED
    gone = id_of(library, "wide.png")
    (photos / "wide.png").unlink()
    with pytest.raises(ImageError) as missing:
        library.thumbnails.get(gone)
    assert missing.value.outcome is Outcome.MISSING


def test_many_are_in_order_with_none_for_unreadable_images(library: Library, photos: Path) -> None:
    names = ["turned.jpg", "broken.jpg", "small.jpg", "wide.png"]
    ids = [id_of(library, name) for name in names]
    library.thumbnails.get(ids[2], 64)  # one of them is there already
    (photos / "wide.png").unlink()
    made = list(library.thumbnails.many([*ids, 12345], 64))
    assert [one is not None for one in made] == [True, False, True, False, False]
    assert made[0] is not None
    assert decode_jpeg(made[0].data).shape == (64, 32, 3)


def test_a_read_only_library_caches_them_in_memory(library: Library, photos: Path) -> None:
    id = id_of(library, "wide.png")
    with Library.open(photos, read_only=True) as reader:
        first = reader.thumbnails.get(id, 64)
        make_undecodable(photos / "wide.png")
        assert reader.thumbnails.get(id, 64) == first
    assert not (photos / ".lookalike" / "thumbnails").exists()


def test_a_cache_folder_that_cannot_be_written_is_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = DiskCache(tmp_path / "file")  # no folder can be made below a file
    cache.put((bytes(32), 64), b"thumbnail")
    assert cache.get((bytes(32), 64)) == b"thumbnail"


def test_the_memory_cache_drops_the_least_recently_used() -> None:
    memory = MemoryCache(max_bytes=20)
    one, two, three = ((bytes([n]) * 32, 64) for n in range(3))
    memory.put(one, b"x" * 9)
    memory.put(two, b"y" * 9)
    assert memory.get(one)
    memory.put(three, b"z" * 9)
    assert memory.get(two) is None
    assert memory.get(one)
    assert memory.get(three)


def test_simultaneous_requests_decode_once(library: Library) -> None:
    id = id_of(library, "wide.png")
    calls: list[ThumbnailTask] = []
    make = MakeThumbnail(Limits())

    def run(self: object, task: ThumbnailTask) -> object:
        calls.append(task)
        return make(task)

    found: list[bytes] = []
    with mock.patch.object(Pool, "run", run):
        threads = [
            threading.Thread(target=lambda: found.append(library.thumbnails.get(id, 256).data))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (len(calls), len(found), len(set(found))) == (1, 8, 1)


def test_a_removed_image_leaves_no_thumbnail(library: Library, photos: Path) -> None:
    (photos / "copy.png").write_bytes((photos / "wide.png").read_bytes())
    library.add([photos])
    for name in ("wide.png", "copy.png", "small.jpg"):
        library.thumbnails.get(id_of(library, name), 64)
    thumbnails = photos / ".lookalike" / "thumbnails"
    library.remove([photos / "small.jpg", photos / "copy.png"])
    assert len(list(thumbnails.rglob("*.jpg"))) == 1  # wide.png has the content of its copy
    library.remove([photos / "wide.png"])
    assert not list(thumbnails.rglob("*.jpg"))


def test_images_that_index_finds_gone_changed_or_moved(library: Library, photos: Path) -> None:
    for name in ("wide.png", "turned.jpg", "small.jpg"):
        library.thumbnails.get(id_of(library, name), 64)
        library.thumbnails.get(id_of(library, name), 256)
    moved = library.thumbnails.get(id_of(library, "turned.jpg"), 64)
    thumbnails = photos / ".lookalike" / "thumbnails"
    (photos / "wide.png").unlink()
    (photos / "turned.jpg").rename(photos / "moved.jpg")
    draw(photos / "small.jpg", 2, size=48)
    library.add([photos], options=IndexOptions(prune=True))
    kept = {file.relative_to(thumbnails).parts[0] for file in thumbnails.rglob("*.jpg")}
    assert len(list(thumbnails.rglob("*.jpg"))) == 2  # those of the one that moved, in both sizes
    assert kept == {"64", "256"}
    assert library.thumbnails.get(id_of(library, "moved.jpg"), 64) == moved


@pytest.mark.skipif(os.name != "posix", reason="needs fork")
def test_thumbnails_that_a_killed_writer_left_are_found_and_deleted(
    library: Library, photos: Path
) -> None:
    library.thumbnails.get(id_of(library, "wide.png"), 64)
    [kept] = (photos / ".lookalike" / "thumbnails").rglob("*.jpg")
    library.thumbnails.get(id_of(library, "small.jpg"), 64)
    library.close()
    child = os.fork()
    if not child:  # killed between the commit and the deletion
        writer.__dict__["delete_thumbnails"] = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        try:
            with Library.open(photos) as opened:
                opened.remove([photos / "small.jpg"])
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    half = kept.with_name(f"{kept.name}.12-34.part")
    strange = [kept.with_name(name) for name in ("notes.jpg", "ab.txt", f"{'0' * 62}.jpg")]
    for file in (half, *strange):
        file.write_bytes(b"x")
    folder = photos / ".lookalike"
    assert count_unused(folder) == 2
    result = CliRunner().invoke(program, ["check", "--library", str(photos)])
    assert result.exit_code == 0 and "2 thumbnails of images that are gone" in result.output
    with Library.open(photos) as opened:
        opened.add([photos])  # any writer after one that was killed
        assert count_unused(folder) == 0
        assert sorted(kept.parent.iterdir()) == sorted([kept, *strange])
        half.write_bytes(b"x")
        assert any("1 of images that are gone" in line for line in opened.repair())
        assert not half.exists() and kept.exists()


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_link_among_the_thumbnails_is_not_followed(tmp_path: Path) -> None:
    cache, key = DiskCache(tmp_path / "thumbnails"), (b"\1" * 32, 256)
    cache.put(key, b"a thumbnail")
    assert cache.get(key) == b"a thumbnail"
    (tmp_path / "secret").write_bytes(b"secret")
    (file,) = (tmp_path / "thumbnails").rglob("*.jpg")
    file.unlink()
    file.symlink_to(tmp_path / "secret")
    assert cache.get(key) is None
    cache.put(key, b"made again")
    assert cache.get(key) == b"made again"
    assert (tmp_path / "secret").read_bytes() == b"secret"
