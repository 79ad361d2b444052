"""Maps and explanations as figures."""
