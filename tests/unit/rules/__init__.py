"""Tests of money, the rules and the calendar."""
