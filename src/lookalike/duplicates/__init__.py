"""Copies: pictures that are there more than once, and what people said of them."""
