"""What is asked of a scan is checked once, before anything is listed, started or stored."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from maskstat.errors import CatalogError, ParameterError, SourceError
from maskstat.executors.opening import ExecutorChoice
from maskstat.exposure.recipe import Recipe
from maskstat.scanning import request
from maskstat.scanning.request import ScanRequest
from maskstat.sources.base import Selection, Source
from maskstat.sources.opening import open_source
from tests.support.annotation_cases import SQUARE, annotation, coco, image, saved
from tests.support.scan_cases import grey_png, write


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"workers": 0}, ParameterError),
        ({"executor": "x"}, ParameterError),
        ({"scheduler": "h:1"}, ParameterError),
        ({"channels": "x"}, ParameterError),
        ({"classes": 0}, CatalogError),
        ({"ignore": "x"}, ParameterError),
        ({"nearest_colour": 256}, ParameterError),
        ({"profile": True, "grid": 0}, ParameterError),
        ({"classes": 3, "grid": 4}, ParameterError),
        ({"profile": True, "classes": 3, "grid": 0}, ParameterError),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_listed_or_made(
    tmp_path: Path,
    options: dict[str, Any],
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(tmp_path / "masks" / "m.png", grey_png([[0]]))

    class Untouched(Source):
        default_name = location = "untouched"

        def entries(self) -> Any:
            raise AssertionError("listed")

    monkeypatch.setattr(request, "open_source", lambda *_, **__: Untouched())
    with pytest.raises(error):
        ScanRequest.of(tmp_path / "masks", db=tmp_path / "s.db", **options)
    assert not (tmp_path / "s.db").exists()
    ScanRequest.of(tmp_path / "masks", db=tmp_path / "s.db")


def test_it_is_a_value(tmp_path: Path) -> None:
    asked = ScanRequest.of(tmp_path, classes=3, name="\udcff", workers=2)
    assert asked.name == "\\xff"  # as a store can hold it
    assert asked.executor == ExecutorChoice(workers=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        asked.strict = True  # type: ignore[misc]


def test_classes_are_those_named_or_those_of_the_files_or_inferred(tmp_path: Path) -> None:
    folder = write(tmp_path / "masks" / "m.png", grey_png([[0]])).parent
    document = coco([image(1, "a.png")], [annotation(1, 1, SQUARE)])
    file = saved(tmp_path, document)
    own = open_source(file, Selection()).catalog()
    assert own is not None
    assert ScanRequest.of(file).catalog == dataclasses.replace(own, origin="source")
    assert ScanRequest.of(file, classes=len(own)).catalog.classes == own.classes
    assert len(ScanRequest.of(folder).catalog) == 0
    segments = {"file_name": "m.png", "segments_info": [{"id": 1, "category_id": 7}]}
    road = {"annotations": [segments], "categories": [{"id": 7, "name": "road"}]}
    panoptic = saved(tmp_path, road, "panoptic.json")
    asked = ScanRequest.of(folder, panoptic=str(panoptic))
    assert [info.name for info in asked.catalog.classes] == ["road"]
    turned = ScanRequest.of(folder, panoptic=str(panoptic), classes=["sky", "Road"]).catalog
    assert [(info.name, info.values) for info in turned.classes] == [("sky", ()), ("Road", (7,))]
    with pytest.raises(CatalogError, match=r"9 classes .* has 1: road"):
        ScanRequest.of(folder, panoptic=str(panoptic), classes=9)
    assert 255 in ScanRequest.of(folder, classes=3, ignore="255").catalog.ignored_values


def test_what_is_made_of_pixels(tmp_path: Path) -> None:
    asked = ScanRequest.of(tmp_path, classes=3, profile=True, grid=4)
    assert (asked.grid, asked.recipes, asked.presence) == (4, (), False)
    asked = ScanRequest.of(tmp_path, recipe={"crop": 5, "batch_size": 2}, crop=7, presence=True)
    assert (asked.grid, asked.presence) == (None, True)
    assert asked.recipes == (Recipe(crop=(7, 7), batch_size=2),)


def test_what_other_processes_read_does_not_depend_on_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "masks" / "m.png", grey_png([[0]]))
    monkeypatch.chdir(tmp_path)
    asked = ScanRequest.of("masks", executor="dask")
    (entry,) = asked.source.entries()
    assert entry.path == str(tmp_path / "masks" / "m.png")
    with pytest.raises(SourceError, match="is in the memory of this process alone"):
        ScanRequest.of("memory://masks", executor="dask")
