"""Masks in archives; nothing is unpacked to disk."""
