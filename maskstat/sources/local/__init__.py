"""Masks that are files of their own on disk."""
