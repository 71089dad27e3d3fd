"""Multi-label masks: positives and negatives of each label are those that NumPy counts."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import maskstat as ms
from maskstat.errors import MaskError, ParameterError
from maskstat.readers.formats import read_label_map, read_tally
from maskstat.readers.options import ReadOptions
from maskstat.values.histogram import ClassHistogram, ValueCount
from maskstat.values.ledger import MaskLedger
from tests.support.label_cases import FILES, Stack, npy, png, stack_of, write
from tests.support.loops import at_least_one


def demand_counts(scan: ms.Scan, stacks: list[Stack]) -> None:
    """Totals and rows are what a mean of the plain stacks says."""
    pixels = sum(int(stack[..., 0].size) for stack in stacks)
    positives = np.array([(stack > 0).sum((0, 1)) for stack in stacks])
    histogram = scan.histogram
    assert histogram.pixels.tolist() == positives.sum(0).tolist()
    assert histogram.negatives.tolist() == (pixels - positives.sum(0)).tolist()
    assert histogram.masks.tolist() == (positives > 0).sum(0).tolist()
    assert histogram.labelled_pixels == histogram.total_pixels == pixels
    np.testing.assert_allclose(histogram.frequency, positives.sum(0) / pixels, rtol=1e-15)
    areas = np.array([stack[..., 0].size for stack in stacks])
    assert histogram.image_pixels.tolist() == (areas @ (positives > 0)).tolist()
    assert histogram.single_class_masks == int(((positives > 0).sum(1) == 1).sum())
    assert histogram.unlabelled_masks == int((positives.sum(1) == 0).sum())
    assert sorted(scan.ledger.dense().tolist()) == sorted(positives.tolist())
    assert scan.ledger.labelled.tolist() == scan.ledger.areas.tolist()


@pytest.mark.parametrize("suffix", FILES)
@pytest.mark.parametrize("workers", [1, 3])
def test_counts_are_numpys_in_every_format(suffix: str, workers: int, tmp_path: Path) -> None:
    stacks = [stack_of(k, shape=(9 + k, 11)) for k in range(6)] + [np.zeros((4, 5, 3), np.uint8)]
    folder = write(tmp_path / "masks", stacks, suffix)
    with ms.scan(folder, channels="multilabel", workers=workers) as scan:
        assert not scan.failures
        assert len(scan.catalog) == 3
        assert scan.catalog.multilabel
        demand_counts(scan, stacks)


@pytest.mark.parametrize("top", [1, 255])
def test_channels_may_come_first(top: int, tmp_path: Path) -> None:
    stacks = [stack_of(k, 5) for k in range(3)]
    first = [np.ascontiguousarray(np.moveaxis(stack, -1, 0)) * top for stack in stacks]
    folder = write(tmp_path / "masks", first)
    with ms.scan(folder, channels="multilabel-first", classes=5) as scan:
        demand_counts(scan, stacks)
    demand_counts(ms.count(np.stack(first), channels="multilabel-first"), stacks)
    demand_counts(ms.count(np.stack(stacks) * top, channels="multilabel"), stacks)


def test_encoded_masks_and_images_in_memory(tmp_path: Path) -> None:
    stack = stack_of(1)
    demand_counts(
        ms.count([png(stack, tmp_path), npy(stack, tmp_path)], channels="multilabel"),
        [stack, stack],
    )
    demand_counts(ms.count(Image.fromarray(stack * 255), channels="multilabel"), [stack])
    with pytest.raises(MaskError, match="one channel, where"):
        ms.count(Image.fromarray(stack[..., 0]), channels="multilabel")


def test_many_labels_and_one(tmp_path: Path) -> None:
    for labels in at_least_one((1, 8, 16, 62)):
        stacks = [stack_of(k, labels, density=0.03) for k in range(3)]
        demand_counts(ms.count(np.stack(stacks), channels="multilabel"), stacks)
    with pytest.raises(MaskError, match="multilabel takes up to 62"):
        ms.count(np.zeros((2, 2, 63), np.uint8), channels="multilabel")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_ledgers_and_histograms_add_up(data: st.DataObject) -> None:
    """Of any classes and ignored channels: pixels by pixels, and of parts as of the whole."""
    labels = data.draw(st.integers(1, 5))
    stacks = [stack_of(data.draw(st.integers(0, 999)), labels, (4, 5)) for _ in range(4)]
    channels = data.draw(st.permutations(range(labels)))
    void = channels[: data.draw(st.integers(0, labels - 1))]
    dropped = data.draw(st.booleans()) and labels - len(void) > 1
    kept = channels[len(void) + dropped :]
    catalog = ms.ClassCatalog(
        tuple(ms.ClassInfo(k, f"l{k}", (channel,)) for k, channel in enumerate(kept)),
        ignored_values=frozenset(void),
    )
    scan = ms.count(np.stack(stacks), channels="multilabel", classes=catalog)
    whole = np.stack(stacks).astype(bool)
    ignored = whole[..., list(void)].any(-1)
    unlisted = whole[..., [c for c in channels if c not in kept and c not in void]].any(-1)
    unlisted &= ~ignored
    counts = ~(ignored | unlisted)
    positives = (whole[..., list(kept)] & counts[..., None]).sum((0, 1, 2))
    histogram = scan.histogram
    assert histogram.pixels.tolist() == positives.tolist()
    assert histogram.ignored_pixels == ignored.sum()
    assert histogram.unlisted_pixels == unlisted.sum()
    assert histogram.labelled_pixels == counts.sum()
    assert (histogram.pixels + histogram.negatives == counts.sum()).all()
    assert scan.ledger.labelled.tolist() == counts.sum((1, 2)).tolist()
    assert ClassHistogram.from_text(scan.catalog, histogram.to_text()) == histogram
    tables = list(scan.tables())
    assert sum(ClassHistogram.of(scan.catalog, table) for table in tables) == histogram
    halves = [scan.ledger.take(range(2)), scan.ledger.take(range(2, 4))]
    joined = MaskLedger.concatenate(halves, len(kept))
    assert joined.labelled.tolist() == scan.ledger.labelled.tolist()
    assert joined.dense().tolist() == scan.ledger.dense().tolist()


def test_a_label_may_be_several_channels_or_none() -> None:
    stack = stack_of(3, 4)
    catalog = ms.ClassCatalog(
        (
            ms.ClassInfo(0, "any", (0, 2)),
            ms.ClassInfo(1, "one", (1,)),
            ms.ClassInfo(2, "no", (-1,)),
        ),
        ignored_values=frozenset({3}),
    )
    scan = ms.count(stack, channels="multilabel", classes=catalog)
    counts = stack[..., 3] == 0
    expected = [
        int(((stack[..., 0] | stack[..., 2]).astype(bool) & counts).sum()),
        int((stack[..., 1].astype(bool) & counts).sum()),
        int((~stack.any(-1)).sum()),
    ]
    assert scan.histogram.pixels.tolist() == expected
    assert scan.histogram.ignored == {3: ValueCount(int((~counts).sum()), 1)}
    nothing = ms.count(stack, channels="multilabel", ignore=-1)
    assert nothing.histogram.labelled_pixels == int(stack.any(-1).sum())


def test_unlisted_channels_count_each_pixel_once() -> None:
    stack = stack_of(4, 4, density=0.5)
    scan = ms.count(stack, channels="multilabel", classes=1)
    rest = stack[..., 1:].astype(bool)
    first = np.where(rest.any(-1), rest.argmax(-1) + 1, 0)
    assert {v: c.pixels for v, c in scan.histogram.unlisted.items()} == {
        k: int((first == k).sum()) for k in (1, 2, 3)
    }


def test_scans_resume_and_merge(tmp_path: Path) -> None:
    stacks = [stack_of(k) for k in range(8)]
    folder, store = tmp_path / "masks", tmp_path / "one.db"
    write(folder, stacks[:5])
    ms.scan(folder, channels="multilabel", db=store).close()
    write(folder, stacks[5:], first=5)
    with ms.scan(folder, channels="multilabel", db=store) as scan:
        assert scan.changes is not None
        assert (scan.changes.new, scan.changes.unchanged) == (3, 5)
        demand_counts(scan, stacks)
    with ms.open_scan(store) as again:
        assert again.histogram == scan.histogram
        assert again.catalog.digest == scan.catalog.digest
    with ms.scan(folder, channels="bitmask", db=store) as other:  # another reading is another scan
        assert not other.catalog.multilabel
    for part in ("a", "b"):
        chosen = stacks[:3] if part == "a" else stacks[3:]
        write(tmp_path / part, chosen)
        ms.scan(tmp_path / part, channels="multilabel", db=tmp_path / f"{part}.db").close()
    merged = ms.merge([tmp_path / "a.db", tmp_path / "b.db"], tmp_path / "both.db")
    with merged:
        demand_counts(merged, stacks)
    named = ms.merge(
        [tmp_path / "b.db", tmp_path / "a.db"], tmp_path / "named.db", classes=["x", "y", "z"]
    )
    with named:
        demand_counts(named, stacks)
    with ms.open_scan(tmp_path / "named.db") as again:
        assert again.catalog.names == ("x", "y", "z")
        demand_counts(again, stacks)


def test_intervals_are_those_of_a_two_class_problem(tmp_path: Path) -> None:
    """Of each label by itself, which is a mask of two classes."""
    stacks = [stack_of(k, shape=(5 + k, 7)) for k in range(9)]
    folder = write(tmp_path / "masks", stacks)
    with ms.scan(folder, channels="multilabel", group_by=r"_(\d)") as scan:
        for rule in ("mask", r"mask_([0-4]|.)"):
            mine = scan.grouped(rule).intervals
            for k in range(3):
                alone = ms.count(
                    [stack[..., k] for stack in stacks],
                    classes=2,
                    names=[f"mask_{n}.npy" for n in range(len(stacks))],
                ).grouped(rule)
                assert mine.lower[k] == pytest.approx(alone.intervals.lower[1], rel=1e-9)
                assert mine.upper[k] == pytest.approx(alone.intervals.upper[1], rel=1e-9)


# --- what is refused ----------------------------------------------------------------------------

MULTILABEL = ReadOptions(channels="multilabel")


@pytest.mark.parametrize("value", [2, 7, 254])
def test_a_channel_of_other_values_is_no_label(value: int, tmp_path: Path) -> None:
    stack = stack_of(0)
    stack[0, 0, 0] = value
    coloured = io.BytesIO()
    Image.fromarray(stack).save(coloured, "png")
    for data in (npy(stack, tmp_path), coloured.getvalue()):
        with pytest.raises(MaskError, match="set is 1 or 255"):
            read_tally(data, "m", MULTILABEL)


def test_void_beside_ones_is_refused(tmp_path: Path) -> None:
    stack = stack_of(0)
    stack[0, 0] = 255
    stack[1, 1] = 1
    with pytest.raises(MaskError, match="void pixels need a channel of their own"):
        read_tally(npy(stack, tmp_path), "m", MULTILABEL)


def test_masks_without_channels_are_refused(tmp_path: Path) -> None:
    grey = np.zeros((3, 4), np.uint8)
    for data in (FILES[".npy"](grey, tmp_path), png(grey, tmp_path)):
        with pytest.raises(MaskError, match=r"one more axis|one channel, where"):
            read_tally(data, "m", MULTILABEL)
    transparent = np.zeros((3, 4, 4), np.uint8)
    with pytest.raises(MaskError, match="no fourth channel"):
        read_tally(png(transparent, tmp_path), "m", MULTILABEL)


def test_pixels_are_read_as_they_are_counted(tmp_path: Path) -> None:
    stack = stack_of(2)
    expected = (stack.astype(np.int64) << np.arange(3)).sum(-1)
    for made in (npy, png):
        data = made(stack, tmp_path)
        pixels, encoding = read_label_map(data, MULTILABEL)
        assert np.array_equal(pixels, expected)
        assert encoding == read_tally(data, "m", MULTILABEL).encoding
        assert not MULTILABEL.refuses(encoding)
        assert ReadOptions(channels="bitmask").refuses(encoding)


@pytest.mark.parametrize(
    ("asked", "parameter"),
    [
        ({"profile": True}, "profile"),
        ({"crop": 4}, "recipe"),
        ({"index": True}, "index"),
        ({"draft": "a.yaml"}, "draft"),
        ({"nearest_colour": 3}, "nearest_colour"),
        ({"classes": 3, "reduce_zero_label": True}, "reduce_zero_label"),
        ({"value_divisor": 10}, "value_divisor"),
        ({"channel": "r"}, "channel"),
    ],
)
def test_options_of_classes(asked: dict[str, object], parameter: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "masks", [stack_of(0)])
    with pytest.raises(ParameterError) as raised:
        ms.scan(folder, channels="multilabel", **asked)  # type: ignore[arg-type]
    assert raised.value.parameter == parameter


def test_labels_and_classes_do_not_mix() -> None:
    counter = ms.MaskCounter()
    counter.update(stack_of(0), channels="multilabel")
    other = ms.MaskCounter()
    other.update(np.zeros((2, 3), np.uint8))
    with pytest.raises(ParameterError, match=re.escape("counted apart")):
        counter.update(np.zeros((2, 3), np.uint8))
    with pytest.raises(ParameterError, match=re.escape("counted apart")):
        counter + other
    assert counter.mask_count == 1
    assert (counter + counter_of(1)).scan().histogram.mask_count == 2


def counter_of(seed: int) -> ms.MaskCounter:
    counter = ms.MaskCounter()
    counter.update(stack_of(seed), channels="multilabel")
    return counter


def test_a_source_of_grey_masks_fails_mask_by_mask(tmp_path: Path) -> None:
    folder = write(tmp_path / "masks", [stack_of(0)], ".png")
    (folder / "grey.png").write_bytes(png(np.zeros((3, 4), np.uint8), folder))
    with ms.scan(folder, channels="multilabel") as scan:
        assert [failure.mask for failure in scan.failures] == ["grey.png"]
        assert "png grey 8-bit: one channel, where" in scan.failures[0].reason
        demand_counts(scan, [stack_of(0)])
