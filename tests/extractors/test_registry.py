"""Tests of loading extractors by name, including plug-ins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from lookalike.errors import UnknownExtractor, UsageError
from lookalike.extractors import EXTRACTORS, load, names, parse, registry


@pytest.fixture
def offering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def offer(**points: str) -> None:
        found = [
            EntryPoint(name, value, registry.ENTRY_POINT_GROUP) for name, value in points.items()
        ]
        monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: found)
        registry.plugins.cache_clear()

    yield offer
    registry.plugins.cache_clear()


def test_an_unknown_name_lists_the_known_ones_and_the_closest() -> None:
    with pytest.raises(UnknownExtractor, match=r"Did you mean 'color'.*There are: .*histogram"):
        load("colour")
    with pytest.raises(UnknownExtractor) as raised:
        load("qqqqqq")
    assert "Did you mean" not in str(raised.value)


def test_an_unexpected_argument_and_a_missing_model_are_refused() -> None:
    with pytest.raises(UnknownExtractor, match="write 'color'"):
        load("color:blue")
    with pytest.raises(UnknownExtractor, match="onnx:PRESET"):
        load("onnx")


def test_names_show_families_with_a_colon() -> None:
    assert {"color", "pixels", "onnx:", "clip:"} <= set(names())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("color", ["color"]),
        ("color, shape,,pixels", ["color", "shape", "pixels"]),
        ("color,color", ["color"]),
        ("onnx:a,b/c,color", ["onnx:a,b/c", "color"]),
        ("onnx:a,clip:b", ["onnx:a", "clip:b"]),
        ("color,shpe", ["color", "shpe"]),
        ("", []),
    ],
)
def test_commas_separate_names_but_not_the_text_of_a_family(text: str, expected: list[str]) -> None:
    assert parse(text) == expected


def test_another_package_can_offer_extractors(offering: Any) -> None:
    offering(sound="lookalike.extractors.pixels:PixelsGrey")
    assert "sound" in names()
    assert load("sound").dim == 4096


def test_builtin_names_cannot_be_replaced(offering: Any) -> None:
    offering(color="lookalike.extractors.pixels:PixelsGrey")
    assert load("color").name == "color"
    assert names().count("color") == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no_such_package:Thing", "no_such_package"),
        ("lookalike.extractors.pixels:Nothing", "Nothing"),
        ("collections:OrderedDict", "is not an extractor: it lacks name, revision, dim"),
    ],
)
def test_a_broken_plugin_is_named_when_loaded_and_listed_all_the_same(
    offering: Any, value: str, words: str
) -> None:
    offering(sound=value)
    assert "sound" in names()
    assert load("color").name == "color"
    with pytest.raises(UsageError, match="extractor 'sound'") as raised:
        load("sound")
    assert words in str(raised.value)


def test_listing_imports_no_extractor_and_no_runtime() -> None:
    program = (
        "import sys; from lookalike.extractors import names; names();"
        "heavy = {'cv2', 'onnxruntime', 'torch', 'timm', 'tokenizers', 'PIL'} & set(sys.modules);"
        "assert not heavy, heavy;"
        "own = [m for m in sys.modules if m.startswith('lookalike.extractors.')];"
        "assert sorted(own) == ['lookalike.extractors.interface', 'lookalike.extractors.registry'], own"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_factory_of_the_registry_exists() -> None:
    for name, offer in EXTRACTORS.items():
        module, _, attribute = offer.factory.partition(":")
        assert callable(getattr(import_module(module), attribute)), name
