"""Crops that find rare classes: an index of where each class is."""
