"""Explanations as data: why two images match, and how an image becomes a vector. `viz` draws them."""
