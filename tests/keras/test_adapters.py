"""Keras' metrics, sample weights and calibration on every backend that is installed."""

from __future__ import annotations

import pytest

from tests.support.keras_backends import checks_of, require

MODULE = "keras_adapter_checks"

pytest.importorskip("keras")


@pytest.mark.parametrize(("backend", "name"), checks_of(MODULE))
def test_adapters(backend: str, name: str) -> None:
    require(backend, MODULE, name)
