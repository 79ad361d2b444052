"""Pure mathematics on arrays of vectors: similarity and exact top-k."""
