"""The history of the tables of intake."""
