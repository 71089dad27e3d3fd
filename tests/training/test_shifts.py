"""Files of shifts: what is written comes back, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.errors import FileFormatError
from maskstat.training.shifts import Shifts, load_shifts

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(st.text(max_size=9), finite), min_size=1, max_size=6))
def test_what_is_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float]]
) -> None:
    names, values = zip(*rows, strict=True)
    path = tmp_path_factory.mktemp("shifts") / "shifts.json"
    shifts = Shifts(names, np.array(values), {"family": "tau"})
    again = load_shifts(shifts.save(path))
    assert again.classes == names
    np.testing.assert_array_equal(again.values, shifts.values)
    assert again.origin == {"family": "tau"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[1, 2]", "holds no shifts"),
        ('{"format": "maskstat weights"}', "holds no shifts"),
        ('{"format": "maskstat shifts"}', "damaged"),
        ('{"format": "maskstat shifts", "classes": 3}', "damaged"),
        ('{"format": "maskstat shifts", "classes": [{"name": "a", "shift": "1"}]}', "damaged"),
        ('{"format": "maskstat shifts", "classes": [{"name": "a", "shift": NaN}]}', "damaged"),
        ('{"format": "maskstat shifts", "classes": [{"name": "a", "shift": true}]}', "damaged"),
        ('{"format": "maskstat shifts", "classes": [], "origin": 3}', "damaged"),
        (
            '{"format": "maskstat shifts", "classes": [{"name": "a", "shift": 1%s}]}' % ("0" * 400),
            "damaged",
        ),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "shifts.json"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        load_shifts(path)


def test_a_file_that_is_not_there_or_has_another_suffix(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="can't be read"):
        load_shifts(tmp_path / "none.json")
    with pytest.raises(FileFormatError, match=r"written as \.json"):
        Shifts(("a",), np.zeros(1)).save(tmp_path / "shifts.csv")
    with pytest.raises(ValueError, match="finite"):
        Shifts(("a",), np.array([np.inf]))
