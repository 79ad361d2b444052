"""Pictures with known answers: a simulated product catalogue, and loaders for labelled folders."""
