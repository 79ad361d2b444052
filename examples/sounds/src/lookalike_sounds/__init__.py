"""Sounds that sound alike: a plug-in for Lookalike."""
