"""A plugin of each kind for maskstat; pyproject.toml says which names they have."""

from importlib.resources import files

ROADS = files(__name__) / "roads.yaml"
CROPS = files(__name__) / "crops.yaml"
