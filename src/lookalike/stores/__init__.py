"""Stores for images, vectors and decisions: one interface, several implementations."""
