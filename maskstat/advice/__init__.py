"""What to do about an imbalance: rules as data, what they say of a data set; code to paste."""
