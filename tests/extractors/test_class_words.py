"""Words of classifiers: which classes a word names, and the vectors and probabilities made of them."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.extractors.class_words import ClassWords
from lookalike.extractors.color import Color
from lookalike.extractors.color_words import COLORS, color_vectors
from lookalike.extractors.vocabulary import Vocabulary
from lookalike.extractors.wordnet import load_wordnet
from lookalike.images.pixel_spec import Pixels


@pytest.fixture(scope="module")
def imagenet() -> Vocabulary:
    """Return the words of the 1,000 classes of ImageNet."""
    return Vocabulary(tuple(f"n{id}" for id in load_wordnet().imagenet()))


def labels_of(vocabulary: Vocabulary, word: str) -> set[str]:
    """Return the first label of each class that a word names."""
    concept = vocabulary.find(word)
    synsets = vocabulary.wordnet.match(vocabulary.labels)
    numbers = concept.classes if concept else ()
    found = [synsets[number] for number in numbers]
    return {vocabulary.wordnet.synsets[id].lemmas[0] for id in found if id is not None}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("banana", {"banana"}),
        ("Bananas", {"banana"}),
        ("mice", {"mouse"}),
        ("wolf spiders", {"wolf spider"}),
        ("T-shirt", {"jersey"}),
        ("elephant", {"Indian elephant", "African elephant"}),
        ("beach", {"seashore", "sandbar"}),
        ("crane", {"crane"}),
        ("plane", {"airliner", "warplane", "wing"}),
        ("glasses", {"sunglass", "sunglasses"}),
        ("cat", {"tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat"}),
        ("giraffe", set()),
        ("person", set()),
        ("thing", set()),
        ("猫", set()),
        ("", set()),
    ],
)
def test_a_word_names_classes(imagenet: Vocabulary, word: str, expected: set[str]) -> None:
    assert labels_of(imagenet, word) == expected


def test_general_words_name_all_classes_below_them(imagenet: Vocabulary) -> None:
    concepts = {word: imagenet.find(word) for word in ("dog", "bird", "vehicle", "fruit")}
    counts = {word: len(concept.classes) for word, concept in concepts.items() if concept}
    assert counts == {"dog": 118, "bird": 59, "vehicle": 67, "fruit": 10}


def test_labels_are_understood_as_ids_as_synonyms_and_as_first_words() -> None:
    wordnet = load_wordnet()
    ids = wordnet.imagenet()
    lemmas = [wordnet.synsets[id].lemmas for id in ids]
    assert wordnet.match([", ".join(each) for each in lemmas]) == ids
    # "crane", "maillot" and "cardigan" each name two classes, which the order tells apart.
    assert wordnet.match([each[0] for each in lemmas]) == ids
    assert wordnet.match(["background", *(each[0] for each in lemmas)]) == [None, *ids]


def test_labels_outside_wordnet_are_words_themselves() -> None:
    vocabulary = Vocabulary(("Widget Mk II", "golden retriever", ""))
    for word, classes in (("widget mk ii", (0,)), ("dog", (1,)), ("golden-retriever", (1,))):
        concept = vocabulary.find(word)
        assert concept is not None
        assert concept.classes == classes


def test_texts_are_split_into_concepts_and_colours(imagenet: Vocabulary) -> None:
    def parts(text: str) -> tuple[list[str], list[str], list[str]]:
        phrase = imagenet.parse(text, colors=COLORS)
        return [one.word for one in phrase.concepts], list(phrase.colors), list(phrase.unknown)

    assert parts("red running shoes") == (["running shoe"], ["red"], [])
    assert parts("a running shoe’s") == (["running shoe"], [], [])
    assert parts("a photo of a golden retriever on the beach") == (
        *(["golden retriever", "beach"], []),
        [],
    )
    assert parts("orange") == (["orange"], [], [])
    assert parts("Orange shoes.") == (["shoe"], ["orange"], [])
    assert parts("black-and-white dog") == (["dog"], ["black and white"], [])
    assert parts("dark") == ([], ["dark"], [])
    assert parts("a dog with a frisbee") == (["dog"], [], ["frisbee"])


def test_unknown_words_are_answered_with_near_ones(imagenet: Vocabulary) -> None:
    assert "ruminant" in imagenet.nearest("giraffe")  # above it in WordNet
    assert imagenet.nearest("elefant")[0] == "elephant"
    assert imagenet.nearest("猫") == []


def test_probabilities_are_those_of_the_softmax() -> None:
    weights = np.array([[1.0, 0, 0], [0, 1, 0]], np.float32)
    bias = np.array([0, 0, 0.5], np.float32)
    words = ClassWords(Vocabulary(("dog", "banana", "beach")), weights, bias, 2.0)
    dog, banana = words.vocabulary.find("dog"), words.vocabulary.find("banana")
    assert dog is not None
    assert banana is not None
    shares = np.exp([2.0, 0.0, 0.5])
    found = words.probabilities(np.array([[1.0, 0.0]], np.float32), [dog, banana])
    assert found[0] == pytest.approx(shares[:2] / shares.sum())
    direction = words.direction([dog])
    assert direction @ direction == pytest.approx(1)
    assert direction @ [1, 0] > direction @ [0, 1]


@pytest.mark.parametrize(
    ("word", "pixel"),
    [
        ("red", (200, 20, 30)),
        ("green", (40, 160, 50)),
        ("blue", (30, 60, 200)),
        ("grey", (128,) * 3),
    ],
)
def test_an_image_is_nearest_to_the_word_for_its_colour(
    word: str, pixel: tuple[int, int, int]
) -> None:
    image: Pixels = np.full((96, 96, 3), pixel, np.uint8)
    (vector,) = Color().extract([image])
    similarities = {name: float(each @ vector) for name, each in color_vectors(Color()).items()}
    assert similarities[word] == max(similarities.values())
