"""The gateways against real servers."""
