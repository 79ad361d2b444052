"""ANN indexes of the local store: files, building, loading and the delta index."""
