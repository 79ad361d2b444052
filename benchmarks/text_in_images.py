"""Text in images: rate, characters and words of screenshots that this script draws.

    python benchmarks/text_in_images.py [COUNT] [--keep FOLDER]

Draws screenshots of 1920×1080 in light and dark: menus, paragraphs and tables in five fonts of 12 to 32
pixels, some lines turned by 90° or tilted. Indexes them with `--extractor text` and prints

* words: the share of the words drawn (three letters or digits and more) for which a search finds the image;
* characters: 1 − edit distance ÷ characters, of each line drawn and the most similar line read;
* the rate, and the processor time of an image.

Ctrl-C ends the reading; the figures are then of the screenshots that were read.
"""

from __future__ import annotations

import argparse
import re
import resource
import tempfile
import time
from contextlib import suppress
from difflib import SequenceMatcher
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lookalike import IndexOptions, Library

SIZE = 1920, 1080
FACES = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral")
DOCS = Path(__file__).parents[1] / "docs"
FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
THEMES = (("#ffffff", "#1c1c1c", "#f0f2f5"), ("#1e1f24", "#e6e6e6", "#2a2c33"))


def vocabulary() -> list[str]:
    """Return the words of the docs, with their capital letters, sorted."""
    texts = " ".join(file.read_text(encoding="utf-8") for file in sorted(DOCS.glob("*.md")))
    return sorted(set(re.findall(r"(?<![\w/-])[A-Za-z]{2,14}(?![\w/-])", texts)))


class Screen:
    """A screenshot in the making, and the lines drawn on it."""

    def __init__(self, rng: np.random.Generator, words: list[str]) -> None:
        self.rng, self.words = rng, words
        self.paper, self.ink, self.panel = THEMES[int(rng.integers(2))]
        self.image = Image.new("RGB", SIZE, self.paper)
        self.draw = ImageDraw.Draw(self.image)
        self.lines: list[str] = []

    def some(self, count: int) -> str:
        """Return a line of words, now and then with a number, a price, a date or an address."""
        extra = (
            f"{self.rng.integers(1, 99999)}",
            f"€{self.rng.integers(1, 900)}.{self.rng.integers(10, 99)}",
            f"2026-{self.rng.integers(1, 13):02d}-{self.rng.integers(1, 29):02d}",
            f"{self.rng.choice(self.words).lower()}@example.org",
        )
        chosen = [str(word) for word in self.rng.choice(self.words, count)]
        if self.rng.random() < 0.3:
            chosen[int(self.rng.integers(count))] = extra[int(self.rng.integers(4))]
        return " ".join(chosen)

    def font(self, size: int) -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(str(FONTS / f"{self.rng.choice(FACES)}.ttf"), size)

    def line(self, x: int, y: int, text: str, font: ImageFont.FreeTypeFont, ink: str = "") -> None:
        self.draw.text((x, y), text, font=font, fill=ink or self.ink)
        self.lines.append(text)

    def turned(self, x: int, y: int, text: str, degrees: float) -> None:
        """Draw a line that is turned by some degrees."""
        font = self.font(22)
        left, _, right, bottom = font.getbbox(text)
        mask = Image.new("L", (int(right - left) + 8, int(bottom) + 8))
        ImageDraw.Draw(mask).text((4, 4), text, font=font, fill=255)
        mask = mask.rotate(degrees, expand=True, resample=Image.Resampling.BICUBIC)
        self.image.paste(self.ink, (x, y), mask)
        self.lines.append(text)


def screenshot(number: int, words: list[str]) -> tuple[Image.Image, list[str]]:
    """Draw a screenshot; return it with its lines."""
    screen = Screen(np.random.default_rng(number), words)
    rng, draw = screen.rng, screen.draw
    draw.rectangle((0, 0, SIZE[0], 44), fill=screen.panel)
    screen.line(24, 10, screen.some(4), screen.font(18))
    draw.rectangle((0, 44, 330, SIZE[1]), fill=screen.panel)
    menu = screen.font(int(rng.integers(13, 18)))
    for row in range(int(rng.integers(8, 16))):
        screen.line(28, 80 + row * 44, screen.some(2), menu)
    screen.line(370, 76, screen.some(3), screen.font(32))
    size = int(rng.integers(12, 21))
    body = screen.font(size)
    for row in range(int(rng.integers(8, 18))):
        screen.line(370, 140 + row * int(size * 1.7), screen.some(7), body)
    table = screen.font(15)
    for row in range(6):
        draw.line((370, 770 + row * 40, 1500, 770 + row * 40), fill=screen.panel, width=2)
        for column in range(3):
            screen.line(380 + column * 380, 780 + row * 40, screen.some(2), table)
    draw.rounded_rectangle((1580, 80, 1860, 134), 10, fill="#2563eb")
    screen.line(1610, 94, screen.some(2), screen.font(20), "#ffffff")
    screen.turned(1780, 180, screen.some(3), 90.0 if rng.random() < 0.5 else -90.0)
    screen.turned(1540, 640, screen.some(3), float(rng.uniform(-12, 12)))
    return screen.image, screen.lines


def edits(first: str, second: str) -> int:
    """Return the Levenshtein distance."""
    before = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        now = [i]
        for j, b in enumerate(second, 1):
            now.append(min(before[j] + 1, now[-1] + 1, before[j - 1] + (a != b)))
        before = now
    return before[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument(
        "--keep", type=Path, help="folder of the screenshots; one of an earlier run is used"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        run(options.count, options.keep or Path(temporary))


def run(count: int, folder: Path) -> None:
    """Draw, index, search, print."""
    folder.mkdir(exist_ok=True)
    words = vocabulary()
    drawn: dict[str, list[str]] = {}
    for number in range(count):
        image, lines = screenshot(number, words)
        drawn[f"{number:04d}.png"] = lines
        if not (folder / f"{number:04d}.png").exists():
            image.save(folder / f"{number:04d}.png", compress_level=1)
    with Library.create(folder) as library:
        started, cpu = time.perf_counter(), seconds_of_processor()
        with suppress(KeyboardInterrupt):
            library.add(folder, extractors=["text"], options=IndexOptions(ann=False))
        took, cpu = time.perf_counter() - started, seconds_of_processor() - cpu
        with library.snapshot() as snapshot:
            read = {one.path: one.facts for one in snapshot.iter_files() if one.path in drawn}
        drawn = {path: lines for path, lines in drawn.items() if path in read}
        print(f"{len(read)} images in {took:.0f} s: {len(read) / took:.2f} a second; ", end="")
        print(f"{cpu / len(read):.2f} s of processor each")
        characters = wrong = 0
        wanted: dict[str, set[str]] = {}
        for path, lines in drawn.items():
            found = str(read[path].get("ocr_text", "")).split("\n")
            for line in lines:
                near = max(found, key=lambda one: SequenceMatcher(None, one, line).quick_ratio())
                wrong += min(edits(near, line), len(line))
                characters += len(line)
                for word in re.findall(r"\w{3,}", line):
                    wanted.setdefault(word.lower(), set()).add(path)
        hit = total = 0
        for word, paths in wanted.items():
            hits = library.search(text=word, extractor="text", k=len(drawn))
            hit += len(paths & {one.path for one in hits})
            total += len(paths)
        confidence = np.mean([float(facts.get("ocr_confidence", 0)) for facts in read.values()])
        print(f"words found: {hit / total:.2%} of {total}")
        print(
            f"characters: {1 - wrong / characters:.2%} of {characters}; confidence {confidence:.3f}"
        )


def seconds_of_processor() -> float:
    """Return the processor time of this process and its finished children."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


if __name__ == "__main__":
    main()
