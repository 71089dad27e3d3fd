"""What all tests share: markers, generated input that is the same always, real masks if any."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from maskstat.readers import formats, png_files
from maskstat.readers.options import ReadOptions
from maskstat.values.tally import MaskTally
from tests.support.paths import CAMVID, ROOT, TESTS
from tests.support.scan_cases import grey_png, pixels_of

pytest_plugins = ["tests.support.expected_skips"]

# Generated input is the same on every machine and on every run, and slow machines are no failure.
settings.register_profile(
    "reproducible",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("reproducible")

# Markers of all tests of a file or folder; pyproject.toml says what they mean.
FILES_OF = {
    "slow": [
        "keras",
        "advice/test_pasted.py",
        "executors/test_dask_scan.py",
        "house/test_training_doc.py",
        "house/test_training_recipes.py",
        "weights/test_interval_coverage.py",
    ],
    "torch": [
        "torch",
        "advice/test_pasted.py",
        "arrays/test_device_labels.py",
        "arrays/test_torch.py",
        "house/test_examples.py",
        "house/test_training_doc.py",
        "house/test_training_recipes.py",
        "readers/test_pytorch.py",
    ],
    "keras": ["keras"],
    "dask": ["executors/test_dask.py", "executors/test_dask_scan.py"],
    "browser": ["render/test_report_browser.py"],
    "server": ["sources/test_remote.py", "sources/test_s3.py"],
    "extra": [
        "torch",
        "advice/test_pasted.py",
        "api/test_user_session.py",
        "arrays/test_device_labels.py",
        "arrays/test_torch.py",
        "keras",
        "executors/test_dask.py",
        "executors/test_dask_scan.py",
        "files/test_mask_tables.py",
        "house/test_annotation_tools.py",
        "house/test_examples.py",
        "house/test_training_doc.py",
        "house/test_training_recipes.py",
        "readers/test_dicom.py",
        "readers/test_hdf5.py",
        "readers/test_matlab.py",
        "readers/test_nifti.py",
        "readers/test_npz_zarr.py",
        "readers/test_pytorch.py",
        "readers/test_tiff_mosaic.py",
        "readers/test_zarr_hostile.py",
        "sources/test_headerless.py",
        "sources/test_nested_lists.py",
        "sources/test_parquet.py",
        "sources/test_remote.py",
        "sources/test_s3.py",
        "sources/test_saved_datasets.py",
        "sources/test_tfrecords.py",
    ],
}


@functools.cache
def markers_of(path: Path) -> set[str]:
    """The markers that the place of a test gives it."""
    place = path.relative_to(TESTS) if path.is_relative_to(TESTS) else path
    return {
        marker
        for marker, files in FILES_OF.items()
        if any(place.is_relative_to(file) for file in files)
    }


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files that `-m "not torch"` leaves out are not even imported: torch alone takes seconds."""
    terms = str(config.option.markexpr or "").split(" and ")
    left_out = {term.removeprefix("not ") for term in terms if term.startswith("not ")}
    return True if left_out & markers_of(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by where they are, and by the framework that is a fixture of theirs."""
    for item in items:
        for marker in markers_of(item.path):
            item.add_marker(marker)
        for framework in {"torch", "keras"}.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(framework)
        if any(item.get_closest_marker(framework) for framework in ("torch", "keras")):
            item.add_marker("extra")


@pytest.fixture(autouse=True)
def no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are as wide as in a pipe: xdist tells its workers how wide the terminal is."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """With `-n` alone, units of tests that belong together."""
    if config.getoption("dist") != "load":
        return None
    from tests.support.scheduling import Units

    return Units(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Kernels are compiled before there are workers, which would all do it at the same time."""
    command = [sys.executable, "-m", "maskstat.kernels.fill_cache"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def camvid() -> Path:
    """The folder of the CamVid masks, an optional sibling of the project's folder."""
    if not (CAMVID / "train" / "masks").is_dir() or not (CAMVID / "val" / "masks").is_dir():
        pytest.skip("real masks are absent: ../shared/data/camvid has no train/masks and val/masks")
    return CAMVID


@pytest.fixture
def forty_masks(tmp_path: Path) -> Path:
    """40 small masks of classes 0..6 in three folders."""
    masks = tmp_path / "masks"
    for number in range(40):
        path = masks / ("a", "b", "b/c")[number % 3] / f"mask_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(grey_png(pixels_of(number)))
    return masks


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the masks that were decoded, as it happens."""
    names: list[str] = []
    real = formats.read_tally

    def read_tally(data: bytes, name: str, options: ReadOptions) -> MaskTally:
        names.append(name)
        return real(data, name, options)

    together = png_files.tally_files

    def tally_files(files: list[tuple[str, str, int]]) -> list[MaskTally | None]:
        found = together(files)
        names.extend(tally.name for tally in found if tally is not None)
        return found

    monkeypatch.setattr(formats, "read_tally", read_tally)
    monkeypatch.setattr(png_files, "tally_files", tally_files)
    return names


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is read by itself, as unusual ones are."""
    monkeypatch.setattr(png_files, "is_usual", lambda *_: False)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the masks whose pixels were decoded, as it happens."""
    names: list[str] = []
    real = formats.read_tally_and_pixels

    def read(data: bytes, name: str, options: ReadOptions) -> Any:
        names.append(name)
        return real(data, name, options)

    monkeypatch.setattr(formats, "read_tally_and_pixels", read)
    return names
