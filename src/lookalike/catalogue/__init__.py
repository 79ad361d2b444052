"""Simulated product catalogue: images with known kinds, colours and captions, drawn by a program."""
