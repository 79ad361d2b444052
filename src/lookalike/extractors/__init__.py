"""Extractors turn pictures into vectors. `load("color")` makes one; `EXTRACTORS` lists them."""

from lookalike.extractors.registry import EXTRACTORS, Registration, load, names, parse

__all__ = ["EXTRACTORS", "Registration", "load", "names", "parse"]
