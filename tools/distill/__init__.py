"""Distillation of the built-in network from a larger one, trained from scratch, offline."""
