"""Metric learning: a linear map on top of an extractor, from labelled images."""
