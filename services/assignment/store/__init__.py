"""Every SQL statement of assignment, set-based: customers and cases, worklists, colleagues, filed lists."""
