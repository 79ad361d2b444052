"""Approximate nearest-neighbour indexes with FAISS: recipes, tuning, re-ranking and GPU search."""
