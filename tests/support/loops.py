"""What a test loops over to assert something: were it empty, the test would hold for nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")


def at_least_one(items: Iterable[Item]) -> list[Item]:
    """The items; none is a failure."""
    found = list(items)
    assert found, "nothing to look at"
    return found
