"""Merging is addition: order, grouping and repetition change nothing, and no mask counts twice."""

from __future__ import annotations

import itertools
import posixpath
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maskstat as ms
from maskstat.api.merging import merge
from maskstat.errors import ParameterError, StoreError
from maskstat.scanning.checking import check_scan
from maskstat.sources.identities import common_base, is_absolute, name_below, place_of
from maskstat.store.records import Failure, StoredMask
from maskstat.values.histogram import ClassHistogram
from maskstat.values.tally import MaskTally, TallyTable
from maskstat.weights.schemes import SCHEMES
from tests.support.loops import at_least_one
from tests.support.merge_cases import (
    TEN,
    Part,
    content,
    leftovers,
    made,
    mask,
    merged_or_error,
    one,
    shard_stores,
)
from tests.support.scan_cases import digests, stored_rows
from tests.support.strategies import ENCODINGS, label_maps, values_of

# --- which mask a name stands for -------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "name", "identity"),
    [
        ("/d/a", "0.png", "/d/a/0.png"),
        ("/", "a/0.png", "/a/0.png"),
        ("/d/*.png", "0.png", "/d/0.png"),
        ("/d/**/*.png", "a/0.png", "/d/a/0.png"),
        ("/d/[v2]", "0.png", "/d/[v2]/0.png"),  # no pattern: such a folder
        ("/d/[ab]/m", "a/m", "/d/a/m"),
        ("/d/a.zip", "x/0.png", "/d/a.zip/x/0.png"),
        ("/d/*.zip", "a.zip/x/0.png", "/d/a.zip/x/0.png"),
        ("/d/{a,b}.tar", "a.tar/0.png", "/d/a.tar/0.png"),
        ("/d/a.tar", "../../etc/passwd", "/d/a.tar/../../etc/passwd"),
        ("/d/a.tar", "/etc/0.png", "/d/a.tar//etc/0.png"),
        ("/d/list.txt", "m/0.png", "/d/m/0.png"),
        ("/d/list.txt", "../e/0.png", "/e/0.png"),
        ("/d/list.lst", "../../../0.png", "/0.png"),
        ("/d/list.csv", "/e/0.png", "/e/0.png"),
        ("/d/list.tsv#column=mask&split=train", "m/0.png", "/d/m/0.png"),
        ("https://h/d/list.csv?v=1/2", "m/0.png", "https://h/d/m/0.png"),
        ("/d/list.csv", "s3://b/0.png", "s3://b/0.png"),
        ("/d/a.parquet#column=mask", "3/0.png", "/d/a.parquet/3/0.png"),
        ("/d/a#split=train", "train/0.png", "/d/a/train/0.png"),
        ("s3://b/m", "0.png", "s3://b/m/0.png"),
        ("s3://b/m/*.png", "0.png", "s3://b/m/0.png"),
        ("C:\\d\\a", "x/0.png", "C:/d/a/x/0.png"),
        ("/d#merged", "a/0.png", "/d/a/0.png"),
        ("/d#merged", "/e/0.png", "/e/0.png"),
        ("#merged", "s3://b/0.png", "s3://b/0.png"),
        ("s3://#merged", "b/0.png", "s3://b/0.png"),
        ("/#merged", "a/0.png", "/a/0.png"),
    ],
)
def test_where_a_mask_is(location: str, name: str, identity: str) -> None:
    place = place_of(location, name)
    assert place.identity(name) == identity
    base = common_base([place.folder])
    below = name_below(base, identity)
    # What a merged scan calls it is the same mask again.
    assert place_of(f"{base}#merged", below).identity(below) == identity


def test_a_mask_by_itself_is_the_mask_of_its_folder() -> None:
    assert place_of("/d/0.png", "0.png", alone=True).identity("0.png") == "/d/0.png"
    assert place_of("/d/0.png", "0.png", alone=True).folder == "/d"
    assert place_of("/d/0.png", "1.png", alone=True).identity("1.png") == "/d/0.png/1.png"


BASES = ["/d", "/d/a", "/d/a/b", "/d/ab", "/", "/e", "s3://b/x", "s3://b", "s3://c/x", "C:/d", ""]


@given(st.lists(st.sampled_from(BASES), min_size=1, max_size=5), st.integers(0, 4))
def test_the_common_base_is_the_same_however_it_is_found(bases: list[str], at: int) -> None:
    whole = common_base(bases)
    left, right = bases[: at + 1], bases[at + 1 :]
    assert common_base([common_base(left), *right]) == whole
    assert common_base(reversed(bases)) == common_base(bases * 2) == whole
    for base in bases:
        identity = place_of(base, "m").identity("m")
        assert name_below(whole, identity) == identity or not is_absolute(
            name_below(whole, identity)
        )


# --- laws -------------------------------------------------------------------------------------

FILES = ["/d/0.png", "/d/a/0.png", "/d/a/1.png", "/d/a/b/0.png", "/d/ab/0.png", "/e/0.png"]
FOLDERS = ["/d", "/d/a", "/d/a/b", "/d/ab", "/e", "/"]


@st.composite
def universes(draw: st.DrawFn) -> list[Part]:
    """Shards that say the same of the same file, under whatever name, and know parts of all."""
    known = {}
    for path in FILES:
        encoding = draw(st.sampled_from(ENCODINGS))
        pixels = draw(label_maps(values_of(encoding)))
        known[path] = (pixels, encoding, draw(st.integers(0, 3)))
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        folder = draw(st.sampled_from(FOLDERS))
        listed = draw(st.booleans())
        masks, failures = [], []
        for path, (pixels, encoding, size) in known.items():
            inside = path.startswith(folder.rstrip("/") + "/")
            if not (listed or inside):
                continue
            name = posixpath.relpath(path, folder)
            fate = draw(st.sampled_from(["counted", "counted", "failed", "unseen"]))
            if fate == "counted":
                tally = MaskTally.of_pixels(name, pixels, encoding)
                # A file that was touched is the same mask as long as its counts are the same.
                masks.append(StoredMask(tally, size, draw(st.integers(1, 3))))
            elif fate == "failed":
                failures.append(Failure(name, draw(st.sampled_from(["cut off", "no PNG"]))))
        location = posixpath.join(folder, "list.txt") if listed else folder
        parts.append(Part(location, masks, failures))
    return parts


@settings(max_examples=25)
@given(universes(), st.randoms(use_true_random=False))
def test_merging_is_a_commutative_idempotent_sum(
    tmp_path_factory: pytest.TempPathFactory, parts: list[Part], random: Any
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    paths = [made(folder / f"{at}.db", part) for at, part in enumerate(parts)]
    counted: dict[str, MaskTally] = {}
    failed: set[str] = set()
    for part in parts:
        base = part.location.removesuffix("list.txt")
        for tally, _, _ in part.masks:
            counted[posixpath.normpath(posixpath.join(base, tally.name))] = tally
        failed |= {posixpath.normpath(posixpath.join(base, f.mask)) for f in part.failures}
    with merge(paths, folder / "all.db") as merged:
        base = merged.source.removesuffix("#merged")
        rows = {posixpath.join(base, name): row for name, row in stored_rows(merged).items()}
        assert rows == {
            path: (tally.values.tolist(), tally.counts.tolist()) for path, tally in counted.items()
        }
        assert {posixpath.join(base, f.mask) for f in merged.failures} == failed - set(counted)
        assert (
            merged.histogram.counts_digest()
            == ClassHistogram.of(TEN, TallyTable.of(counted.values())).counts_digest()
        )
        assert merged.mask_count == len(counted)
        assert merged.overlapping == sum(len(part.masks) for part in parts) - len(counted)
        assert sum(shard.masks for shard in merged.shards) == merged.mask_count + merged.overlapping
    expected = content(folder / "all.db")
    shuffled = random.sample(paths * 2, 2 * len(paths))
    merge(shuffled, folder / "again.db").close()
    assert content(folder / "again.db") == expected
    at = random.randint(1, len(shuffled))
    merge(shuffled[:at], folder / "left.db").close()
    merge([*shuffled[at:], folder / "left.db"], folder / "grouped.db").close()
    assert content(folder / "grouped.db") == expected
    assert leftovers(folder) == []


def test_the_shards_of_a_folder_are_the_folder(forty_masks: Path, tmp_path: Path) -> None:
    stores = shard_stores(forty_masks, tmp_path)
    with (
        ms.scan(forty_masks, classes=7, db=tmp_path / "whole.db") as whole,
        merge(stores, tmp_path / "merged.db") as merged,
    ):
        assert (merged.name, merged.source) == ("masks", f"{whole.source}#merged")
        assert merged.histogram == whole.histogram
        assert digests(merged) == digests(whole)
        assert stored_rows(merged) == stored_rows(whole)
        assert merged.failures == whole.failures != ()
        assert merged.info.complete
        assert merged.overlapping == 26  # all of b and of b/c
        for scheme in at_least_one(SCHEMES):
            assert np.array_equal(merged.weights(scheme).weights, whole.weights(scheme).weights)
        marks = "SELECT name, size, stamp FROM mask ORDER BY name"
        with (
            sqlite3.connect(tmp_path / "merged.db") as one,
            sqlite3.connect(tmp_path / "whole.db") as other,
        ):
            assert one.execute(marks).fetchall() == other.execute(marks).fetchall()
        one.close()
        other.close()
        files = {entry.name: (entry.size, entry.stamp) for entry in merged.entries()}
        assert files == {
            e.name: (e.size, e.stamp) for e in whole.entries() if e.name != "b/broken.png"
        }
        assert check_scan(merged) == check_scan(whole)


def test_profiles_add_up_where_no_mask_is_in_two_shards(forty_masks: Path, tmp_path: Path) -> None:
    stores = []
    for source in ("a", "b"):
        stores.append(tmp_path / f"{source}.db")
        ms.scan(forty_masks / source, classes=7, db=stores[-1], profile=True, grid=8).close()
    with (
        ms.scan(forty_masks, classes=7, db=tmp_path / "w.db", profile=True, grid=8) as whole,
        merge(stores, tmp_path / "merged.db") as merged,
        merge([*stores, stores[0]], tmp_path / "twice.db") as twice,
    ):
        assert merged.profile == whole.profile is not None
        assert not merged.profiles_left
        assert twice.profiles_left
        assert twice.profile is None
        assert twice.histogram == whole.histogram


@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=4), min_size=1, max_size=4))
@settings(max_examples=15)
def test_totals_that_are_kept_are_those_of_the_rows(
    tmp_path_factory: pytest.TempPathFactory, values: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("totals")
    paths = []
    for at, some in enumerate(values):
        paths.append(made(folder / f"{at}.db", one(f"/d/{at}", mask("0.png", *some))))
        with ms.open_scan(paths[-1]) as scan:
            assert scan.histogram.mask_count == 1  # adds up, and keeps it
    with merge(paths, folder / "all.db") as merged:
        kept = merged._store.totals(merged.info, TEN)
        unlisted = any(value > 9 for some in values for value in some)
        assert (kept is None) == unlisted  # those name a mask, whose name may be another now
        assert merged.histogram == ClassHistogram.of(TEN, next(iter(merged.tables())))


# --- masks in several shards ------------------------------------------------------------------


def test_masks_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    parts = [one("/data/x", mask("0.png", 1)), one("/data/y", mask("0.png", 2))]
    merged, rows = merged_or_error(tmp_path, parts)
    assert rows == {"x/0.png": ([1], [1]), "y/0.png": ([2], [1])}
    assert (merged.name, merged.overlapping) == ("shard", 0)


def test_masks_that_are_nowhere_together_keep_their_whole_names(tmp_path: Path) -> None:
    parts = [one("/data/x", mask("0.png", 1)), one("s3://b/y", mask("0.png", 2), name="other")]
    merged, rows = merged_or_error(tmp_path, parts)
    assert sorted(rows) == ["/data/x/0.png", "s3://b/y/0.png"]
    assert (merged.name, merged.source) == ("merged", "#merged")


CONTRADICTING = [
    one("/d", mask("a/0.png", 1), mask("a/1.png", 1), stamp=5),
    one("/d/a", mask("0.png", 2), mask("1.png", 1), stamp=6),
]


@pytest.mark.parametrize("parts", list(itertools.permutations(CONTRADICTING)))
def test_other_counts_of_one_mask_are_refused_or_the_newest_taken(
    tmp_path: Path, parts: Sequence[Part]
) -> None:
    with pytest.raises(
        StoreError, match=r"1 mask had other counts .*: a/0\.png; .*prefer='newest'"
    ):
        merged_or_error(tmp_path, parts)
    assert not (tmp_path / "all.db").exists()
    assert leftovers(tmp_path) == []
    merged, rows = merged_or_error(tmp_path, parts, prefer="newest")
    assert rows == {"a/0.png": ([2], [1]), "a/1.png": ([1], [1])}
    assert merged.overlapping == 2


@pytest.mark.parametrize("stamps", [(5, 5), ("etag1", "etag2"), (5, "etag")])
def test_where_no_file_is_the_newest_nothing_is_preferred(
    tmp_path: Path, stamps: tuple[int | str, ...]
) -> None:
    parts = [one("/d", mask("0.png", at), stamp=stamp) for at, stamp in enumerate(stamps)]
    with pytest.raises(StoreError, match="1 mask had other counts") as refused:
        merged_or_error(tmp_path, parts, prefer="newest")
    assert "--prefer" not in str(refused.value)


def test_many_contradictions_are_counted_and_some_named(tmp_path: Path) -> None:
    parts = [one("/d", *(mask(f"{n}\n.png", at) for n in range(8))) for at in range(2)]
    with pytest.raises(
        StoreError, match=r"8 masks had .*: 0\\n\.png, 1\\n\.png, 2\\n\.png and 5 m"
    ):
        merged_or_error(tmp_path, parts)


def test_what_counted_once_has_not_failed(tmp_path: Path) -> None:
    parts = [
        Part("/d", failures=[Failure("a/0.png", "z"), Failure("a/1.png", "z"), Failure("2", "z")]),
        Part("/d/a", [StoredMask(mask("0.png", 1), 1, 1)], [Failure("1.png", "cut off")]),
    ]
    merged, rows = merged_or_error(tmp_path, parts)
    assert list(rows) == ["a/0.png"]
    with ms.open_scan(tmp_path / "all.db") as scan:
        assert scan.failures == (Failure("2", "z"), Failure("a/1.png", "cut off"))
    assert [shard.failures for shard in merged.shards] == [3, 1]


def test_separate_stores_have_no_mask_together(tmp_path: Path) -> None:
    parts = [
        Part("/scratch/m", [StoredMask(mask("0.png", 1), 1, 1)], [Failure("1.png", "cut off")]),
        Part("/scratch/list.txt", [StoredMask(mask("/e/0.png", 2), 1, 1)]),
        one("/scratch/m", mask("0.png", 3), mask("1.png", 3)),
    ]
    merged, rows = merged_or_error(tmp_path, parts, separate=True)
    assert {name: values for name, (values, _) in rows.items()} == {
        "0/0.png": [1],
        "1//e/0.png": [2],
        "2/0.png": [3],
        "2/1.png": [3],
    }
    assert (merged.source, merged.overlapping) == ("#merged", 0)
    with ms.open_scan(tmp_path / "all.db") as scan:
        assert scan.failures == (Failure("0/1.png", "cut off"),)
        assert list(scan.entries()) == []
    expected = content(tmp_path / "all.db")
    # It is a scan like others: merged with itself it stays what it is.
    merge([tmp_path / "all.db"] * 2, tmp_path / "again.db").close()
    assert content(tmp_path / "again.db") == expected
    (tmp_path / "other").mkdir()
    made(tmp_path / "other" / "2.db", parts[0])
    with pytest.raises(ParameterError, match=r"^separate: two stores are called '2'"):
        merge([tmp_path / "2.db", tmp_path / "other" / "2.db"], tmp_path / "x.db", separate=True)
