"""Evaluations as documents: JSON, charts, and a page that needs nothing beside it."""
