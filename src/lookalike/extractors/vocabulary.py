"""The words that a classifier answers: its labels, the general words above them, and everyday words."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lookalike.extractors.wordnet import WordNet, fold, load_wordnet, singulars, split_label

# A sense counts if it is at least this often meant in tagged texts as the most frequent one: "table" is the
# furniture and the dining table, "plane" no carpenter's plane, "crane" (never tagged) bird and machine.
SENSE_SHARE = 0.2

# Words per concept, at most ("black and gold garden spider").
LONGEST = 6

# Everyday words that WordNet's structure does not lead to: it has no beach above the seashore. Each stands
# for the words after it, where a classifier has some of them.
EVERYDAY: Mapping[str, str] = {
    word: meaning
    for words, meaning in {
        "beach|seaside": "beach, seashore, sandbar",
        "sea|ocean": "sea, seashore, sandbar, breakwater, promontory",
        "water": "body of water, seashore, lakeside, breakwater, fountain, geyser, dam",
        "lake": "lake, lakeside",
        "snow|winter": "ski, dogsled, snowplow, snowmobile, bobsled, alp",
        "skiing": "ski, ski mask, alp",
        "flower|blossom|bloom": "flower, cardoon, rapeseed, pot, daisy",
        "shoe|footwear": "shoe, clog, cowboy boot",
        "sneaker|trainer": "running shoe",
        "boot": "boot, cowboy boot",
        "clothes|clothing|garment|apparel|outfit|fashion": "clothing, garment, jean, jersey, miniskirt",
        "tshirt|tee": "jersey",
        "trousers|pants": "trouser, jean, pajama",
        "dress": "gown, hoopskirt, overskirt, sarong, kimono",
        "skirt": "miniskirt, hoopskirt, overskirt, sarong",
        "hat|headwear": "hat, bathing cap, shower cap, mortarboard, "
        "crash helmet, football helmet, pickelhaube",
        "cap": "bathing cap, shower cap, mortarboard",
        "glasses|eyeglasses|spectacles|eyewear": "sunglass, sunglasses",
        "handbag": "purse",
        "watch|wristwatch": "digital watch, stopwatch, analog clock",
        "clock": "analog clock, digital clock, wall clock",
        "food": "solid food, plate, ice cream, pizza, edible fruit, hotdog, soup, guacamole, burrito",
        "meal|dinner|lunch": "plate, hot pot, carbonara, burrito, meat loaf, potpie, consomme, cheeseburger",
        "fruit": "edible fruit",
        "pepper": "bell pepper, sweet pepper",
        "cabbage": "head cabbage, cabbage",
        "bread": "French loaf, bagel, pretzel, bakery",
        "meat": "meat loaf, butcher shop",
        "coffee": "espresso, coffee mug",
        "tea": "teapot, cup",
        "beer": "beer glass, beer bottle",
        "wine": "red wine, wine bottle",
        "cup|mug": "cup, coffee mug",
        "cat": "domestic cat",
        "kitten": "domestic cat",
        "puppy": "dog",
        "pet": "dog, domestic cat, hamster, guinea pig, goldfish",
        "cow|cattle": "cattle, ox",
        "bug": "insect",
        "shell|seashell": "conch, chiton, chambered nautilus",
        "building|architecture": "building, castle, triumphal arch, bell cote, dome, barn",
        "house|home": "house, mobile home, boathouse, barn, patio",
        "tower": "tower, bell cote, beacon, water tower",
        "street|road|traffic|city": "traffic light, street sign, parking meter, cab, streetcar, trolleybus",
        "kitchen": "stove, refrigerator, dishwasher, microwave, toaster, Dutch oven, waffle iron",
        "bathroom": "bathtub, tub, washbasin, toilet seat, shower curtain, medicine chest",
        "bedroom": "four-poster, quilt, studio couch, wardrobe",
        "garden": "greenhouse, patio, picket fence, pot",
        "sofa|couch": "sofa, studio couch",
        "tv": "television",
        "toy": "plaything, teddy, toyshop, jigsaw puzzle",
        "train|railway": "train, locomotive, passenger car, freight car",
        "plane|airplane|aeroplane|aircraft": "airplane, airliner, warplane, wing",
        "motorcycle|motorbike": "motorcycle, moped, motor scooter",
        "football": "soccer ball, football helmet, rugby ball",
        "soccer": "soccer ball",
        "tennis": "tennis ball, racket",
        "golf": "golf ball, golfcart",
        "music": "musical instrument, stage",
        "wedding": "groom, gown",
        "document|text": "web site, menu, envelope, crossword puzzle, book jacket",
        "screenshot|website": "web site",
    }.items()
    for word in words.split("|")
}

_PEOPLE = (
    "person people human man woman child kid baby boy girl men women children face portrait selfie crowd "
    "family adult teenager"
)
PEOPLE = frozenset(_PEOPLE.split())
"""Words that say who is in an image. ImageNet-1k has three kinds of people (groom, ballplayer, diver)."""

_FILLERS = (
    "a an the some my of on in at with and or from by to for near photo photos picture pictures image images "
    "photograph photographs"
)
FILLERS = frozenset(_FILLERS.split())
"""Words of a query that say nothing about what an image shows."""

FRUIT_COLORS = frozenset({"orange"})
"""Colours that are things where no other word follows."""

ENOUGH_PEOPLE = 20
"""Classes of people with which a classifier can answer `PEOPLE`; ImageNet-21k has 2,832."""

BACKGROUND = "background"
"""Label of the class that some networks have before those of ImageNet."""

_PERSON = "00007846"


@dataclass(frozen=True, slots=True)
class Concept:
    """A word, and the numbers of the classes that it names (rising, at least one)."""

    word: str
    classes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Phrase:
    """The concepts of a text, its words for colours, and the words that mean nothing to the classifier."""

    concepts: tuple[Concept, ...]
    colors: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Vocabulary:
    """Words of a classifier by its labels; `find` looks one up.

    labels  one a class: words of a WordNet synset joined by commas, an ImageNet id, or any other name
    """

    labels: Sequence[str]
    wordnet: WordNet = field(default_factory=load_wordnet, repr=False)

    def find(self, word: str) -> Concept | None:
        """Return what a word means to the classifier: as it is, or as the plural of a known one."""
        folded = fold(word)
        for one in (folded, *singulars(folded, self.wordnet.plurals)):
            if one in PEOPLE and not self.knows_people:
                return None
            classes = self._everyday(one) or self._classes(one)
            if classes:
                return Concept(one, tuple(sorted(classes)))
        return None

    def parse(self, text: str, *, colors: Collection[str]) -> Phrase:
        """Split a text into concepts, the longest first: "red running shoes" → red, running shoe.

        colors  words for colours; "orange" before a concept is one, alone it is the fruit
        """
        tokens = [token for token in map(_trim, fold(text).split(" ")) if token]
        concepts: list[Concept] = []
        shades: list[str] = []
        unknown: list[str] = []
        while tokens:
            length, found = self._longest(tokens, colors)
            if isinstance(found, Concept):
                concepts.append(found)
            elif found is not None:
                shades.append(found)
            elif tokens[0] not in FILLERS:
                unknown.append(tokens[0])
            tokens = tokens[length:]
        return Phrase(tuple(concepts), tuple(shades), tuple(unknown))

    def nearest(self, word: str, count: int = 4) -> list[str]:
        """Return known words like an unknown one: of similar spelling, else of a more general meaning."""
        folded, known = fold(word), self.words
        close = difflib.get_close_matches(folded, known, n=count, cutoff=0.8)
        for one in (folded, *singulars(folded, self.wordnet.plurals)):
            for _, synset in self.wordnet.senses.get(one, ()):
                close += self._general(synset)
        rest = difflib.get_close_matches(folded, known, n=count, cutoff=0.75)
        return list(dict.fromkeys([*close, *rest]))[:count]

    @cached_property
    def words(self) -> Mapping[str, Concept]:
        """All known words in folded form, sorted, with what they mean."""
        lemmas = (fold(w) for id in self._by_synset for w in self.wordnet.synsets[id].lemmas)
        found = {}
        for word in sorted({*lemmas, *map(fold, EVERYDAY), *self._by_label}):
            if concept := self.find(word):
                found[word] = concept
        return found

    @cached_property
    def knows_people(self) -> bool:
        """Whether enough classes are kinds of people."""
        return len(self._by_synset.get(_PERSON, ())) >= ENOUGH_PEOPLE

    def _longest(
        self, tokens: Sequence[str], colors: Collection[str]
    ) -> tuple[int, Concept | str | None]:
        """Return how many of the first tokens make a concept or a colour, and which."""
        for length in range(min(LONGEST, len(tokens)), 0, -1):
            words = " ".join(tokens[:length])
            is_color = words in colors and not (
                words in FRUIT_COLORS and length == len(tokens) and self.find(words)
            )
            if is_color:
                return length, words
            if (words not in FILLERS or length == len(tokens)) and (concept := self.find(words)):
                return length, concept
        return 1, None

    def _everyday(self, word: str) -> set[int]:
        """Return the classes that an everyday word stands for: those of these labels, else below them."""
        found: set[int] = set()
        for meaning in EVERYDAY.get(word, "").split(", "):
            folded = fold(meaning)
            found.update(self._by_label.get(folded) or self._classes(folded))
        return found

    def _classes(self, word: str) -> set[int]:
        """Return the classes that a folded word names: of its frequent senses, or by their labels."""
        most = len(self.labels) / 2  # "thing" and "object" name everything and tell nothing
        senses = [
            (count, self._by_synset[id])
            for count, id in self.wordnet.senses.get(word, ())
            if id in self._by_synset
        ]
        unmatched = (n for n in self._by_label.get(word, ()) if self._synsets[n] is None)
        found = set(unmatched)
        for count, classes in senses:
            if count >= SENSE_SHARE * senses[0][0] and (len(classes) <= most or len(classes) == 1):
                found.update(classes)
        return found

    def _general(self, synset: str) -> list[str]:
        """Return the words of the nearest meanings above a synset that are known."""
        above = [synset]
        while above:
            known = [self.wordnet.synsets[id].lemmas[0] for id in above if id in self._by_synset]
            known = [word for word in known if self.find(word)]
            if known:
                return known
            above = [parent for id in above for parent in self.wordnet.synsets[id].parents]
        return []

    @cached_property
    def _synsets(self) -> Sequence[str | None]:
        """The synset of each class."""
        return self.wordnet.match(self.labels)

    @cached_property
    def _by_synset(self) -> Mapping[str, Sequence[int]]:
        """The classes at or below each synset."""
        found: dict[str, list[int]] = {}
        for number, synset in enumerate(self._synsets):
            for one in self.wordnet.above(synset) if synset is not None else ():
                found.setdefault(one, []).append(number)
        return found

    @cached_property
    def _by_label(self) -> Mapping[str, Sequence[int]]:
        """The classes of each word of a label."""
        found: dict[str, list[int]] = {}
        for number, label in enumerate(self.labels):
            for word in split_label(label) if label != BACKGROUND else ():
                found.setdefault(word, []).append(number)
        return found


def _trim(token: str) -> str:
    """Return a word without the punctuation around it."""
    return token.strip("\"'.,;:!?()[]")
