"""A page on which people judge the hits of several systems: `lookalike judge`."""
