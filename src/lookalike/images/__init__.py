"""Find, read, decode and resize image files."""
