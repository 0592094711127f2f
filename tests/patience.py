"""How long a test waits for what another task does. No verdict hangs on it: what takes as long as this never comes."""

SECONDS = 45.0
"""For a slow machine under load. A control whose test fails by waiting in vain makes it shorter."""
