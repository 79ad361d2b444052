"""From files to a filled library."""
