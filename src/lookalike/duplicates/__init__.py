"""Duplicates and groups of similar images."""
