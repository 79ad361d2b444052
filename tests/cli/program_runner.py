"""Runs the program in tests, on images that are drawn here."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image

from lookalike.cli.program import program

PROGRAM = [sys.executable, "-m", "lookalike.cli"]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without the settings that change the program's behaviour."""
    kept = {name: value for name, value in os.environ.items() if name != "LOOKALIKE_LIBRARY"}
    return {**kept, "COLUMNS": "100", **(extra or {})}


@dataclass(frozen=True)
class Run:
    """Exit code and output of a run of the program."""

    returncode: int
    stdout: str
    stderr: str


def lookalike(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> Run:
    """Run the program in this process, which saves half a second of start-up."""
    with contextlib.chdir(cwd):
        result = CliRunner().invoke(
            program,
            [*map(str, arguments)],
            prog_name="lookalike",
            env={"LOOKALIKE_LIBRARY": None, "COLUMNS": "100", **(env or {})},
        )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Run(result.exit_code, result.stdout, result.stderr)


def process(
    *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own, as a user does."""
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=120,
    )


def draw(file: Path, number: int, *, size: int = 64) -> Path:
    """Draw two colours in noise; equal numbers give equal bytes, other numbers other images."""
    rng = np.random.default_rng(number)
    pixels = np.empty((size, size, 3), np.int16)
    pixels[:] = rng.integers(20, 236, 3)
    pixels[size // 4 : size // 2, size // 4 :] = rng.integers(20, 236, 3)
    pixels += rng.integers(-12, 13, pixels.shape, dtype=np.int16)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, quality=90)
    return file


@dataclass(frozen=True)
class Album:
    """An indexed folder `photos` in `home`: eight good images, a truncated and an invalid one."""

    home: Path
    photos: Path
    indexed: subprocess.CompletedProcess[str]

    @property
    def cat(self) -> Path:
        return self.photos / "pets" / "cat.jpg"


def make_photos(photos: Path) -> Path:
    """Draw the images of an `Album`, and a text file."""
    for number in range(7):
        draw(photos / f"{number}.png", number)
    draw(photos / "pets" / "cat.jpg", 7)
    whole = draw(photos / "whole.jpg", 8, size=200)
    (photos / "cut.jpg").write_bytes(whole.read_bytes()[:2000])
    whole.unlink()
    (photos / "none.jpg").write_bytes(b"this is not an image, whatever its name says " * 10)
    (photos / "notes.txt").write_text("not an image, and not named like one " * 10)
    return photos
