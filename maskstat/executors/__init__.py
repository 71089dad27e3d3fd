"""How a scan's work is spread. An executor maps a function over chunks and yields in order."""
