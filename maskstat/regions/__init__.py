"""What pixels show: where classes lie, how large they are and what they touch."""
