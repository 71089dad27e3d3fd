"""The scan store: one SQLite file, any number of named scans, one row a mask."""
