"""Every SQL statement of notify, set-based, by use. Customers' rows are locked before reports and notices (L1)."""
