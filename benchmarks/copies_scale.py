"""Duplicates among very many photos: time by stage, edited copies found, and other pairs.

    python benchmarks/copies_scale.py PHOTOS... --work FOLDER [--images 100000] [--again]

PHOTOS are folders and ZIP files; the first ones are used up first. Nine of ten images are photos, each tenth
is an edit (`evaluation/edits.py`, in turn) of one whose shorter side has 160 pixels or more. They stay in
FOLDER/images, where `copies_peers.py --made FOLDER` finds them, and the pairs that are no planted copies in
FOLDER/others.txt: photos that are in PHOTOS twice are among them. `--again` searches the library of an
earlier run again.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.evaluation.edits import EDITS
from lookalike.library import Library

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
SHORTEST = 160
EVERY = 9
"""Of so many photos, one gets an edited copy."""


def photos(places: Sequence[Path]) -> Iterator[tuple[Path, str | None]]:
    """Yield photos: a file, or a ZIP file and a name in it."""
    for place in places:
        if place.is_dir():
            found = sorted(file for file in place.rglob("*") if file.suffix.lower() in SUFFIXES)
            yield from ((file, None) for file in found)
        else:
            with zipfile.ZipFile(place) as archive:
                names = archive.namelist()
            yield from ((place, name) for name in names if Path(name).suffix.lower() in SUFFIXES)


def make_images(places: Sequence[Path], folder: Path, count: int) -> None:
    """Save photos as NNNNNN.suffix and edited copies as NNNNNN-edit.suffix, `count` in all."""
    folder.mkdir(parents=True)
    archives: dict[Path, zipfile.ZipFile] = {}
    large = made = edited = 0
    for number, (place, name) in enumerate(photos(places)):
        if made >= count:
            break
        file = folder / f"{number:06}{Path(name or place).suffix.lower()}"
        if name is None:
            try:
                os.link(place, file)
            except OSError:
                shutil.copyfile(place, file)
        else:
            if place not in archives:
                archives[place] = zipfile.ZipFile(place)
            file.write_bytes(archives[place].read(name))
        made += 1
        if name is not None or edited * (EVERY + 1) >= made:
            continue
        with suppress(OSError), Image.open(file) as image:
            if min(image.size) < SHORTEST:
                continue
            large += 1
            pixels = np.array(image.convert("RGB"))
            edit = EDITS[large % len(EDITS)]
            (folder / f"{number:06}-{edit.name}{edit.suffix}").write_bytes(edit.saved(pixels))
            made += 1
            edited += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("photos", type=Path, nargs="*")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--extractor", dest="extractors", default="lookalike,phash,dhash")
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    folder = given.work / "images"
    if not folder.exists():
        make_images(given.photos, folder, given.images)
    home = given.work / "lib"
    with Library.open(home) if given.again else Library.create(folder, folder=home) as library:
        if not given.again:
            added = library.add([folder], extractors=given.extractors.split(","))
            print(f"{added.new:,} images indexed in {added.seconds:.0f} s", flush=True)
        started = time.perf_counter()
        found = library.duplicates()
        taken = time.perf_counter() - started
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found.seconds.items())
    busy = sum(
        resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(f"{found.searched:,} images, {found.compared:,} pairs compared: {taken:.0f} s ({stages})")
    print(f"    {busy:.0f} s of processor, indexing included", flush=True)
    planted = {file.name for file in folder.iterdir() if "-" in file.name}
    hits: set[str] = set()
    others = []
    right = 0
    for group in found.groups:
        for one, other in combinations((member.file for member in group.members), 2):
            if one.name[:6] == other.name[:6]:
                right += 1
                hits |= {one.name, other.name} & planted
            else:
                others.append(f"{one.name} {other.name}\n")
    (given.work / "others.txt").write_text("".join(others), encoding="utf-8")
    print(
        f"{len(hits) / len(planted):.1%} of {len(planted):,} found, {right:,} pairs of one photo,"
    )
    print(f"    {len(others):,} other pairs")
    for edit in EDITS:
        names = {name for name in planted if name[7:].startswith(f"{edit.name}.")}
        print(f"    {edit.name:<10} {len(names & hits) / max(1, len(names)):7.1%}")


if __name__ == "__main__":
    main()
