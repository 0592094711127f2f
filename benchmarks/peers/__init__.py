"""The same chain of five hops as a user of FastStream writes it by the book, in a venv of its own.

FastStream is no dependency of this project: `requirements-peers.txt` pins it with hashes for these measurements alone.
"""
