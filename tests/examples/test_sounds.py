"""Tests of the plug-in examples/sounds, from its entry point to similar sounds."""

from __future__ import annotations

import importlib
import tomllib
import wave
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.errors import UnknownExtractor
from lookalike.extractors import registry
from lookalike.extractors.interface import Extractor
from lookalike.images.decode import decode
from lookalike.images.resize import fit

EXAMPLE = Path(__file__).parents[2] / "examples" / "sounds"
RATE = 16_000

Samples = NDArray[np.float64]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the plug-in importable and register its entry point, as `pip install` does."""
    monkeypatch.syspath_prepend(str(EXAMPLE / "src"))
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    offered = project["entry-points"][registry.ENTRY_POINT_GROUP]
    points = EntryPoints(
        EntryPoint(name, value, registry.ENTRY_POINT_GROUP) for name, value in offered.items()
    )
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda *, group: points.select(group=group)
    )
    registry.plugins.cache_clear()
    yield
    registry.plugins.cache_clear()


@pytest.fixture
def draw(installed: None) -> Any:
    return importlib.import_module("lookalike_sounds.draw")


def test_the_plug_in_is_found_through_its_entry_point(installed: None) -> None:
    assert "sounds" in registry.names()
    extractor = registry.load("sounds")
    assert isinstance(extractor, Extractor)
    assert (extractor.name, extractor.dim, extractor.runs_in) == ("sounds", 128, "worker")


def test_without_it_the_name_is_unknown() -> None:
    with pytest.raises(UnknownExtractor, match="sounds"):
        registry.load("sounds")


def tone(pitch: float, seconds: float = 1.5) -> Samples:
    """Return a note with overtones."""
    time = np.arange(int(seconds * RATE)) / RATE
    return np.asarray(sum(np.sin(2 * np.pi * pitch * n * time) / n for n in (1, 2, 3, 4)))


def beats(a_second: float, seed: int, seconds: float = 1.5) -> Samples:
    """Return bursts of noise."""
    time = np.arange(int(seconds * RATE)) / RATE
    return np.random.default_rng(seed).normal(size=len(time)) * ((time * a_second) % 1 < 0.3)


def chirp(low: float, high: float, seconds: float = 1.5) -> Samples:
    """Return a tone that rises once."""
    time = np.arange(int(seconds * RATE)) / RATE
    return np.sin(2 * np.pi * (low * time + (high - low) * time**2 / (2 * seconds)))


def write(path: Path, samples: Samples, loudness: float = 0.8) -> None:
    scaled = samples / np.abs(samples).max() * loudness
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((scaled * 32767).astype("<i2").tobytes())


PAIRS = {
    "low note": (tone(110), tone(113)),
    "high note": (tone(880), tone(900)),
    "slow beats": (beats(3, 1), beats(3, 2)),
    "fast beats": (beats(9, 3), beats(9, 4)),
    "siren": (chirp(200, 3000), chirp(220, 3200)),
}


def test_each_of_ten_sounds_finds_the_similar_one(draw: Any, tmp_path: Path) -> None:
    for name, (one, two) in PAIRS.items():
        write(tmp_path / f"{name} 1.wav", one)
        write(tmp_path / f"{name} 2.wav", two, loudness=0.1)
    assert draw.main([str(tmp_path), "--to", str(tmp_path / "drawn")]) == 0
    files = sorted((tmp_path / "drawn").iterdir())
    assert len(files) == 10
    assert files[0].name == "fast beats 1.wav.png"
    extractor = registry.load("sounds")
    images = [
        fit(decode(f.read_bytes(), specs=[extractor.pixels]).pixels, extractor.pixels)
        for f in files
    ]
    vectors = extractor.extract(images)
    similar = vectors @ vectors.T - 2 * np.eye(10)
    kinds = [file.name.removesuffix(".wav.png")[:-2] for file in files]
    assert [kinds[int(row.argmax())] for row in similar] == kinds


def test_a_pure_tone_is_one_bright_row_at_its_pitch(draw: Any) -> None:
    time = np.arange(RATE) / RATE
    image = draw.spectrogram(np.sin(2 * np.pi * 632.5 * time), RATE)
    assert image.shape == (96, 100)
    # 632.5 Hz is the geometric middle of 50 and 8,000 Hz, so its row is the middle one.
    assert abs(int(image[:, 40].argmax()) - 47.5) <= 1
    assert image[:, 40].max() >= 250


def test_a_long_sound_is_drawn_completely_within_three_to_one(draw: Any) -> None:
    image = draw.spectrogram(chirp(100, 5000, seconds=20.0), RATE)
    assert image.shape[0] == 96
    assert 280 <= image.shape[1] <= 288
    rows = image[:, [10, 140, 270]].argmax(axis=0)
    assert rows[0] > rows[1] > rows[2]  # it rises to the very end


def test_silence_is_black_and_gives_the_zero_vector(draw: Any) -> None:
    assert not draw.spectrogram(np.zeros(RATE), RATE).any()
    vectors = registry.load("sounds").extract([np.zeros((48, 96), np.uint8)])
    assert vectors.shape == (1, 128)
    assert not vectors.any()


@pytest.mark.parametrize(
    ("width", "largest"), [(1, 127), (2, 32767), (3, 2**23 - 1), (4, 2**31 - 1)]
)
def test_samples_of_every_width_are_read(
    draw: Any, tmp_path: Path, width: int, largest: int
) -> None:
    wanted = np.array([0.0, 0.5, -0.5, 0.25])
    whole = np.rint(wanted * (largest + 1)).astype(np.int64)
    content = b"".join(
        int(n + 128).to_bytes(1, "little")
        if width == 1
        else int(n).to_bytes(width, "little", signed=True)
        for n in whole
    )
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(content)
    samples, rate = draw.read_wav(tmp_path / "a.wav")
    assert rate == 8000
    np.testing.assert_allclose(samples, [0.25, -0.125], atol=1e-6)


def test_an_invalid_file_is_named_and_the_others_are_drawn(
    draw: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF, but no more")
    write(tmp_path / "whole.wav", tone(440))
    assert draw.main([str(tmp_path), "--to", str(tmp_path / "drawn")]) == 1
    assert "broken.wav is not a readable WAV file" in capsys.readouterr().err
    assert (tmp_path / "drawn" / "whole.wav.png").is_file()
