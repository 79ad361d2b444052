"""Feedback: what people said about images, and how it changes searches."""
