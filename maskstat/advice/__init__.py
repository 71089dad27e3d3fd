"""What to do about an imbalance: rules as data, what they say of one data set, and why; the code to paste."""
