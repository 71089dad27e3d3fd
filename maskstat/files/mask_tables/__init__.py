"""The mask x class table as a file: one module a format."""
