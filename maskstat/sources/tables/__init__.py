"""Masks in tables, and tables that name masks."""
