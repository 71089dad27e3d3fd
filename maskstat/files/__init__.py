"""Documents, tables and other files that are no masks."""
