"""Negative controls: tests of the tests.

Each takes one guarantee away, runs the test that proves the guarantee, and demands that the test fails, in the way that
the loss of this guarantee makes it fail. `table.py` says which; `switches.py` how each is taken away.
"""
