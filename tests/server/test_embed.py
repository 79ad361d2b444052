"""Vectors of images and texts for other programs: POST /api/embed, `Client.embed` and `Library.embed`."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from tests.library.image_builders import album
from tests.server.conftest import ADDRESS
from tests.server.live_server import running

from lookalike import Client, IndexOptions, Library
from lookalike.errors import UsageError
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from lookalike.vectors.similarity import Similarity


class Toy:
    """Embeds an image as its mean colour, and a text as its letters r, g and b."""

    name, revision, dim = "toy", "1", 3
    similarity: Similarity = "cosine"
    pixels = PixelSpec(fit="stretch", height=8, width=8)
    runs_in = "main"

    def extract(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        rows = [image.mean(axis=(0, 1)) for image in images]
        return np.array(rows, np.float32).reshape(-1, 3)

    def extract_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[text.count(c) for c in "rgb"] for text in texts], np.float32)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = album(tmp_path_factory.mktemp("photos"), 4)
    with Library.create(folder) as library:
        library.add(folder, extractors=[Toy(), "color"], options=IndexOptions(workers=1))  # type: ignore[list-item]
        yield library


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[TestClient]:
    app = create_app(library, Settings(max_batch=5))
    with TestClient(app, base_url=ADDRESS) as client:
        yield client


@pytest.fixture(scope="module")
def images(library: Library) -> list[bytes]:
    return [(library.home / name).read_bytes() for name in ("000.jpg", "odd/001.jpg")]


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_images_and_texts_become_unit_vectors_in_json_and_in_forms(
    client: TestClient, library: Library, images: list[bytes]
) -> None:
    lines = base64.encodebytes(images[0]).decode()  # as `base64` writes them
    document = {"images": [lines, f"data:image/jpeg;base64,{in_base64(images[1])}"]}
    made = client.post("/api/embed", json={**document, "texts": ["r", "grb"]}).json()
    assert (made["extractor"], made["revision"], made["dim"]) == ("toy", "1", 3)
    assert made["texts"] == [[1.0, 0.0, 0.0], [0.5773503] * 3]
    with library.snapshot() as snapshot:
        stored = snapshot.vectors("toy@1", np.array([1, 3]))
    np.testing.assert_allclose(made["images"], stored, atol=3e-3)  # decoded at another scale
    files = [("image", ("a.jpg", data)) for data in images]
    query = {"query": json.dumps({"extractor": "color"})}
    sent = client.post("/api/embed", files=files, data=query).json()
    assert (sent["extractor"], sent["dim"], len(sent["images"])) == ("color", 384, 2)
    np.testing.assert_allclose(np.linalg.norm(sent["images"], axis=1), 1, atol=1e-5)


def test_a_client_and_a_library_embed_alike(library: Library, images: list[bytes]) -> None:
    with (
        running(create_app(library, Settings())) as port,
        Client(f"http://127.0.0.1:{port}") as client,
    ):
        theirs = client.embed(images, text="rb")
    ours = library.embed(images, text="rb")
    assert theirs.extractor == ours.extractor and theirs.images.shape == (2, 3)
    np.testing.assert_allclose(theirs.images, ours.images, atol=1e-6)
    np.testing.assert_allclose(theirs.texts, ours.texts, atol=1e-6)
    with pytest.raises(UsageError, match="image 2"):
        library.embed([images[0], b"no image"])


@pytest.mark.parametrize(
    ("document", "status", "reason"),
    [
        ({"images": [in_base64(b"no image at all")]}, 400, "cannot embed image 1: "),
        ({"images": ["%%%"]}, 422, "image 1 is not base64"),
        ({"images": ["Zm9v"] * 6}, 413, "6 images and texts; one request has at most 5"),
        ({"texts": ["r"] * 3, "images": ["Zm9v"] * 3}, 413, "at most 5"),
        ({}, 422, "nothing to embed"),
        ([], 422, "the body is JSON"),
        ({"images": "Zm9v"}, 422, "nothing to embed"),
        ({"texts": ["r"], "pictures": []}, 422, "pictures"),
        ({"texts": ["r"], "extractor": "color"}, 400, "color embeds images only"),
        ({"texts": ["r"], "extractor": "clip"}, 400, "clip"),
        ({"texts": [" "]}, 400, "an empty text"),
    ],
)
def test_what_cannot_be_embedded_is_told_in_a_line(
    document: Any, status: int, reason: str, client: TestClient
) -> None:
    answer = client.post("/api/embed", json=document)
    assert (answer.status_code, reason in answer.json()["error"]) == (status, True), answer.text
    assert "\n" not in answer.json()["error"]


def test_a_form_with_a_broken_image_or_another_field_is_refused(
    client: TestClient, tmp_path: Path
) -> None:
    answer = client.post("/api/embed", files={"image": b"GIF89a"})
    assert (answer.status_code, "image 1" in answer.json()["error"]) == (400, True)
    answer = client.post("/api/embed", files={"picture": b"x"})
    assert (answer.status_code, "picture" in answer.json()["error"]) == (422, True)
