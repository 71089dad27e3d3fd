"""The package's version, the one place that holds it."""

__version__ = "0.2.0.dev0"
