"""A 2-D map of a library in which similar images lie close together."""
