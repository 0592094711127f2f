"""The facts that services tell each other: one frozen struct a fact and version."""
