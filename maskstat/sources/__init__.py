"""Where masks come from. A source lists entries; an entry has a name and can be read."""
