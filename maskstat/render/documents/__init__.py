"""Numbers as JSON documents, from which tables and reports are made."""
