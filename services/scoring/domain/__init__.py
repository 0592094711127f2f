"""How accounts are graded: pure functions of plain values."""
