"""What the server tells of a library and its images."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image as PIL
from tests.images.raw_builder import dng
from tests.library.image_builders import album
from tests.server.conftest import ADDRESS

from lookalike.indexing.report import IndexOptions
from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.routes.images import ids_of_page, stride
from lookalike.server.settings import Settings


def test_info_describes_the_library_and_the_server(client: TestClient) -> None:
    info = client.get("/api/info").json()
    assert (info["name"], info["images"], info["writable"]) == ("photos", 40, False)
    assert [(s["name"], s["dim"], s["count"], s["text"]) for s in info["spaces"]] == [
        ("color", info["spaces"][0]["dim"], 40, False),
        ("phash", 64, 40, False),
    ]
    assert info["outcomes"] == {"indexed": 40, "truncated": 1}


def test_fields_have_kinds_and_values(client: TestClient) -> None:
    fields = {field["name"]: field for field in client.get("/api/fields").json()["fields"]}
    assert fields["width"]["low"] == fields["width"]["high"] == 48
    assert fields["folder"]["examples"] == ["", "odd"]
    assert fields["size"]["kind"] == "number"


def test_pages_list_every_image_once(client: TestClient) -> None:
    for order in ("oldest", "newest", "spread"):
        found: list[int] = []
        offset: int | None = 0
        while offset is not None:
            response = client.get("/api/images", params={"offset": offset, "k": 9, "order": order})
            found += [image["id"] for image in response.json()["images"]]
            offset = response.json()["next_offset"]
        assert len(found) == 40 and len(set(found)) == 40
        assert (found == sorted(found)) == (order == "oldest")
        assert (found == sorted(found, reverse=True)) == (order == "newest")


@pytest.mark.parametrize("count", [1, 2, 3, 10, 97, 100, 1024])
def test_a_spread_page_samples_the_whole_library(count: int) -> None:
    ids = np.arange(count)
    everything = ids_of_page(ids, 0, count, "spread")
    assert sorted(everything.tolist()) == ids.tolist()
    assert np.gcd(stride(count), count) == 1
    if count >= 97:  # eight images leave no gap of a third of the library
        first = np.sort(ids_of_page(ids, 0, 8, "spread"))
        assert np.diff(first, prepend=0, append=count).max() < count / 3


def test_a_filter_limits_the_list_of_images(client: TestClient) -> None:
    response = client.get("/api/images", params={"where": "folder = 'odd'"}).json()
    assert response["total"] == 20
    assert client.get("/api/images", params={"where": "folder ="}).status_code == 400


def test_the_details_of_an_image(client: TestClient, photos: Path) -> None:
    image = client.get("/api/images/1").json()
    file = photos / image["path"]
    assert image["size"] == file.stat().st_size
    assert (image["width"], image["height"], image["format"]) == (48, 48, "jpeg")
    assert image["outcome"] == "indexed" and len(image["hash"]) == 64
    missing = client.get("/api/images/4711")
    assert (missing.status_code, missing.json()) == (
        404,
        {"error": "the library has no image with the id 4711"},
    )


def test_a_file_is_served_whole_and_by_range(client: TestClient, photos: Path) -> None:
    path = client.get("/api/images/3").json()["path"]
    data = (photos / path).read_bytes()
    assert client.get("/api/images/3/file").content == data
    part = client.get("/api/images/3/file", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, data[10:20])


def test_a_thumbnail_is_cached_by_its_etag(client: TestClient) -> None:
    first = client.get("/api/images/5/thumbnail?size=64")
    assert first.headers["content-type"] == "image/jpeg"
    tag = first.headers["etag"]
    again = client.get("/api/images/5/thumbnail?size=64", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/api/images/6/thumbnail?size=64", headers={"If-None-Match": tag})
    assert other.status_code == 200
    broken = client.get("/api/failures").json()["failures"][0]["id"]
    assert client.get(f"/api/images/{broken}/thumbnail").status_code in (404, 422)


def test_neighbours_are_the_hits_without_the_image_itself(client: TestClient) -> None:
    near = client.get("/api/images/7/neighbours", params={"k": 4, "extractor": "phash"}).json()
    search = client.get("/api/search", params={"image": 7, "k": 5, "extractor": "phash"}).json()
    assert [hit["id"] for hit in near["hits"]] == [
        hit["id"] for hit in search["hits"] if hit["id"] != 7
    ][:4]


def test_failures_have_outcome_and_reason(client: TestClient) -> None:
    response = client.get("/api/failures").json()
    (failure,) = response["failures"]
    assert (failure["path"], failure["outcome"]) == ("broken.jpg", "truncated")
    assert failure["reason"]
    assert response["counts"] == {"indexed": 40, "truncated": 1}
    other = client.get("/api/failures", params={"outcome": "too_large"}).json()
    assert other["failures"] == []


def test_metrics_count_responses_by_route_and_status(client: TestClient) -> None:
    before = client.get("/metrics").text
    client.get("/api/images/4711")
    client.get("/api/images/4712")
    after = client.get("/metrics").text
    line = 'lookalike_requests_total{method="GET",route="/api/images/{id}",status="404"}'

    def count(text: str) -> float:
        return next(
            (float(one.split()[-1]) for one in text.splitlines() if one.startswith(line)), 0.0
        )

    assert count(after) == count(before) + 2
    assert "lookalike_images 40.0" in after
    assert "/4711" not in after


def test_similar_groups_are_those_of_the_library(client: TestClient, library: Library) -> None:
    response = client.get("/api/similar-groups", params={"min_similarity": 0.4, "k": 100}).json()
    groups = library.similar_groups(min_similarity=0.4).groups
    assert groups
    assert [[member["path"] for member in group["members"]] for group in response["groups"]] == [
        [member.image.path for member in group.members] for group in groups
    ]
    assert response["total"] == len(groups)


@pytest.mark.parametrize("address", ["file", "thumbnail", "thumbnail?size=64"])
def test_an_image_that_the_client_has_is_not_sent_again(client: TestClient, address: str) -> None:
    url = f"/api/images/3/{address}"
    first = client.get(url)
    tag, date = first.headers["ETag"], first.headers["Last-Modified"]
    same = [
        {"If-None-Match": tag},
        {"If-None-Match": f"W/{tag}"},
        {"If-None-Match": f'"other, with a comma", W/"another",{tag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": date},
        {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
        {"If-None-Match": tag, "If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    ]
    for headers in same:
        for ask in (client.get, client.head):
            answer = ask(url, headers=headers)
            assert (answer.status_code, answer.content) == (304, b""), headers
            assert answer.headers["ETag"] == tag
    others = [
        {"If-None-Match": '"other"'},
        {"If-None-Match": tag.strip('"')},
        {"If-None-Match": '"other"', "If-Modified-Since": date},
        {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"If-Modified-Since": "yesterday"},
    ]
    for headers in others:
        answer = client.get(url, headers=headers)
        assert (answer.status_code, answer.content) == (200, first.content), headers


def test_images_are_grouped_by_month_folder_place_and_value(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 6)
    rows = {
        "000.jpg": {
            "taken": "2024-12-31T23:59:59",
            "label": "it's",
            "latitude": 52.3,
            "longitude": 13.2,
        },
        "002.jpg": {
            "taken": "2023-05-31T23:00:00",
            "label": "b",
            "latitude": 52.1,
            "longitude": 13.4,
        },
        "004.jpg": {
            "taken": "2023-05-02",
            "label": ["b", "c"],
            "latitude": -1.0,
            "longitude": -70.0,
        },
    }
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        for path, values in rows.items():
            library.set_metadata([folder / path], values)
        with TestClient(create_app(library), base_url=ADDRESS) as client:
            for by, expected in (
                ("taken", [("2024-12", 1), ("2023-05", 2)]),
                ("folder", [("", 3), ("odd", 3)]),
                ("label", [("b", 2), ("c", 1), ("it's", 1)]),
                ("place", [("52.25° N, 13.25° E", 2), ("0.75° S, 69.75° W", 1)]),
            ):
                found = client.get("/api/images/groups", params={"by": by}).json()
                kind = {"taken": "date", "label": "value"}.get(by, by)
                assert (found["kind"], found["others"]) == (kind, 0 if by == "folder" else 3)
                assert [(one["name"], one["images"]) for one in found["groups"]] == expected
                for one in found["groups"]:
                    page = client.get("/api/images", params={"where": one["where"]}).json()
                    assert page["total"] == one["images"], one
                    assert set(one["covers"]) <= {image["id"] for image in page["images"]}
            few = client.get("/api/images/groups", params={"by": "label", "where": "label = 'c'"})
            assert [one["name"] for one in few.json()["groups"]] == ["b", "c"]
            assert client.get("/api/images/groups", params={"by": "nonsense"}).status_code == 400
            sorted_ = client.get("/api/images", params={"sort": "taken", "order": "newest"}).json()
            assert [one["path"] for one in sorted_["images"]][:3] == list(rows)
            assert client.get("/api/images", params={"sort": "nonsense"}).status_code == 400


def test_tiles_join_to_the_image_at_every_level(tmp_path: Path) -> None:
    pixels = np.zeros((700, 1101, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.linspace(0, 255, 1101), np.linspace(0, 255, 700)[:, None]
    PIL.fromarray(pixels).save(tmp_path / "large.png")
    with Library.create(tmp_path) as library:
        library.add([tmp_path], extractors=["color"])
        with TestClient(create_app(library), base_url=ADDRESS) as client:
            for level, (columns, rows) in enumerate([(3, 2), (2, 1), (1, 1)]):
                tiles = [
                    [get_tile(client, level, c, r) for c in range(columns)] for r in range(rows)
                ]
                whole = np.concatenate([np.concatenate(row, axis=1) for row in tiles])
                side = -(-1101 // 2**level)
                assert whole.shape[1] == side and abs(whole.shape[0] - 700 * side / 1101) < 1.5
                expected = PIL.fromarray(pixels).resize(whole.shape[1::-1], PIL.Resampling.BOX)
                assert np.abs(whole.astype(float) - np.asarray(expected)).mean() < 3
            assert client.get("/api/images/1/tile?column=3").status_code == 404
            assert client.get("/api/images/2/tile").status_code == 404
            tag = client.get("/api/images/1/tile").headers["etag"]
            same = client.get("/api/images/1/tile", headers={"If-None-Match": tag})
            assert same.status_code == 304


def get_tile(client: TestClient, level: int, column: int, row: int) -> NDArray[np.uint8]:
    response = client.get(f"/api/images/1/tile?level={level}&column={column}&row={row}")
    assert response.status_code == 200
    return np.asarray(PIL.open(io.BytesIO(response.content)))


def test_files_with_pages_and_companions_are_served_by_id(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    pytest.importorskip("rawpy")
    folder = tmp_path / "mixed"
    folder.mkdir()
    first, second = (PIL.new("RGB", (40, 30), color) for color in ("red", "blue"))
    first.save(folder / "doc.pdf", save_all=True, append_images=[second])
    exif = PIL.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 12:30:00"
    second.save(folder / "IMG_1.jpg", exif=exif)
    (folder / "IMG_1.dng").write_bytes(dng(second, preview=second))
    with Library.create(folder) as library:
        library.add(folder, extractors=["dhash"], options=IndexOptions(workers=1))
        with TestClient(create_app(library, Settings()), base_url=ADDRESS) as client:
            images = {one["path"]: one["id"] for one in client.get("/api/images").json()["images"]}
            assert sorted(images) == ["IMG_1.jpg", "doc.pdf", "doc.pdf#2"]
            page = client.get(f"/api/images/{images['doc.pdf#2']}/file")
            assert page.content == (folder / "doc.pdf").read_bytes()
            assert page.headers["content-type"] == "application/pdf"
            thumbnail = client.get(f"/api/images/{images['doc.pdf#2']}/thumbnail").content
            pixel = PIL.open(io.BytesIO(thumbnail)).convert("RGB").getpixel((20, 20))
            assert pixel[2] > 200 > 60 > pixel[0]  # type: ignore[index]
            details = client.get(f"/api/images/{images['IMG_1.jpg']}").json()
            assert details["companions"] == ["IMG_1.dng"]
