"""Draws WAV files as grey PNG spectrograms: time from left to right, pitch from bottom to top."""

from __future__ import annotations

import argparse
import sys
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Rows of an image: frequency bands of equal width on a logarithmic scale.
BANDS = 96
# Frequencies in Hz. Below is rumble; telephones and old recordings have nothing above.
LOWEST, HIGHEST = 50.0, 8000.0
# Maximum number of columns: Lookalike crops images longer than 3:1.
SLICES = 3 * BANDS
# Seconds per column. Sounds longer than SLICES × STEP get longer columns.
STEP = 0.01
# Decibels between black and the loudest moment of the file, which is white.
RANGE = 80.0


def read_wav(path: Path) -> tuple[NDArray[np.float64], int]:
    """Return the samples in -1..1, mixed to one channel, and the sample rate in Hz.

    Raises ValueError for anything but 8- to 32-bit PCM.
    """
    try:
        with wave.open(str(path), "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            content = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path} is not a readable WAV file ({error})") from None
    if width == 1:
        samples = (np.frombuffer(content, np.uint8).astype(np.float64) - 128) / 128
    elif width == 3:
        thirds = np.frombuffer(content, np.uint8).reshape(-1, 3)
        whole = np.zeros((len(thirds), 4), np.uint8)
        whole[:, 1:] = thirds
        samples = whole.view("<i4").ravel() / 2.0**31
    else:
        samples = np.frombuffer(content, f"<i{width}") / 2.0 ** (8 * width - 1)
    return samples[: len(samples) // channels * channels].reshape(-1, channels).mean(axis=1), rate


def spectrogram(samples: NDArray[np.float64], rate: int) -> NDArray[np.uint8]:
    """Return (BANDS, 1 to SLICES) uint8, low pitches in the last row; silence is black."""
    size = 1 << max(8, int(np.log2(0.064 * rate)))  # about 50 ms, which resolves a low voice
    step = max(int(STEP * rate), -(-len(samples) // SLICES), 1)
    padded = np.concatenate([samples, np.zeros(size)])
    starts = np.arange(0, max(len(samples), 1), step)[:SLICES]
    window = np.hanning(size)
    power = np.stack([np.abs(np.fft.rfft(window * padded[s : s + size])) ** 2 for s in starts], 1)
    bands = _bands(size, rate) @ power
    if not bands.max() > 0:
        return np.zeros((BANDS, len(starts)), np.uint8)
    loud = 10 * np.log10(np.maximum(bands / bands.max(), 10 ** (-RANGE / 10)))
    return np.asarray(np.rint((loud / RANGE + 1) * 255), np.uint8)[::-1]


def _bands(size: int, rate: int) -> NDArray[np.float64]:
    """Return (BANDS, size / 2 + 1): triangular filters at logarithmically spaced frequencies.

    Low bands are narrower than the spacing of the FFT; they use the nearest frequencies.
    """
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    edges = np.geomspace(LOWEST, HIGHEST, BANDS + 2)
    width = np.maximum(np.diff(edges)[1:], frequencies[1])[:, None]
    return np.maximum(0, 1 - np.abs(frequencies[None, :] - edges[1:-1, None]) / width)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="draw-sounds", description=__doc__)
    parser.add_argument("source", type=Path, nargs="+", help="WAV files, or folders of them")
    parser.add_argument("--to", type=Path, required=True, help="folder for the images")
    chosen = parser.parse_args(arguments)
    failed = 0
    for source in chosen.source:
        files = sorted(source.rglob("*.wav")) if source.is_dir() else [source]
        for path in files:
            inside = path.relative_to(source) if source.is_dir() else Path(path.name)
            target = chosen.to / inside.with_name(f"{path.name}.png")
            try:
                image = spectrogram(*read_wav(path))
            except (OSError, ValueError) as error:
                print(error, file=sys.stderr)
                failed += 1
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(target)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
