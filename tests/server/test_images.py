"""What the server shows of a library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from lookalike.library import Library
from lookalike.server.routes.images import ids_of_page, stride


def test_info_says_what_there_is_and_what_is_allowed(client: TestClient) -> None:
    info = client.get("/api/info").json()
    assert (info["name"], info["images"], info["writable"]) == ("photos", 40, False)
    assert [(s["name"], s["dim"], s["count"], s["text"]) for s in info["spaces"]] == [
        ("color", info["spaces"][0]["dim"], 40, False),
        ("phash", 64, 40, False),
    ]
    assert info["outcomes"] == {"indexed": 40, "truncated": 1}


def test_fields_are_told_with_their_values(client: TestClient) -> None:
    fields = {field["name"]: field for field in client.get("/api/fields").json()["fields"]}
    assert fields["width"]["low"] == fields["width"]["high"] == 48
    assert fields["folder"]["examples"] == ["", "odd"]
    assert fields["size"]["kind"] == "number"


def test_browsing_pages_through_everything_once(client: TestClient) -> None:
    for order in ("oldest", "newest", "spread"):
        found: list[int] = []
        offset: int | None = 0
        while offset is not None:
            answer = client.get("/api/images", params={"offset": offset, "k": 9, "order": order})
            found += [image["id"] for image in answer.json()["images"]]
            offset = answer.json()["next_offset"]
        assert len(found) == 40 and len(set(found)) == 40
        assert (found == sorted(found)) == (order == "oldest")
        assert (found == sorted(found, reverse=True)) == (order == "newest")


@pytest.mark.parametrize("count", [1, 2, 3, 10, 97, 100, 1024])
def test_a_spread_page_takes_from_all_over(count: int) -> None:
    ids = np.arange(count)
    everything = ids_of_page(ids, 0, count, "spread")
    assert sorted(everything.tolist()) == ids.tolist()
    assert np.gcd(stride(count), count) == 1
    if count >= 97:  # eight of them leave no third of the library out
        first = np.sort(ids_of_page(ids, 0, 8, "spread"))
        assert np.diff(first, prepend=0, append=count).max() < count / 3


def test_a_filter_narrows_what_is_browsed(client: TestClient) -> None:
    answer = client.get("/api/images", params={"where": "folder = 'odd'"}).json()
    assert answer["total"] == 20
    assert client.get("/api/images", params={"where": "folder ="}).status_code == 400


def test_an_image_tells_everything_about_itself(client: TestClient, photos: Path) -> None:
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


def test_the_file_is_sent_as_it_is_and_in_parts(client: TestClient, photos: Path) -> None:
    path = client.get("/api/images/3").json()["path"]
    data = (photos / path).read_bytes()
    assert client.get("/api/images/3/file").content == data
    part = client.get("/api/images/3/file", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, data[10:20])


def test_a_thumbnail_is_made_once_and_then_known_by_its_tag(client: TestClient) -> None:
    first = client.get("/api/images/5/thumbnail?size=64")
    assert first.headers["content-type"] == "image/jpeg"
    tag = first.headers["etag"]
    again = client.get("/api/images/5/thumbnail?size=64", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/api/images/6/thumbnail?size=64", headers={"If-None-Match": tag})
    assert other.status_code == 200
    broken = client.get("/api/failures").json()["failures"][0]["id"]
    assert client.get(f"/api/images/{broken}/thumbnail").status_code in (404, 422)


def test_neighbours_are_the_search_without_the_image(client: TestClient) -> None:
    near = client.get("/api/images/7/neighbours", params={"k": 4, "extractor": "phash"}).json()
    search = client.get("/api/search", params={"image": 7, "k": 5, "extractor": "phash"}).json()
    assert [hit["id"] for hit in near["hits"]] == [
        hit["id"] for hit in search["hits"] if hit["id"] != 7
    ][:4]


def test_failures_are_told_with_their_reason(client: TestClient) -> None:
    answer = client.get("/api/failures").json()
    (failure,) = answer["failures"]
    assert (failure["path"], failure["outcome"]) == ("broken.jpg", "truncated")
    assert failure["reason"]
    assert answer["counts"] == {"indexed": 40, "truncated": 1}
    other = client.get("/api/failures", params={"outcome": "too_large"}).json()
    assert other["failures"] == []


def test_metrics_count_what_was_answered(client: TestClient) -> None:
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
    assert "4711" not in after


def test_similar_pictures_are_grouped_as_the_library_groups_them(
    client: TestClient, library: Library
) -> None:
    answer = client.get("/api/similar-groups", params={"min_similarity": 0.4, "k": 100}).json()
    groups = library.similar_groups(min_similarity=0.4).groups
    assert groups
    assert [[member["path"] for member in group["members"]] for group in answer["groups"]] == [
        [member.image.path for member in group.members] for group in groups
    ]
    assert answer["total"] == len(groups)
