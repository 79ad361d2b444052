"""Plug-in for Lookalike that finds similar sounds."""
