"""What one event costs, beside the least that it could cost on the same machine: `make bench`, docs/performance.md."""
