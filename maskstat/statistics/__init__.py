"""What counts show: imbalance, co-occurrence, quality, how splits differ."""
