"""Keras' metrics, sample weights and calibration on every backend that is installed."""

from __future__ import annotations

import pytest

from tests.support.keras_backends import checks_of, require
from tests.support.packages import needs

MODULE = "keras_adapter_checks"

pytestmark = needs("keras", "needs maskstat[keras]")


@pytest.mark.parametrize(("backend", "name"), checks_of(MODULE))
def test_adapters(backend: str, name: str) -> None:
    require(backend, MODULE, name)
