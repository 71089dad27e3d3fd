"""Scans: how they are made, merged, checked, and read under a catalogue."""
