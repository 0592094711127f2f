"""What notify decides and says: pure."""
