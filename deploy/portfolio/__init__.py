"""Portfolios for trying the system out: made from published figures and a seed, or read from a bank's file."""
