"""From numbers to what people look at: documents, terminal tables, plots, the report."""
