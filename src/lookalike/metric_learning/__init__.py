"""Metric learning: a linear map on top of an extractor, learnt from labelled images."""
