"""The report of `maskstat report`: one document, as HTML, Markdown or JSON."""
