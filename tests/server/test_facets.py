"""Facets: counts of values and ranges under a filter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.library.image_builders import album

from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.facets import date_edges
from lookalike.stores.filters import FieldStats

METADATA: list[dict[str, Any]] = [
    {"kind": "mug", "price": 1, "tags": ["red", "old"], "taken": "2024-01-01T10:00:00"},
    {"kind": "mug", "price": 5, "tags": ["red"], "taken": "2024-01-02"},
    {"kind": "it's", "price": [2, 9.5], "taken": "2024-03-01"},
    {"kind": "shoe", "price": 9.5, "words": [f"word {n}" for n in range(70)]},
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = album(tmp_path_factory.mktemp("facets") / "photos", 34)
    for image, metadata in zip(sorted(folder.glob("*.jpg")), METADATA, strict=False):
        image.with_name(f"{image.name}.json").write_text(json.dumps(metadata))
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        with TestClient(create_app(library), base_url="http://localhost") as client:
            yield client


def facet(client: TestClient, **params: str) -> dict[str, Any]:
    response = client.get("/api/facets", params=params)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_values_are_counted_the_most_frequent_first(client: TestClient) -> None:
    found = facet(client, field="kind")
    assert found["images"] == 4
    assert [(one["value"], one["images"]) for one in found["values"]] == [
        ("mug", 2), ("it's", 1), ("shoe", 1),
    ]  # fmt: skip


def test_items_of_lists_are_counted_and_found_by_a_part(client: TestClient) -> None:
    values = facet(client, field="tags", contains="RE")["values"]
    assert values == [{"value": "red", "images": 2}]


def test_texts_that_are_nearly_all_different_are_found_by_a_part_only(client: TestClient) -> None:
    assert facet(client, field="words")["values"] == []
    assert facet(client, field="words", contains="d 42")["values"] == [
        {"value": "word 42", "images": 1}
    ]


def test_a_filter_reduces_the_counts(client: TestClient) -> None:
    values = facet(client, field="kind", where="price > 4 or kind = 'it''s'")["values"]
    assert {one["value"]: one["images"] for one in values} == {"mug": 1, "it's": 1, "shoe": 1}


def test_an_image_with_two_numbers_counts_in_the_ranges_of_both_and_in_none_between(
    client: TestClient,
) -> None:
    ranges = facet(client, field="price")["ranges"]
    full = [one for one in ranges if one["images"]]
    assert [one["images"] for one in full] == [1, 1, 1, 2]
    assert (full[0]["low"], full[-1]["high"]) == (1.0, 9.5)


def test_dates_have_ranges_of_days(client: TestClient) -> None:
    ranges = facet(client, field="taken")["ranges"]
    assert ranges[0]["low"] == "2024-01-01" and ranges[0]["images"] == 2
    assert sum(one["images"] for one in ranges) == 3


def test_an_unknown_field_names_the_known_ones(client: TestClient) -> None:
    response = client.get("/api/facets", params={"field": "nope"})
    assert response.status_code == 400 and "kind" in response.json()["error"]


@pytest.mark.parametrize(
    ("low", "high", "edges"),
    [
        ("2024-02-28", "2024-03-01", ["2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02"]),
        ("2021-05-06", "2021-11-01T08:00:00", ["2021-05-06", "2021-05-13", "2021-05-20"]),
        ("2021-05-06", "2023-01-31", ["2021-05-01", "2021-06-01", "2021-07-01"]),
        ("2014-05-06", "2024-01-31", ["2014-04-01", "2014-07-01", "2014-10-01"]),
        ("2004-05-06", "2024-01-31", ["2004-01-01", "2005-01-01", "2006-01-01"]),
        ("0001-01-01", "9999-12-31", ["0001-01-01", "1000-01-01", "2000-01-01"]),
    ],
)
def test_a_timeline_has_whole_days_weeks_months_or_years(
    low: str, high: str, edges: list[str]
) -> None:
    found = date_edges(FieldStats(kind="date", images=2, low=low, high=high, examples=()))
    assert found[: len(edges)] == edges and len(found) <= 49
    assert str(found[0]) <= low and str(found[-1]) >= high[:10]
