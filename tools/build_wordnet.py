"""Write the part of WordNet that names what image classifiers know: extractors/models/wordnet.txt.gz.

    python -m tools.build_wordnet WORDNET SYNSETS CLASSES

WORDNET  folder with data.noun, index.noun, cntlist.rev and noun.exc of WordNet 3.0 (Debian's wordnet-base;
         the ids of ImageNet are offsets of 3.0, not of 3.1)
SYNSETS  file with the ids of the synsets to keep, one a line: ImageNet-21k (timm's imagenet22k_synsets.txt)
CLASSES  the ids of the 1,000 classes of ILSVRC-2012, in their order (timm's imagenet_synsets.txt)

Kept are these synsets and everything above them. A line is "id parents lemmas", parents and lemmas joined by
"|"; the 1,000 classes have a "*" after the id. A lemma may be followed by ":count", how often it has this
sense in the texts that WordNet's authors tagged. Lines with "-" as id are irregular plurals: "- geese goose".
"""

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TARGET = Path(__file__).parents[1] / "src/lookalike/extractors/models/wordnet.txt.gz"


class Synset(NamedTuple):
    """Words of one meaning, and the ids of the meanings directly above it."""

    lemmas: list[str]
    parents: list[str]


def read_synsets(wordnet: Path) -> dict[str, Synset]:
    """Return the nouns of WordNet by offset (format: the manual page wndb(5WN))."""
    synsets = {}
    for line in _lines(wordnet / "data.noun"):
        fields = line.split(" ")
        end = 4 + 2 * int(fields[3], 16)
        count = int(fields[end])
        pointers = [fields[at : at + 4] for at in range(end + 1, end + 1 + 4 * count, 4)]
        parents = [
            target for kind, target, part, _ in pointers if kind in ("@", "@i") and part == "n"
        ]
        synsets[fields[0]] = Synset(fields[4:end:2], parents)
    return synsets


def read_counts(wordnet: Path) -> dict[tuple[str, str], int]:
    """Return how often each noun, in lower case, has each meaning (offset) in the tagged texts."""
    senses = {}
    for line in _lines(wordnet / "index.noun"):
        fields = line.split()
        senses[fields[0]] = fields[-int(fields[2]) :]
    counts = {}
    for line in _lines(wordnet / "cntlist.rev"):
        key, number, count = line.split()
        lemma, _, sense = key.partition("%")
        offsets = senses.get(lemma, [])[
            int(number) - 1 :
        ]  # a few lines name senses that are not there
        if sense.startswith("1:") and offsets:  # a noun
            counts[lemma, offsets[0]] = int(count)
    return counts


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file of WordNet without its licence, which is indented."""
    with path.open(encoding="utf-8") as lines:
        yield from (line for line in lines if not line.startswith("  "))


def main(wordnet: Path, kept: Path, classes: Path) -> None:
    """Write the file."""
    synsets, counts = read_synsets(wordnet), read_counts(wordnet)
    known = {identifier[1:] for identifier in classes.read_text().split()}
    above = [*known, *(identifier[1:] for identifier in kept.read_text().split())]
    wanted: set[str] = set()
    while above:
        offset = above.pop()
        if offset not in wanted:
            wanted.add(offset)
            above += synsets[offset].parents
    lines, lemmas = [], set()
    for offset in sorted(wanted):
        synset = synsets[offset]
        words = []
        for lemma in synset.lemmas:
            lemmas.add(lemma.lower())
            count = counts.get((lemma.lower(), offset), 0)
            words.append(lemma.replace("_", " ") + (f":{count}" if count else ""))
        mark = "*" if offset in known else ""
        lines.append(f"{offset}{mark}\t{'|'.join(synset.parents)}\t{'|'.join(words)}")
    for line in _lines(wordnet / "noun.exc"):
        plural, singular = line.split()[:2]
        if singular in lemmas and plural not in lemmas:
            lines.append(f"-\t{plural.replace('_', ' ')}\t{singular.replace('_', ' ')}")
    with TARGET.open("wb") as out:
        out.write(gzip.compress("\n".join(lines).encode() + b"\n", 9, mtime=0))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
