"""How each kind of product is drawn, one room of the shop a file."""
