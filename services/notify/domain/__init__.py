"""Who is told what, through which channel, when, and why not: pure functions of plain values."""
