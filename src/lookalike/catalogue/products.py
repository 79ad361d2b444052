"""Products as data: every property follows from a seed and a number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lookalike.catalogue.palette import COLOURS, LOGO_COLOURS, distance
from lookalike.catalogue.patterns import LOGOS, PATTERNS
from lookalike.catalogue.relief_canvas import Rgb

# Kind → lowest and highest price in euros, and words for product names.
KINDS: dict[str, tuple[float, float, tuple[str, ...]]] = {
    "shoe": (35, 160, ("Runner", "Court", "Trail")),
    "mug": (6, 28, ("Mug", "Brew", "Cup")),
    "bag": (25, 240, ("Tote", "Carry", "Satchel")),
    "chair": (45, 320, ("Chair", "Seat", "Perch")),
    "lamp": (22, 190, ("Lamp", "Glow", "Light")),
    "bottle": (5, 45, ("Bottle", "Flask", "Pour")),
    "watch": (40, 480, ("Watch", "Time", "Chrono")),
    "shirt": (12, 85, ("Shirt", "Tee", "Top")),
    "hat": (14, 90, ("Hat", "Cap", "Brim")),
    "teapot": (18, 95, ("Teapot", "Infuse", "Kettle")),
    "guitar": (95, 1400, ("Guitar", "Chord", "Strum")),
    "sofa": (280, 2400, ("Sofa", "Lounge", "Couch")),
    "toy car": (7, 48, ("Racer", "Motor", "Wheels")),
    "book": (8, 42, ("Reader", "Volume", "Pages")),
    "vase": (12, 130, ("Vase", "Bloom", "Vessel")),
    "backpack": (30, 180, ("Pack", "Hike", "Rucksack")),
    "headphones": (25, 380, ("Sound", "Tune", "Phones")),
    "sunglasses": (15, 220, ("Shades", "Lens", "Sun")),
    "camera": (90, 1900, ("Camera", "Shot", "Lens")),
    "umbrella": (12, 70, ("Umbrella", "Rain", "Canopy")),
    "clock": (15, 120, ("Clock", "Alarm", "Hour")),
    "teddy bear": (10, 65, ("Bear", "Cuddle", "Teddy")),
}
# fmt: off
_BRANDS = (
    "Halden", "Orla", "Vesta", "Brio", "Tamsin", "Koru", "Linden", "Marlow", "Nyra", "Ostra",
    "Pavo", "Quill", "Rune", "Solveig", "Tarn", "Umber", "Vale", "Wren", "Yarrow", "Zephyr",
    "Alder", "Birk", "Cosmo", "Dune", "Ember", "Fjord",
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Product:
    """One product of the catalogue, not drawn yet.

    `proportions` are twelve numbers from 0 to 1 that vary its shape; `style` selects the silhouette
    (each kind has several); `pitch`, `phase` and `turn` place the pattern.
    """

    number: int
    seed: int
    kind: str
    style: int
    colour: str
    accent: str
    pattern: str
    logo: str
    logo_colour: str
    proportions: tuple[float, ...]
    pitch: float
    phase: float
    turn: float
    name: str
    price: float

    @property
    def code(self) -> str:
        """The product's code, such as "p0012"."""
        return f"p{self.number:04d}"

    @property
    def main_rgb(self) -> Rgb:
        """The main colour, RGB 0 to 1."""
        return COLOURS[self.colour]

    @property
    def accent_rgb(self) -> Rgb:
        """The accent colour, RGB 0 to 1."""
        return COLOURS[self.accent]

    @property
    def logo_rgb(self) -> Rgb:
        """The logo's colour, RGB 0 to 1."""
        return LOGO_COLOURS[self.logo_colour]

    @property
    def caption(self) -> str:
        """A description as a person would give it: "a red and white striped mug with ..."."""
        colours = self.colour if self.pattern == "plain" else f"{self.colour} and {self.accent}"
        looks = PATTERNS[self.pattern].format(colours=colours)
        # English counts these two kinds in pairs.
        pair = "pair of " if self.kind in ("headphones", "sunglasses") else ""
        words = f"{pair}{looks} {self.kind}"
        if self.kind == "shoe" and self.pattern == "plain":
            words += f" with {self.accent} details"
        start = "an" if words[0] in "aeiou" else "a"
        join = "and" if " with " in words else "with"
        article = "an" if self.logo_colour[0] in "aeiou" else "a"
        return f"{start} {words} {join} {article} {self.logo_colour} {self.logo}"

    def between(self, slot: int, low: float, high: float) -> float:
        """Return the proportion in this slot, scaled to `low` … `high`."""
        return low + (high - low) * self.proportions[slot]


def make_product(number: int, *, seed: int = 0) -> Product:
    """Return product `number` of the catalogue with this seed.

    Kinds alternate, so the first `len(KINDS)` products are one of each. Every product has its own
    random generator, so a larger catalogue has the same first products.
    """
    if number < 0:
        raise ValueError(f"a product number is 0 or more, not {number}")
    rng = generator(seed, number)
    kind = kind_of(number)
    low, high, words = KINDS[kind]
    colour = _pick(rng, tuple(COLOURS))
    # The accent must be distinguishable from the main colour.
    accent = _pick(rng, tuple(c for c in COLOURS if distance(COLOURS[c], COLOURS[colour]) > 0.27))
    pattern = "plain" if rng.random() < 0.25 else _pick(rng, tuple(PATTERNS)[1:])
    logo_colour = _pick(
        rng,
        tuple(
            c
            for c, rgb in LOGO_COLOURS.items()
            if c != colour
            and distance(rgb, COLOURS[colour]) > 0.2
            and distance(rgb, COLOURS[accent]) > 0.14
        ),
    )
    # Most prices are at the low end, as in shops, and end in .49, .99 or .00.
    price = low * (high / low) ** float(rng.random() ** 1.3)
    price = int(price) + (0.99, 0.49, 0.0)[int(rng.integers(3))]
    return Product(
        number=number,
        seed=seed,
        kind=kind,
        style=int(rng.integers(60)),
        colour=colour,
        accent=accent,
        pattern=pattern,
        logo=_pick(rng, LOGOS),
        logo_colour=logo_colour,
        proportions=tuple(float(v) for v in rng.random(12)),
        pitch=float(rng.uniform(0.07, 0.15)),
        phase=float(rng.random()),
        turn=float(rng.choice([0.0, 0.0, 0.0, 45.0, -20.0])),
        name=f"{_pick(rng, _BRANDS)} {_pick(rng, words)} {int(rng.integers(10, 100))}",
        price=price,
    )


def kind_of(number: int) -> str:
    """Return the kind of product `number`, which is the same with every seed."""
    return tuple(KINDS)[number % len(KINDS)]


def generator(seed: int, number: int, view: int | None = None) -> np.random.Generator:
    """Return the random generator of a product, or of one view of it; the same on every machine."""
    if seed < 0:
        raise ValueError(f"a seed is 0 or more, not {seed}")
    key = (number,) if view is None else (number, view)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def _pick(rng: np.random.Generator, among: tuple[str, ...]) -> str:
    return among[int(rng.integers(len(among)))]
