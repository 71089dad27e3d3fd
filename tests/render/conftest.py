"""Scans that several modules report on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from maskstat.api.scan import Scan
from tests.support.report_cases import catalog_of, hostile_scan, names_of, stored


@pytest.fixture(scope="package")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scan]:
    """A folder of PNG masks: hostile names everywhere, a broken file, ignored, unlisted values."""
    with hostile_scan(tmp_path_factory.mktemp("masks")) as result:
        yield result


@pytest.fixture(scope="package")
def many() -> Iterator[Scan]:
    """150 classes, three of which never occur."""
    with stored(catalog_of(names_of(150)), 60, absent=(0, 77, 149)) as result:
        yield result
