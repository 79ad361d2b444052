"""Why two pictures match, and how a picture becomes a vector: as data. `plots` and the page draw it."""
