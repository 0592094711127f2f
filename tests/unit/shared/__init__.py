"""The small shared modules."""
