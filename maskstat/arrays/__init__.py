"""Masks that are in memory or come by themselves: frameworks' arrays, images, iterables of them."""
