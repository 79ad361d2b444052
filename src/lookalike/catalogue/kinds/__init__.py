"""Drawings of each kind of product."""
