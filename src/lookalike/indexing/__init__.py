"""Indexing: from image files to vectors in a store."""
