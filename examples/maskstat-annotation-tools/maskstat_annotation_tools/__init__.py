"""Exports of annotation tools as sources of maskstat; pyproject.toml says by which names."""
