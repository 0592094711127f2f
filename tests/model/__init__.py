"""The bus as a model: one stream, everything that may befall it, and the bus's own functions in it."""
