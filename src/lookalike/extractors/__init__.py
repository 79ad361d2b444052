"""Extractors turn images into vectors: `load("color")` returns one, `EXTRACTORS` lists them."""

from lookalike.extractors.registry import EXTRACTORS, Registration, load, names, parse

__all__ = ["EXTRACTORS", "Registration", "load", "names", "parse"]
