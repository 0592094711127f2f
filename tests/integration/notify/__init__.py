"""Notify on real parts."""
