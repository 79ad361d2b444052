"""How the built-in model is made: distillation of a larger network, from scratch, offline."""
