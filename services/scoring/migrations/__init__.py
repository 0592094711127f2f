"""The history of the tables of scoring."""
