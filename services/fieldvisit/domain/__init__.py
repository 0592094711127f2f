"""What the field desk decides: pure functions of plain values."""
