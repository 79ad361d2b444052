"""The page on which people judge hits."""
