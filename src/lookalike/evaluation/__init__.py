"""Measures how well extractors and searches rank one's own images."""
