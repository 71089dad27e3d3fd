"""Optional packages in tests: imported by the first test that uses one, for cheap collection.

Where a package is absent, the tests that use it are skipped, each with the reason.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest


class Package:
    """A module that is imported when an attribute of it is first asked for or set."""

    def __init__(self, name: str, minversion: str | None, reason: str | None) -> None:
        vars(self).update(_name=name, _minversion=minversion, _reason=reason, _imported=None)

    def _module(self) -> Any:
        if self._imported is None:
            module = pytest.importorskip(self._name, self._minversion, self._reason)
            vars(self)["_imported"] = module
        return self._imported

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__") or attribute == "_mock_name":
            raise AttributeError(attribute)  # pytest asks every name of a test module for these
        return getattr(self._module(), attribute)

    def __setattr__(self, attribute: str, value: object) -> None:
        setattr(self._module(), attribute, value)

    def __delattr__(self, attribute: str) -> None:
        delattr(self._module(), attribute)

    def __repr__(self) -> str:
        return f"<{self._name}, imported when used>"


def package(name: str, *, minversion: str | None = None, reason: str | None = None) -> Any:
    """Stands for a module; `reason` is said where it is absent."""
    return Package(name, minversion, reason)


def needs(name: str, reason: str) -> pytest.MarkDecorator:
    """For `pytestmark`: skip where a package is absent, without importing it."""
    return pytest.mark.skipif(find_spec(name) is None, reason=reason)
