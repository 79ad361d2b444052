"""Everything that is drawn: result grids, charts, explanations, maps, reports."""
