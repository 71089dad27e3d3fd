"""Plots of scans, ready for a paper: one module a kind."""
