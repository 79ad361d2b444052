"""How good a ranking is, and what an extractor can do: measured, on one's own pictures."""
