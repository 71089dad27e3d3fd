"""Masks in object stores and on servers."""
