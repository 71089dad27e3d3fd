"""How often to draw each mask, so that rare classes are seen more often."""
