"""A portfolio from a file: its rows read, told as events, sent, and those that were refused kept to be mended."""
