"""What a scan advises for training: whether to weigh classes, and the code that does."""
