"""Plots of the pixel profile: heat maps, components and adjacency are what the profile says."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from maskstat.errors import ProfileError
from maskstat.render.plots.components import component_figure
from maskstat.render.plots.files import encoded
from maskstat.render.plots.heatmaps import heat_figure
from maskstat.render.plots.plot import draw
from tests.render.test_plots import ABSENT, assert_tidy, drawn
from tests.support.loops import at_least_one
from tests.support.report_cases import View, assert_cells_are, view_of

KINDS = ("heatmaps", "components", "adjacency")


@pytest.mark.parametrize("aspect", [16 / 9, 0.6])
@pytest.mark.parametrize("count", sorted(ABSENT))
def test_heat_maps_of_any_shape_collide_with_nothing(count: int, aspect: float) -> None:
    view = view_of(count, absent=ABSENT[count])
    drawing = heat_figure(view.catalog, view.need_profile().heat[:-1], aspect=aspect)
    assert_tidy(drawing, f"{count} classes")
    ElementTree.fromstring(encoded(drawing, "svg"))


def test_heat_maps_are_scaled_to_their_own_fullest_cell() -> None:
    view = view_of(3)
    heat = np.arange(3 * 16).reshape(3, 4, 4)
    images = heat_figure(view.catalog, heat, order="catalog").figure.axes[0].images
    for image, cells in at_least_one(zip(images, heat, strict=True)):
        np.testing.assert_allclose(image.get_array(), cells / cells.max())


def test_component_histograms_are_the_counts() -> None:
    view = view_of(3)
    sizes = np.array([[4, 2, 0, 1], [0, 0, 0, 0], [1, 3, 3, 0]])
    figure = component_figure(view.catalog, sizes, order="catalog").figure
    outlines = [path.vertices for path in figure.axes[0].collections[-1].get_paths()]
    for outline, (row, counts) in zip(outlines, [(0, sizes[0]), (2, sizes[2])], strict=True):
        heights = row + 0.42 - outline[1:9:2, 1]
        np.testing.assert_allclose(heights / heights.max(), counts / counts.max(), atol=1e-12)
    texts = [text.get_text() for text in figure.axes[1].texts]
    assert texts == ["7", "0", "7"]


def test_plots_of_a_scan_are_those_of_its_profile() -> None:
    view = view_of(5, absent=(3,))
    profile = view.need_profile()
    heat = drawn("heatmaps", view, order="catalog").figure.axes[0].images
    some = np.flatnonzero(profile.class_pixels)
    for image, k in at_least_one(zip(heat, some, strict=True)):
        cells = profile.heat[k]
        np.testing.assert_allclose(image.get_array(), cells / cells.max())
    numbers = [t.get_text() for t in drawn("components", view).figure.axes[1].texts]
    assert numbers == [f"{n:,}" for n in sorted(profile.components.tolist(), reverse=True)]


def test_adjacency_is_against_chance() -> None:
    view = view_of(31, absent=(4, 30))
    profile = view.need_profile()
    image = drawn("adjacency", view).figure.axes[0].images[0].get_array()
    some = np.flatnonzero(profile.class_pixels)
    assert_cells_are(image, profile.touch_ratio[np.ix_(some, some)], 3)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_profile_the_command_that_adds_one_is_named(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from maskstat.api.making import scan
    from maskstat.cli import plot
    from maskstat.cli.commands import add
    from maskstat.cli.spelling import AsCommands
    from maskstat.errors import speaking

    view = view_of(3)
    with pytest.raises(ProfileError, match="no pixel profile"):
        draw(kind, [View(view.name, view.histogram, view.ledger)])
    (tmp_path / "masks").mkdir()
    np.save(tmp_path / "masks" / "m.npy", np.eye(4, dtype=np.uint8))
    monkeypatch.setenv("MASKSTAT_DB", str(tmp_path / "scans.db"))
    scan(tmp_path / "masks", classes=2, db=tmp_path / "scans.db").close()
    app = typer.Typer()
    add(app, plot)
    done = CliRunner().invoke(app, [kind, "-o", str(tmp_path / "plot.svg")])
    command = f"maskstat scan {tmp_path / 'masks'} --profile --classes 2"
    with speaking(AsCommands()):
        assert str(done.exception).endswith(f"type: {command}")
    assert not (tmp_path / "plot.svg").exists()
    scan(tmp_path / "masks", classes=2, db=tmp_path / "scans.db", profile=True).close()
    done = CliRunner().invoke(app, [kind, "-o", str(tmp_path / "plot.svg")])
    assert done.exit_code == 0, done.exception
