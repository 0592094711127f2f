"""How an event from outside is judged: pure functions of plain values."""
