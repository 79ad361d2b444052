"""Thumbnails of indexed images, for the web page, the map and reports."""
