"""Reads metadata from images: EXIF, IPTC and XMP."""
