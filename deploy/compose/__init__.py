"""The same system as `docker compose` runs it: its settings file, and what its database makes at its first start."""
