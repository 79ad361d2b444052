"""Words without captions: how many of the first ten photos show what a word names.

    python benchmarks/words.py DATA [--extractor efficientnet-lite2] [--library DIR] [--grid FILE]

DATA holds corel1k, grocery and coco-mini, which become one library of 2,130 photos (kept with --library).
A photo is right if its label says so, or one of the captions of COCO, which the library does not get. Only
words with at least ten right photos are asked. "by vector" ranks by the nearness to the word's vector alone.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from lookalike import Library
from lookalike.errors import UsageError
from lookalike.extractors import load
from lookalike.extractors.interface import ClassifierExtractor

SETS = ("corel1k", "grocery", "coco-mini")
# Word: what makes a photo right. A label of Corel or the coarse label or group of a grocery, or a word of a
# caption (its plural, too).
WORDS: dict[str, str] = {
    "buses": "buses|bus",
    "elephant": "elephants|elephant",
    "horses": "horses|horse",
    "dinosaur": "dinosaurs|dinosaur",
    "flower": "flowers|flower|rose|tulip",
    "beach": "beach|ocean|shore|sea",
    "mountains": "mountains|mountain",
    "food": "food|Fruit|Vegetables|Packages|pizza|sandwich|meal|cake|dish|salad|vegetable|fruit|plate",
    "building": "buildings|building|church|tower|castle|house",
    "fruit": "Fruit|fruit|banana|apple|orange",
    "vegetables": "Vegetables|vegetable|broccoli|carrot",
    "apple": "Apple|apple",
    "banana": "Banana|banana",
    "lemon": "Lemon|lemon",
    "orange": "Orange|Satsumas|Red-Grapefruit|orange",
    "pineapple": "Pineapple|pineapple",
    "pomegranate": "Pomegranate|pomegranate",
    "pepper": "Pepper|pepper",
    "cucumber": "Cucumber|cucumber",
    "zucchini": "Zucchini|zucchini",
    "mushroom": "Mushroom|mushroom",
    "cabbage": "Cabbage|cabbage",
    "animal": "elephants|horses|dinosaurs|dog|cat|bear|zebra|giraffe|bird|cow|sheep|horse|elephant|animal",
    "vehicle": "buses|bus|truck|car|motorcycle|train|van|taxi|bicycle|bike|airplane|plane|boat|vehicle",
    "cat": "cat|kitten",
    "dog": "dog|puppy",
    "train": "train|locomotive",
    "snow": "snow|ski|skier|skiing|snowboard|snowy|snowboarder",
    "kitchen": "kitchen|stove|oven|refrigerator",
    "bathroom": "bathroom|toilet|sink",
    "street": "buses|street|road|traffic|city|intersection",
    "boat": "boat|ship|sailboat",
}
DRAWN = (
    *("red flower", "yellow fruit", "green apples", "dark mountain", "black and white animal"),
    *("beach", "snow", "building on the beach", "clothes", "cat"),
)


@dataclass(frozen=True)
class Truth:
    """What is known of a photo: its labels, and the words of its captions."""

    labels: frozenset[str]
    words: frozenset[str]

    def shows(self, wanted: str) -> bool:
        """Return whether one of the labels or words, joined by "|", is right."""
        singles = set(wanted.split("|"))
        plurals = {f"{one}s" for one in singles} | {f"{one}es" for one in singles}
        return bool(singles & self.labels or (singles | plurals) & self.words)


def truths(data: Path) -> Iterator[tuple[Path, Truth]]:
    """Yield every photo of the sets with what is known of it."""
    for name in SETS:
        folder, captions = data / name, dict[str, set[str]]()
        if (folder / "captions.csv").exists():
            for row in read(folder / "captions.csv"):
                words = re.findall(r"[a-z]+", row["caption"].lower())
                captions.setdefault(row["path"], set()).update(words)
            yield from ((folder / p, Truth(frozenset(), frozenset(w))) for p, w in captions.items())
        else:
            for row in read(folder / "manifest.csv"):
                labels = (row.get(column, "") for column in ("label", "coarse", "group"))
                yield folder / row["path"], Truth(frozenset(labels) - {""}, frozenset())


def read(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a table."""
    with path.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def measure(library: Library, extractor: str, known: dict[Path, Truth]) -> None:
    """Print P@10 of each word, by probability and by vector, and the means."""
    print("| word | right photos | P@10 | by vector |\n|---|--:|--:|--:|")
    loaded = load(extractor)
    assert isinstance(loaded, ClassifierExtractor)
    classes = loaded.class_words()
    total = [0.0, 0.0]
    asked = 0
    for word, wanted in WORDS.items():
        right = {path for path, truth in known.items() if truth.shows(wanted)}
        if len(right) < 10:
            continue
        asked += 1
        try:
            hits = library.search(text=word, extractor=extractor, k=10)
        except UsageError as error:
            print(f"| {word} | {len(right):,} | {str(error)[:60]} |")
            continue
        with library.snapshot() as snapshot:
            space = next(one for one in snapshot.spaces() if one.name == extractor)
            concept = classes.vocabulary.find(word)
            assert concept is not None
            near = snapshot.search(space.key, classes.direction([concept])[None], 10)
            roots = {root.id: root.path for root in snapshot.roots()}
            images = snapshot.images(near.ids[0].tolist())
            nearest = [roots[one.root] / one.path for one in images.values()]
        found = [sum(hit.file in right for hit in hits) / 10, sum(n in right for n in nearest) / 10]
        total = [a + b for a, b in zip(total, found, strict=True)]
        print(f"| {word} | {len(right):,} | {found[0]:.1f} | {found[1]:.1f} |")
    print(f"| mean of {asked} | | {total[0] / asked:.3f} | {total[1] / asked:.3f} |")


def draw(library: Library, extractor: str, path: Path, *, side: int = 112) -> None:
    """Draw the first eight hits of ten queries, a row each."""
    sheet = Image.new("RGB", (150 + 8 * (side + 4), len(DRAWN) * (side + 4)), "white")
    pen = ImageDraw.Draw(sheet)
    for row, words in enumerate(DRAWN):
        top = row * (side + 4)
        pen.text((6, top + side // 2), words, fill="black")
        hits = library.search(text=words, extractor=(extractor, "color"), k=8)
        for place, hit in enumerate(hits):
            with Image.open(hit.file) as image:
                small = image.convert("RGB").resize((side, side))
            sheet.paste(small, (150 + place * (side + 4), top))
    sheet.save(path)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--extractor", default="efficientnet-lite2")
    parser.add_argument(
        "--library", type=Path, help="keep the library here, or use one that is there"
    )
    parser.add_argument("--grid", type=Path, help="draw ten queries")
    args = parser.parse_args()
    known = {path.resolve(): truth for path, truth in truths(args.data)}
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.library or Path(scratch) / "library"
        with Library.create(args.data, folder=folder) as library:
            sources = [args.data / name for name in SETS]
            library.add(sources, extractors=[args.extractor, "color"])
            if args.grid:
                draw(library, args.extractor, args.grid)
            measure(library, args.extractor, known)


if __name__ == "__main__":
    main()
