"""A test that is skipped for a reason that nobody expects is a failure: where CI is set.

A skip hides a test. On CI, and with `--expected-skips FILE` anywhere, a reason must match a pattern
of the list, which on CI is tests/expected_skips.txt; any other is a failure of the test or, where a
whole file skips itself, an error of that file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.paths import TESTS

LIST = TESTS / "expected_skips.txt"
EXPECTED = pytest.StashKey["list[re.Pattern[str]]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option, which CI=true stands for."""
    parser.addoption(
        "--expected-skips",
        type=Path,
        default=LIST if os.environ.get("CI", "").lower() in ("1", "true") else None,
        metavar="FILE",
        help="fail tests that are skipped for a reason that no pattern of FILE finds; on CI "
        "tests/expected_skips.txt",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the list, if it is to be held."""
    path = config.getoption("--expected-skips")
    if path is not None:
        config.stash[EXPECTED] = patterns(Path(path))


def patterns(path: Path) -> list[re.Pattern[str]]:
    """The file's lines without blank ones and comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [re.compile(line) for line in lines if line.strip() and not line.startswith("#")]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Of a test that skips itself or is marked."""
    report = yield
    return _judged(report, item.config)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Of a file that skips itself."""
    report = yield
    return _judged(report, collector.config)


def _judged(report, config: pytest.Config):
    expected = config.stash.get(EXPECTED, None)
    if expected is None or not report.skipped or hasattr(report, "wasxfail"):
        return report
    reason = reason_of(report)
    if not any(pattern.search(reason) for pattern in expected):
        report.outcome = "failed"
        report.longrepr = f"skipped, which tests/expected_skips.txt does not expect: {reason}"
    return report


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """What a skipped test or file says."""
    _, _, said = report.longrepr  # type: ignore[misc]
    return str(said).removeprefix("Skipped: ")
