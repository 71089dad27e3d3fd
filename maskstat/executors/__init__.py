"""How a scan's work is spread: threads, or a Dask cluster."""
