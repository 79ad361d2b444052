"""Metadata embedded in image files: EXIF, IPTC and XMP."""
