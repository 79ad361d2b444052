"""Libraries of images in an object storage, in archives, and on the web."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from tests.images.raw_builder import dng
from tests.library.image_builders import album, draw
from tests.library.s3_server import S3, s3_server
from tests.library.stored_rows import ids
from tests.library.test_takeout import XMP

from lookalike import IndexOptions, Library, Outcome
from lookalike.errors import ObjectMissing, ObjectStorageError, UsageError
from lookalike.extractors import load
from lookalike.images import remote
from lookalike.indexing.index_parts import index_parts
from lookalike.indexing.report import IndexReport
from lookalike.server.app import create_app
from lookalike.server.settings import Settings

pytest.importorskip("s3fs", reason="needs s3fs (lookalike[s3])")
pytest.importorskip("moto", reason="needs moto's S3 server")

ONE = IndexOptions(workers=1)


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with s3_server() as running:
        yield running


@pytest.fixture
def s3(server: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """The server, as the tools of the provider would find it."""
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("lookalike.object_storage.FIRST_WAIT", 0.01)
    yield server
    server.faults.clear()


def upload(s3: S3, bucket: str, folder: Path) -> str:
    """Upload a folder and return the URL of its images."""
    s3.bucket(bucket)
    for file in folder.rglob("*"):
        if file.is_file():
            s3.put(bucket, f"photos/{file.relative_to(folder).as_posix()}", file.read_bytes())
    return f"s3://{bucket}/photos"


def index(library: Library, source: str) -> IndexReport:
    return library.add(source, extractors=["phash"], options=ONE)


def test_a_bucket_is_indexed_searched_and_shown(s3: S3, tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", 6)
    (photos / "002.txt").write_text("a red square")
    (photos / "broken.jpg").write_bytes((photos / "004.jpg").read_bytes()[:300])
    (photos / ".hidden.jpg").write_bytes((photos / "004.jpg").read_bytes())
    url = upload(s3, "first", photos)
    s3.put("first", "photos/odd//name.jpg", b"")
    with Library.create(tmp_path, folder=tmp_path / "library") as library:
        report = index(library, url)
        assert (report.indexed, dict(report.failed)[Outcome.TRUNCATED]) == (6, 1)
        ((odd, reason),) = report.unreadable
        assert "empty name" in reason
        assert odd.endswith("photos/odd/")
        known = ids(library)
        assert set(known) >= {"000.jpg", "odd/001.jpg", "broken.jpg", "002.txt"}
        hit = library.search(text="red square").hits[0]
        assert (hit.path, hit.file) == ("002.jpg", Path("s3:/first/photos/002.jpg"))
        assert [h.path for h in library.search(photos / "odd" / "003.jpg", k=1).hits] == [
            "odd/003.jpg"
        ]
        # By its URL, too, as hits show it.
        found = library.search(Path("s3://first/photos/000.jpg"), k=1).hits[0]
        assert found.path == "000.jpg"
        fetched = s3.gets("photos/000.jpg")
        settings = Settings(allow_roots=("s3://first",))
        with TestClient(create_app(library, settings), base_url="http://127.0.0.1") as client:
            id = known["000.jpg"]
            assert client.get(f"/api/images/{id}/thumbnail").headers["content-type"] == "image/jpeg"
            assert s3.gets("photos/000.jpg") == fetched  # made while indexing
            original = client.get(f"/api/images/{id}/file")
            assert original.content == (photos / "000.jpg").read_bytes()
            tag = original.headers["etag"]
            again = client.get(f"/api/images/{id}/file", headers={"If-None-Match": tag})
            assert again.status_code == 304
            shown = client.get(f"/api/images/{id}").json()
            assert shown["file"] == "s3://first/photos/000.jpg"
            s3.client.delete_object(Bucket="first", Key="photos/000.jpg")
            assert client.get(f"/api/images/{id}/file").status_code == 404


def test_the_etag_decides_what_is_read_again(s3: S3, tmp_path: Path) -> None:
    photos = album(tmp_path / "photos", 5)
    url = upload(s3, "second", photos)
    with Library.create(tmp_path, folder=tmp_path / "library") as library:
        index(library, url)
        before = s3.gets("photos/0")
        s3.put("second", "photos/000.jpg", (photos / "000.jpg").read_bytes())  # a newer date only
        s3.put("second", "photos/002.jpg", draw(tmp_path / "new.jpg", 50).read_bytes())
        s3.client.delete_object(Bucket="second", Key="photos/004.jpg")
        report = library.add(url, options=IndexOptions(workers=1, prune=True))
        assert (report.unchanged, report.changed, report.removed) == (3, 1, 1)
        assert s3.gets("photos/0") == before + 1


def test_passing_errors_are_retried_and_lasting_ones_leave_one_outcome(
    s3: S3, tmp_path: Path
) -> None:
    url = upload(s3, "third", album(tmp_path / "photos", 6))
    s3.faults = {"000.jpg": (503, 3), "002.jpg": (503, 10_000), "004.jpg": (403, 10_000)}
    with Library.create(tmp_path, folder=tmp_path / "library") as library:
        report = index(library, url)
        assert (report.indexed, report.failures) == (4, 2)
        outcomes = {image.path: image for image in library.files()}
        assert outcomes["002.jpg"].outcome is Outcome.UNREADABLE
        assert "try again later" in outcomes["002.jpg"].reason
        assert "check the credentials" in outcomes["004.jpg"].reason
        s3.faults.clear()
        report = index(library, url)
        assert (report.indexed, report.unchanged, report.failures) == (2, 4, 0)


def test_a_listing_that_fails_removes_nothing(s3: S3, tmp_path: Path) -> None:
    url = upload(s3, "fourth", album(tmp_path / "photos", 6))
    with Library.create(tmp_path, folder=tmp_path / "library") as library:
        index(library, url)
        s3.faults = {"photos%2Fodd": (403, 10_000)}
        report = library.add(url, options=IndexOptions(workers=1, prune=True))
        assert report.removed == 0
        assert "no permission" in report.unreadable[0][1]
        assert library.info().images == 6


def test_a_bucket_that_is_missing_or_forbidden_is_named_in_a_line(s3: S3, tmp_path: Path) -> None:
    s3.bucket("closed")
    s3.faults = {"/closed": (403, 10_000)}
    with Library.create(tmp_path, folder=tmp_path / "library") as library:
        with pytest.raises(ObjectMissing, match="there is no s3://nowhere/photos: check"):
            index(library, "s3://nowhere/photos")
        with pytest.raises(ObjectStorageError, match="no permission for s3://closed"):
            index(library, "s3://closed/photos")
        with pytest.raises(UsageError, match="text file"):
            index(library, "https://example.org/photos")
        assert library.info().roots == ()


def test_parts_in_a_bucket(s3: S3, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow (lookalike[parquet])")
    url = upload(s3, "fifth", album(tmp_path / "photos", 6))
    s3.faults = {"shard-": (503, 3)}
    index_parts([Path(url)], [load("phash")], "s3://fifth/parts", options=ONE)
    with Library.create(tmp_path, folder=tmp_path / "library") as library:
        found = library.import_parts("s3://fifth/parts")
        assert (found.images, found.refused, found.incomplete) == ({"indexed": 6}, (), ())
        before = s3.gets("photos/0")
        assert index(library, url).unchanged == 6
        assert s3.gets("photos/0") == before
        s3.faults = {"fifth/parts": (403, 10_000)}
        with pytest.raises(ObjectStorageError, match="no permission for s3://fifth/parts"):
            library.import_parts("s3://fifth/parts")
        with pytest.raises(ObjectStorageError, match="no permission for s3://fifth/parts"):
            index_parts([Path(url)], [load("phash")], "s3://fifth/parts", options=ONE)


def webdataset(folder: Path) -> bytes:
    """Return a tar of images and captions with the same stem."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number in (2, 0, 1):  # in no order
            tar.add(draw(folder / f"{number}.jpg", number), f"./set/{number:04d}.jpg")
            caption = tarfile.TarInfo(f"./set/{number:04d}.txt")
            text = f"caption number{number}".encode()
            caption.size = len(text)
            tar.addfile(caption, io.BytesIO(text))
        link = tarfile.TarInfo("set/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return out.getvalue()


def test_the_members_of_a_tar_are_indexed_with_their_captions(s3: S3, tmp_path: Path) -> None:
    s3.bucket("sixth")
    s3.put("sixth", "wds/000.tar", webdataset(tmp_path))
    with Library.create(tmp_path, folder=tmp_path / "library") as library:
        report = index(library, "s3://sixth/wds")
        assert (report.indexed, report.sidecars) == (3, 3)
        hit = library.search(text="number1").hits[0]
        assert hit.path == "000.tar/set/0001.jpg"
        assert library.thumbnails.get(hit.id).data
        assert index(library, "s3://sixth/wds").unchanged == 3
        s3.client.delete_object(Bucket="sixth", Key="wds/000.tar")
        s3.put("sixth", "wds/other.jpg", draw(tmp_path / "9.jpg", 9).read_bytes())
        report = library.add("s3://sixth/wds", options=IndexOptions(workers=1, prune=True))
        assert (report.indexed, report.removed) == (1, 3 + 3)


def test_a_tar_on_this_machine_is_a_source_and_a_damaged_one_keeps_its_first_members(
    tmp_path: Path,
) -> None:
    whole, cut = tmp_path / "whole.tar", tmp_path / "cut.tar"
    whole.write_bytes(webdataset(tmp_path))
    cut.write_bytes(whole.read_bytes()[:2000])
    with Library.create(tmp_path, folder=tmp_path / "library") as library:
        assert index(library, str(whole)).indexed == 3
        report = index(library, str(cut))
        assert "damaged" in report.unreadable[0][1]
        assert library.info().images >= 3


def as_tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize("archived", [False, True])
def test_raw_files_and_sidecars_belong_to_their_images(
    s3: S3, tmp_path: Path, *, archived: bool
) -> None:
    pytest.importorskip("rawpy")
    files = {"1.JPG.xmp": XMP.encode(), "1_01.JPG.xmp": XMP.encode(), "3.jpg.xmp": XMP.encode()}
    for number, name, taken in (
        (1, "1.JPG", "2024:05:01 12:30:00"),
        (2, "2.jpg", "2019:01:01 00:00:00"),
    ):
        image = Image.open(draw(tmp_path / f"{number}.png", number, size=96))
        jpeg, tags = io.BytesIO(), Image.Exif()
        tags.get_ifd(0x8769)[0x9003] = taken
        image.save(jpeg, "JPEG", exif=tags)
        files |= {name: jpeg.getvalue(), f"{number}.dng": dng(image, preview=image)}
    bucket = "eighth" if archived else "ninth"
    s3.bucket(bucket)
    for name, data in (
        {"a.tar": as_tar({f"x/{k}": v for k, v in files.items()})}.items()
        if archived
        else (files.items())
    ):
        s3.put(bucket, f"shots/{name}", data)
    with Library.create(tmp_path, folder=tmp_path / "library") as library:
        report = index(library, f"s3://{bucket}/shots")
        assert (report.indexed, report.companions, report.sidecars) == (3, 1, 1)
        assert (report.orphan_sidecars, Path(report.orphan_example).name) == (1, "3.jpg.xmp")
        assert index(library, f"s3://{bucket}/shots").unchanged == 3
        start = "a.tar/x/" if archived else ""
        with TestClient(create_app(library, Settings()), base_url="http://127.0.0.1") as client:
            shown = client.get(f"/api/images/{ids(library)[start + '1.JPG']}").json()
        assert (shown["companions"], shown["metadata"]["keywords"]) == (["1.dng"], ["boat", "sea"])


def test_the_rows_of_a_parquet_file_are_indexed(s3: S3, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="needs pyarrow (lookalike[parquet])")
    parquet = pytest.importorskip("pyarrow.parquet")
    images = [draw(tmp_path / f"{n}.jpg", n).read_bytes() for n in range(5)]
    rows = [{"bytes": data, "path": "x"} for data in images] + [None, {"bytes": b"no", "path": ""}]
    for name, table in {
        "struct": pa.table({"image": rows, "label": range(7)}),
        "plain": pa.table({"jpg": [*images, None, b"no"], "other": [b"x"] * 7}),
        "none": pa.table({"text": ["a", "b"]}),
    }.items():
        out = io.BytesIO()
        parquet.write_table(table, out, row_group_size=3)
        s3.bucket(f"parquet-{name}")
        s3.put(f"parquet-{name}", "set/data.parquet", out.getvalue())
    with Library.create(tmp_path, folder=tmp_path / "library") as library:
        for name in ("struct", "plain"):
            report = index(library, f"s3://parquet-{name}/set")
            assert (report.indexed, report.failures) == (5, 2)
            assert index(library, f"s3://parquet-{name}/set").indexed == 0
        hits = library.search(tmp_path / "3.jpg", k=2).hits
        assert {hit.path for hit in hits} == {"data.parquet/000000003.jpg"}
        image = next(one for one in library.files() if one.id == hits[0].id)
        assert image.size == len(images[3])
        assert "no column" in index(library, "s3://parquet-none/set").unreadable[0][1]


def test_a_list_of_addresses_is_indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web = {f"https://example.org/{n}.jpg?w=1": draw(tmp_path / f"{n}.jpg", n) for n in range(3)}
    tags = dict.fromkeys(web, "v1")
    fetched: list[str] = []

    def fetch(url: str, *_: object) -> bytes:
        fetched.append(url)
        return web[url].read_bytes()

    monkeypatch.setattr(remote, "fetch_url", fetch)
    monkeypatch.setattr(remote, "validator_of", lambda url, _: (0, tags[url]))
    listed = tmp_path / "list.txt"
    listed.write_text("# images\n" + "\n".join([*web, *web, "http://example.org/plain.jpg"]))
    with Library.create(tmp_path, folder=tmp_path / "library") as library:
        report = index(library, str(listed))
        assert report.indexed == 3
        ((line, reason),) = report.unreadable
        assert line == "http://example.org/plain.jpg"
        assert "https://" in reason
        assert library.search(tmp_path / "1.jpg", k=1).hits[0].path == "example.org/1.jpg?w=1"
        tags["https://example.org/2.jpg?w=1"] = "v2"
        web["https://example.org/2.jpg?w=1"] = draw(tmp_path / "new.jpg", 77)
        fetched.clear()
        for changed in (1, 0):
            report = index(library, str(listed))
            assert (report.unchanged, report.changed) == (3 - changed, changed)
            assert fetched == ["https://example.org/2.jpg?w=1"]


def test_addresses_of_this_network_are_not_fetched(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("https://127.0.0.1/a.jpg\nhttps://169.254.169.254/latest/b.jpg\n")
    with Library.create(tmp_path, folder=tmp_path / "library") as library:
        assert index(library, str(listed)).failures == 2
        assert all("public internet only" in image.reason for image in library.failures())
        (tmp_path / "plain.txt").write_text("http://example.org/a.jpg\n")
        with pytest.raises(UsageError, match="lists no addresses"):
            index(library, str(tmp_path / "plain.txt"))
