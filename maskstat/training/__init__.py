"""What training needs besides weights, without a framework."""
