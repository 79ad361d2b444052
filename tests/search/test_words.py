"""Words answered by the classes of a classifier, by colours and by captions, in a library of drawn images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Hits, Library, Query, Term
from lookalike.errors import UsageError
from lookalike.extractors.onnx_writer import GraphWriter
from lookalike.indexing.report import IndexOptions

SIDE = 32

# A classifier that sees only the mean colour: the more of one channel, the surer it is.
LABELS = ("strawberry", "broccoli", "Windsor tie")
PIXELS = {
    "strawberry": (230, 20, 20),
    "raspberry": (200, 60, 60),
    "broccoli": (20, 220, 20),
    "tie": (20, 20, 230),
    "dark tie": (10, 10, 120),
    "road": (128, 128, 128),
}


def write_classifier(
    folder: Path, labels: tuple[str, ...] | dict[str, str] | None = LABELS
) -> Path:
    """Write a classifier of three classes: the features are the mean of each channel and a constant."""
    graph = GraphWriter()
    graph.weight("w", np.eye(3)[:, :, None, None] * 2)
    graph.node("Conv", ["pixel_values", "w"], "scaled", kernel_shape=[1, 1])
    graph.node("GlobalAveragePool", ["scaled"], "pooled")
    graph.node("Flatten", ["pooled"], "features", axis=1)
    graph.weight("fc", np.eye(3) * 6)
    graph.weight("bias", np.array([0.0, 0.0, 0.1]))
    graph.node("Gemm", ["features", "fc", "bias"], "logits", transB=1)
    content = graph.finish({"pixel_values": ("n", 3, SIDE, SIDE)}, {"logits": ("n", 3)})
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "model.onnx").write_bytes(content)
    named = dict(enumerate(labels)) if isinstance(labels, tuple) else labels
    config = {"id2label": named} if named is not None else {}
    (folder / "config.json").write_text(json.dumps({"model_type": "resnet"} | config))
    processor = {
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "do_rescale": True,
        "do_normalize": True,
        "image_mean": [0, 0, 0],
        "image_std": [1, 1, 1],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name, pixel in PIXELS.items():
        Image.new("RGB", (48, 48), pixel).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"onnx:{write_classifier(tmp_path_factory.mktemp('models') / 'tiny')}"


@pytest.fixture(scope="module")
def library(
    photos: Path, model: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("library")
    with Library.create(photos, folder=folder) as made:
        made.add(photos, extractors=[model, "color", f"{model}+pca2"])
        yield made


def names(hits: Hits) -> list[str]:
    return [Path(hit.path).stem for hit in hits]


def words(*texts: str, **options: object) -> Query:
    return Query.of(text=list(texts), **options)  # type: ignore[arg-type]


def test_a_word_finds_what_shows_it_and_nothing_else(library: Library, model: str) -> None:
    found = library.search(text="vegetables")
    assert names(found) == ["broccoli"]
    assert found.ranked_by == f"content ({model})"
    assert found.similarity is None  # it is a probability
    assert found[0].score == pytest.approx(0.9998, abs=1e-4)


def test_filters_plurals_and_fillers_apply(library: Library) -> None:
    found = library.search(text="neckties", where="name glob 'dark*'")
    assert names(found) == ["dark tie"]
    assert names(library.search(text="a photo of the strawberries")) == ["strawberry", "raspberry"]


def test_negative_words_count_against_an_image(library: Library, photos: Path) -> None:
    ties = "name glob '*tie*'"
    dark = Query((Term(text="tie"), Term(text="dark")), k=1, where=ties)
    bright = Query((Term(text="tie"), Term(text="dark", weight=-1)), k=1, where=ties)
    assert names(library.search(dark)) == ["dark tie"]
    assert names(library.search(bright)) == ["tie"]
    terms = (Term(image=photos / "strawberry.png"), Term(text="strawberry", weight=-1))
    assert names(library.search(Query(terms, alpha=0.1)))[0] not in ("strawberry", "raspberry")


def test_words_and_images_are_mixed(library: Library, photos: Path, model: str) -> None:
    found = library.search(photos / "raspberry.png", text="broccoli", k=6, alpha=0.1)
    assert names(found)[0] == "broccoli"
    assert set(found[0].scores_by_space) == {model, f"content ({model})"}


def test_colours_rank_images(library: Library) -> None:
    assert names(library.search(text="grey", k=1)) == ["road"]
    found = library.search(text="dark blue tie", k=2)
    assert names(found)[0] == "dark tie"
    assert "tie" in names(found)


def test_a_reduced_space_answers_words_by_the_nearness_of_vectors(
    library: Library, model: str
) -> None:
    found = library.search(text="broccoli", extractor=f"{model}+pca2", k=1)
    assert names(found) == ["broccoli"]


def test_a_batch_gives_an_unknown_word_as_a_failure(library: Library) -> None:
    known, unknown = library.search_batch([words("broccoli"), words("zeppelin")])
    assert names(known) == ["broccoli"]
    assert "does not know 'zeppelin'" in unknown.failure
    assert "\n" not in unknown.failure


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("strawbery", "the nearest it knows: strawberry"),
        ("woman", "cannot tell 'woman'"),
        ("猫", "does not know '猫'"),
        ("the", "names nothing to look for"),
    ],
)
def test_what_cannot_be_known_is_an_error_of_one_line(
    library: Library, text: str, reason: str
) -> None:
    with pytest.raises(UsageError) as raised:
        library.search(text=text)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


def test_captions_come_first_where_one_has_all_the_words(
    photos: Path, model: str, tmp_path: Path
) -> None:
    table = [{"path": "road.png", "caption": "broccoli soup and a red bus"}]
    with Library.create(photos, folder=tmp_path / "library") as made:
        made.add(photos, extractors=[model, "color"], options=IndexOptions(metadata=table))
        by_caption = made.search(text="broccoli")
        assert (by_caption.ranked_by, names(by_caption)) == ("captions", ["road"])
        by_content = made.search(text="red strawberry")  # a caption has "red" only
        assert by_content.ranked_by == f"content ({model})+content (color)"
        assert names(made.search(text="broccoli", extractor=model)) == ["broccoli"]
        assert names(made.search(text="soup zeppelin")) == ["road"]
        with pytest.raises(UsageError, match=r"no caption has these words, and .* 'zeppelin'"):
            made.search(text="zeppelin")


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (None, "have no names"),
        (("LABEL_0", "LABEL_1", "LABEL_2"), "have no names"),
        (("", " ", ""), "have no names"),
        (("strawberry", "broccoli"), "2 names for 3 classes"),
        ((*LABELS, "banana"), "4 names for 3 classes"),
        ({"1": "strawberry", "2": "broccoli", "3": "tie"}, "the numbers of id2label"),
        ({"a": "strawberry", "b": "broccoli", "c": "tie"}, "the numbers of id2label"),
    ],
)
def test_labels_that_do_not_fit_are_an_error_of_one_line(
    photos: Path, tmp_path: Path, labels: tuple[str, ...] | dict[str, str] | None, reason: str
) -> None:
    name = f"onnx:{write_classifier(tmp_path / 'model', labels)}"
    with Library.create(photos, folder=tmp_path / "library") as made:
        made.add(photos, extractors=[name])
        with pytest.raises(UsageError) as raised:
            made.search(text="broccoli")
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


def test_labels_may_be_in_a_file_of_their_own(photos: Path, tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "model", None)
    (folder / "labels.txt").write_text("n07745940\nbroccoli\nWindsor tie\n")
    with Library.create(photos, folder=tmp_path / "library") as made:
        made.add(photos, extractors=[f"onnx:{folder}"])
        assert names(made.search(text="fruit")) == ["strawberry", "raspberry"]
