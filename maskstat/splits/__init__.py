"""Splits of a data set in which every class has its share, and certificates of any split."""
