"""Annotation files, of which masks are drawn when they are read."""
