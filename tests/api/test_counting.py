"""`count` and `MaskCounter`: whatever is in memory, exactly; counters are a monoid."""

from __future__ import annotations

import doctest
import io
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import maskstat as ms
from maskstat.api import counting
from maskstat.errors import MaskError, ParameterError, ProfileError, SourceError
from tests.support.interpreters import run_script

TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", ">i4", "f2", "f4", "f8"]
MASK = np.array([[0, 0, 1], [0, 2, 2]])


def pixels(scan: ms.Scan) -> list[int]:
    return [int(count) for count in scan.histogram.pixels]


# --- the law: against an oracle, files, and each other ----------------------------------------

shapes = st.tuples(st.integers(1, 9), st.integers(1, 2) | st.integers(5, 90))


@st.composite
def arrays(draw: st.DrawFn) -> NDArray[Any]:
    """Masks of any type and memory layout."""
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    shape = draw(shapes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = np.array([0, 1, 2, 3, 120] + ([] if dtype.kind == "u" else [-1]))
    values = np.append(values, 255 if dtype == np.uint8 else 7)
    runs = rng.choice(values, size=(shape[0], -(-shape[1] // 3) * 2))
    array = np.repeat(runs, draw(st.integers(1, 3)), axis=1)[:, : shape[1]].astype(dtype)
    layout = draw(st.sampled_from(["C", "F", "slice", "reversed", "read-only"]))
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "slice":
        return np.repeat(np.repeat(array, 2, 0), 3, 1)[::2, ::3]
    if layout == "reversed":
        return array[::-1, ::-1]
    if layout == "read-only":
        array.flags.writeable = False
    return array


batches = st.lists(arrays(), max_size=6)


def oracle(masks: list[NDArray[Any]], classes: int) -> list[list[int]]:
    """Pixels of each class in each mask, by Python alone."""
    table = []
    for mask in masks:
        counts = Counter(int(value) for value in mask.ravel().tolist())
        table.append([counts[k] for k in range(classes)])
    return table


@given(batches.filter(bool))
def test_count_agrees_with_an_oracle(masks: list[NDArray[Any]]) -> None:
    scan = ms.count(masks, classes=4)
    names = [str(k) for k in range(len(masks))]
    assert scan.ledger.names == tuple(names)
    assert scan.ledger.dense().tolist() == oracle(masks, 4)
    total = sum(mask.size for mask in masks)
    assert scan.histogram.total_pixels == total
    ignored = sum(int((mask == 255).sum()) for mask in masks if mask.dtype == np.uint8)
    assert scan.histogram.ignored_pixels == ignored


@given(batches.filter(bool))
def test_count_agrees_with_a_scan_of_files(masks: list[NDArray[Any]]) -> None:
    """The same arrays, saved as NPY, under the same names."""
    import tempfile

    names = [f"{k}.npy" for k in range(len(masks))]
    with tempfile.TemporaryDirectory() as folder:
        for name, mask in zip(names, masks, strict=True):
            np.save(Path(folder) / name, mask)
        for classes in (4, None):
            counted = ms.count(masks, classes=classes, names=names, ignore=120)
            with ms.scan(folder, classes=classes, ignore=120, workers=1) as scanned:
                assert counted.catalog.digest == scanned.catalog.digest
                assert counted.histogram == scanned.histogram
                assert counted.ledger.names == scanned.ledger.names
                assert np.array_equal(counted.ledger.dense(), scanned.ledger.dense())


class Part(NamedTuple):
    """What one counter sees: masks, with names from a pool or without."""

    masks: list[NDArray[Any]]
    names: list[str] | None


def parts(pool: str) -> st.SearchStrategy[Part]:
    """Names of several parts never meet; some are numbers, as those without a name get."""
    names = [pool, f"{pool}/1", *(str(number) for number in range(ord(pool) % 3, 9, 3))]

    def part(masks: list[NDArray[Any]]) -> st.SearchStrategy[Part]:
        given_names = st.permutations(names).map(lambda some: some[: len(masks)])
        return (st.none() | given_names).map(lambda chosen: Part(masks[: len(names)], chosen))

    return st.lists(arrays(), max_size=3).flatmap(part)


def counter_of(*seen: Part) -> ms.MaskCounter:
    counter = ms.MaskCounter(classes=4)
    for masks, names in seen:
        counter.update(masks, names=names)
    return counter


def same(one: ms.MaskCounter, other: ms.MaskCounter) -> bool:
    a, b = one.scan(), other.scan()
    return (
        a.histogram == b.histogram
        and a.ledger.names == b.ledger.names
        and a.ledger.dense().tolist() == b.ledger.dense().tolist()
    )


@given(parts("a"), parts("b"), parts("c"))
def test_counters_are_a_monoid(a: Part, b: Part, c: Part) -> None:
    x, y, z = counter_of(a), counter_of(b), counter_of(c)
    nothing = ms.MaskCounter(classes=4)
    assert same(x + nothing, x)
    assert same(nothing + x, x)
    assert same((x + y) + z, x + (y + z))
    assert same(sum([x, y, z]), x + y + z)
    assert same(x + y + z, counter_of(a, b, c))
    assert (x + y + z).mask_count == sum(len(part.masks) for part in (a, b, c))
    assert x.mask_count == len(a.masks)  # adding changes neither


@given(parts("a"), parts("b"))
def test_order_matters_to_numbers_only(a: Part, b: Part) -> None:
    x, y = counter_of(a), counter_of(b)
    one, other = (x + y).scan(), (y + x).scan()
    assert np.array_equal(one.histogram.pixels, other.histogram.pixels)
    assert np.array_equal(one.histogram.masks, other.histogram.masks)
    assert one.ledger.names == other.ledger.names
    if a.names is not None and b.names is not None:
        assert same(x + y, y + x)


def test_names_that_meet_would_count_twice() -> None:
    one, other = ms.MaskCounter(classes=3), ms.MaskCounter(classes=3)
    one.update(np.array([MASK, MASK]), names=["a", "b"])
    other.update(MASK, names="b")
    with pytest.raises(ParameterError, match="names: 'b' was counted already"):
        _ = one + other
    with pytest.raises(ParameterError, match="'a' was counted already"):
        one.update(MASK, names="a")
    with pytest.raises(ParameterError, match="'c' was counted already"):
        one.update([MASK, MASK], names=["c", "c"])
    assert one.mask_count == 2


def test_numbers_leave_out_names() -> None:
    counter = ms.MaskCounter(classes=3)
    counter.update([MASK, MASK, MASK])
    counter.update(MASK, names="1")
    assert counter.scan().ledger.names == ("0", "1", "2", "3")


def test_counters_of_other_classes_do_not_add() -> None:
    with pytest.raises(ParameterError, match="different classes"):
        _ = ms.MaskCounter(classes=3) + ms.MaskCounter(classes=3, ignore=1)
    with pytest.raises(TypeError):
        _ = ms.MaskCounter(classes=3) + 1  # type: ignore[operator]
    with pytest.raises(TypeError):
        _ = 1 + ms.MaskCounter(classes=3)  # type: ignore[operator]


def test_a_counter_travels() -> None:
    counter = ms.MaskCounter(classes=3, ignore=2)
    counter.update(MASK)
    counter.update(MASK, names="named")
    assert same(pickle.loads(pickle.dumps(counter)), counter)


def test_a_scan_is_of_its_moment() -> None:
    counter = ms.MaskCounter(classes=3)
    counter.update(MASK)
    scan = counter.scan()
    counter.update(MASK)
    assert scan.histogram.mask_count == 1
    assert counter.scan().histogram.mask_count == 2


def test_an_update_counts_all_or_nothing() -> None:
    counter = ms.MaskCounter(classes=3)
    with pytest.raises(MaskError, match="mask 2"):
        counter.update([MASK, MASK, np.array([[0.5]])])
    assert counter.mask_count == 0


def test_repr_is_one_line() -> None:
    counter = ms.MaskCounter()
    assert repr(counter) == "<MaskCounter of 0 masks, classes to infer>"
    assert repr(ms.MaskCounter(classes=31)) == "<MaskCounter of 0 masks, 31 classes>"


# --- a scan like any other --------------------------------------------------------------------


def test_everything_that_needs_no_files_works(tmp_path: Path) -> None:
    masks = np.random.default_rng(0).integers(0, 4, (6, 20, 30))
    scan = ms.count(masks, classes=4, name="mine")
    assert (scan.name, scan.source, scan.has_files) == ("mine", "memory", False)
    assert len(scan.weights("median-frequency").weights) == 4
    assert len(scan.weights("equal-cost").weights) == 4
    assert len(scan.sampling("repeat-factor").weights) == 6
    again = scan.under(3, ignore=[3])
    assert pixels(again) == pixels(scan)[:3]
    assert again.histogram.ignored_pixels == pixels(scan)[3]
    assert "mine" in scan.report(tmp_path / "report.html")
    scan.export(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text(encoding="utf-8").count("\n") == 7


def test_what_needs_files_says_so() -> None:
    scan = ms.count([MASK, MASK], classes=3)
    with pytest.raises(SourceError, match="memory: its masks were counted in memory"):
        next(scan.entries())
    with pytest.raises(ProfileError, match="counted in memory have no pixel profile"):
        scan.need_profile()
    assert scan.profile is None
    with pytest.raises(SourceError, match="counted in memory"):
        scan.report(examples=1)
    assert "these were counted in memory" in scan.report()
    assert "what adds one" not in scan.report(format="md")


def test_a_check_says_what_it_could_not_compare() -> None:
    scan = ms.count([MASK, MASK, MASK[:1]], classes=3)
    found = {finding.kind: finding.files for finding in scan.check()}
    assert found["no-file"] == ("0", "1")
    assert "stale" not in found
    assert "duplicate" not in found
    assert "no-file" not in {finding.kind for finding in ms.count(MASK, classes=3).check()}


# --- what may be counted ----------------------------------------------------------------------


def save(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


class MapStyle:
    """A data set as torch has them: no __iter__, and an IndexError never comes."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[str, NDArray[Any]]:
        return "image", MASK


class Named(NamedTuple):
    """An item whose parts have names."""

    image: str
    mask: NDArray[Any]


class Column:
    """A column of a Hugging Face data set: a sequence of images or of encoded ones."""

    def __init__(self, items: list[Any]):
        self._items = items

    def __iter__(self) -> Any:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Any:
        return self._items[index]


GREY = Image.fromarray(MASK.astype(np.uint8))
ENCODED = {"bytes": save(GREY), "path": "a.png"}


@pytest.mark.parametrize(
    ("masks", "options", "count"),
    [
        (MASK, {}, 1),
        (MASK[..., None], {}, 1),
        (MASK[None], {}, 1),
        (np.array([MASK, MASK]), {"names": ["a", "b"]}, 2),
        (np.pad([MASK, MASK], ((0, 0), (0, 0), (0, 5)), constant_values=9), {}, 2),
        (np.array([MASK, MASK], np.uint8), {"names": ["a", "b"]}, 2),
        (np.array([MASK, MASK])[:, None], {}, 2),
        (np.array([MASK, MASK])[..., None], {}, 2),
        ([MASK, MASK], {}, 2),
        ((MASK, MASK), {}, 2),
        ((mask for mask in [MASK, MASK]), {}, 2),
        ([np.array([MASK, MASK]), np.array([MASK])], {}, 3),
        ([(0, MASK), (1, MASK)], {"key": 1}, 2),
        ([(0, MASK), (1, MASK)], {"key": -1}, 2),
        ([{"mask": MASK}], {"key": "mask"}, 1),
        ({"image": 0, "mask": MASK}, {"key": "mask"}, 1),
        ([{"mask": MASK}], {"key": lambda item: item["mask"]}, 1),
        ([{"masks": [MASK, MASK]}, {"masks": [MASK]}], {"key": "masks"}, 3),
        ([[MASK, MASK], [MASK]], {"key": list}, 3),
        (GREY, {}, 1),
        (GREY.convert("I;16"), {}, 1),
        (GREY.convert("I"), {}, 1),
        (ENCODED, {}, 1),
        (ENCODED["bytes"], {}, 1),
        (Column([GREY, GREY]), {}, 2),
        (Column([ENCODED, ENCODED]), {}, 2),
        (Column([{"label": ENCODED}]), {"key": "label"}, 1),
        (MapStyle(), {"key": 1}, 3),
        ([Named("image", MASK)], {"key": "mask"}, 1),
        (np.array([None, MASK], object)[1:], {}, 1),
        (np.eye(3)[MASK], {"channels": "one-hot"}, 1),
        (np.eye(3, dtype=np.uint8)[[MASK, MASK]] * 255, {"channels": "one-hot"}, 2),
        (np.moveaxis(np.eye(3)[MASK], -1, 0), {"channels": "one-hot-first"}, 1),
        (np.moveaxis(np.eye(3, dtype=bool)[[MASK] * 4], -1, 1), {"channels": "one-hot-first"}, 4),
    ],
)
def test_everything_counts_the_same(masks: Any, options: dict[str, Any], count: int) -> None:
    scan = ms.count(masks, classes=3, ignore=9, **options)
    assert scan.histogram.mask_count == count
    assert pixels(scan) == [3 * count, count, 2 * count]
    if "names" not in options:
        assert scan.ledger.names == tuple(str(k) for k in range(count))


def test_an_encoded_mask_may_be_a_path_in_a_column(tmp_path: Path) -> None:
    """As Hugging Face's columns are where files are not embedded."""
    GREY.save(tmp_path / "a.png")
    column = Column([{"bytes": None, "path": str(tmp_path / "a.png")}])
    assert pixels(ms.count(column, classes=3)) == [3, 1, 2]


def test_palette_and_one_bit_images_count_indices() -> None:
    image = Image.fromarray(MASK.astype(np.uint8)).convert("P")
    image.putdata(MASK.ravel().tolist())
    image.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    assert pixels(ms.count(image, classes=3)) == [3, 1, 2]
    assert pixels(ms.count(Image.fromarray(MASK > 0), classes=2)) == [3, 3]


def test_bitmasks() -> None:
    stack = np.stack([MASK > 0, MASK > 1], axis=-1)
    assert pixels(ms.count(stack, classes=4, channels="bitmask")) == [3, 1, 0, 2]


@pytest.fixture
def coloured(tmp_path: Path) -> ms.ClassCatalog:
    path = tmp_path / "classes.yaml"
    path.write_text(
        "classes:\n- {name: a, value: 0, colour: '#0a0000'}\n- {name: b, value: 1,"
        " colour: '#000b00'}\n",
        encoding="utf-8",
    )
    return ms.load_catalog(path)


def test_colours(coloured: ms.ClassCatalog) -> None:
    """An array, a batch and an image; large enough that no batch of masks could be meant."""
    rgb = np.zeros((4, 100, 3), np.uint8)
    rgb[:, :, 0] = 10
    rgb[1] = (0, 11, 0)
    for masks, count in ((rgb, 1), ([rgb, rgb], 2), (np.array([rgb, rgb]), 2)):
        scan = ms.count(masks, classes=coloured)
        assert (scan.histogram.mask_count, pixels(scan)) == (count, [300 * count, 100 * count])
    rgba = np.dstack([rgb, np.full((4, 100), 255, np.uint8)])
    for image in (rgba, Image.fromarray(rgb), Image.fromarray(rgba), rgb[::-1, ::-1]):
        assert pixels(ms.count(image, classes=coloured)) == [300, 100]


def test_small_arrays_that_may_be_colours_are_asked_about(coloured: ms.ClassCatalog) -> None:
    rgb = np.zeros((2, 6, 3), np.uint8)
    with pytest.raises(MaskError, match=r"\(2, 6, 3\): 2 masks of 6 x 3 pixels, or an image") as e:
        ms.count(rgb, classes=coloured)
    assert e.value.remedy is not None
    assert "list(masks)" in e.value.remedy
    assert "masks[None]" in e.value.remedy
    assert ms.count(list(rgb), classes=coloured).histogram.mask_count == 2
    assert ms.count(rgb, classes=coloured, names=["a", "b"]).histogram.mask_count == 2
    assert ms.count(rgb[None], classes=coloured).histogram.mask_count == 1
    only_colours = coloured.ignoring([0, 1])
    assert ms.count(rgb, classes=only_colours).histogram.mask_count == 1


def generator_of(*items: Any) -> Any:
    yield from items


@pytest.mark.parametrize(
    ("masks", "options", "said"),
    [
        (np.zeros((2, 3, 8, 8), np.float32), {}, r"\(2, 3, 8, 8\).*pass the argmax of logits"),
        (np.zeros((2, 3, 8, 8), int), {}, r"\(2, 3, 8, 8\).*channels='one-hot-first'"),
        (np.zeros((2, 8, 8, 3), np.uint8), {}, r"\(2, 8, 8, 3\).*a catalogue with colours"),
        (np.zeros((90, 80, 3), np.uint8), {}, r"\(90, 80, 3\).*the classes have no colours"),
        (np.zeros((90, 80, 4), int), {}, r"\(90, 80, 4\).*list\(masks\)"),
        (np.zeros(8, int), {}, r"\(8,\) where \(H, W\)"),
        (np.zeros((1, 1, 1, 1, 1), int), {}, r"\(1, 1, 1, 1, 1\)"),
        (np.zeros((2, 0, 8), int), {}, r"\(2, 0, 8\) has no pixels"),
        (np.zeros((8, 8), complex), {}, "array of type complex128"),
        (np.full((8, 8), 0.5), {}, "the value 0.5.*argmax"),
        (np.full((8, 8), np.nan), {}, "the value nan"),
        (np.full((8, 8), 2**63, np.uint64), {}, "does not fit"),
        (np.ma.masked_equal(MASK, 2), {}, r"filled\(255\)"),
        (Image.new("RGB", (4, 3)), {}, "RGB image of 3 x 4 pixels"),
        (Image.new("CMYK", (4, 3)), {}, "CMYK pixels are no class labels"),
        (np.ones((4, 4, 3)), {"channels": "one-hot"}, "several channels set"),
        (MASK, {"channels": "one-hot"}, r"\(2, 3\) where \(H, W, C\) or \(N, H, W, C\)"),
        (b"no image", {}, "not an image"),
        ([MASK, np.zeros((2, 5, 5), int)], {}, "mask 1: single masks and batches"),
        ([MASK, np.full((5, 5), 0.1)], {}, "mask 1: float mask"),
        ({"bytes": None, "path": "/nowhere/x.png"}, {}, "x.png can't be read"),
    ],
)
def test_what_is_no_mask_is_refused(masks: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(MaskError, match=said):
        ms.count(masks, classes=3, **options)


@pytest.mark.parametrize(
    ("masks", "options", "said"),
    [
        ([(np.zeros((3, 8, 8)), MASK)], {}, r"tuples of 2: \(3, 8, 8\), \(2, 3\).*key=1"),
        ([{"image": 0, "mask": MASK}], {}, "the keys 'image', 'mask'.*key='mask'"),
        ({"image": 0, "mask": MASK}, {}, "masks are dicts with the keys.*key='mask'"),
        ([{"image": 0}], {"key": "mask"}, "'mask' is nowhere in them.*'image'"),
        ([(0, MASK)], {"key": 2}, "2 is nowhere in them"),
        ([(0, MASK)], {"key": 0}, "leads to a int, which is no mask"),
        ([MASK], {"key": 1}, r"1 is for tuples and dicts: here is an array \(2, 3\)"),
        (MASK, {"key": 1}, "is for tuples and dicts"),
        ([[0, 1], [1, 2]], {}, r"numpy.asarray\(masks\)"),
        ("masks", {}, "maskstat.scan counts files"),
        (["a.png"], {}, "maskstat.scan counts files"),
        (Path("a.png"), {}, "maskstat.scan counts files"),
        (5, {}, "neither is a mask nor gives any"),
        (None, {}, "neither is a mask nor gives any"),
        ([None], {}, "items are a NoneType"),
        ([MASK], {"channels": "onehot"}, "channels: .*one of one-hot"),
        ([MASK], {"names": []}, "there are only 0"),
        ([MASK], {"names": ["a", "b"]}, "more than 1 mask"),
        ([MASK], {"names": [1]}, "are texts, not 1"),
        ([MASK, MASK], {"names": "ab"}, "there are only 1"),
    ],
)
def test_where_masks_are_must_be_said(masks: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        ms.count(masks, classes=3, **options)


def test_lossy_images_are_refused_as_files_are() -> None:
    buffer = io.BytesIO()
    GREY.save(buffer, "JPEG")
    for masks in (buffer.getvalue(), Image.open(buffer)):
        with pytest.raises(MaskError, match="lossy"):
            ms.count(masks, classes=3)
        assert ms.count(masks, classes=256, allow_lossy=True).histogram.total_pixels == 6


@pytest.mark.parametrize("masks", [[], (), iter(()), np.zeros((0, 4, 5), int)])
def test_nothing_is_an_error_for_count_and_no_masks_for_a_counter(masks: Any) -> None:
    counter = ms.MaskCounter(classes=3)
    counter.update(masks)
    assert counter.mask_count == 0
    assert counter.scan().histogram == ms.ClassHistogram.empty(counter.catalog)
    with pytest.raises(SourceError, match="used up"):
        ms.count(masks, classes=3)


def test_ignored_values_and_inferred_classes() -> None:
    wide = np.where(MASK == 2, 255, MASK)
    assert ms.count(wide, classes=2).histogram.unlisted_pixels == 2
    assert ms.count(wide, classes=2, ignore=255).histogram.ignored_pixels == 2
    assert ms.count(wide.astype(np.uint8), classes=2).histogram.ignored_pixels == 2
    assert ms.count(wide, classes=2, ignore=["255", "#ffffff"]).histogram.ignored_pixels == 2
    assert len(ms.count(MASK).catalog) == 3


# --- nothing is imported that is not there already --------------------------------------------


@pytest.mark.parametrize("framework", ["torch", "tensorflow", "jax", "PIL", "numba"])
def test_no_framework_is_imported(framework: str) -> None:
    script = (
        "import sys\n"
        "import maskstat as ms\n"
        "assert 'numpy' not in sys.modules\n"
        "import numpy as np\n"
        "c = ms.MaskCounter(classes=3)\n"
        "c.update(np.zeros((2, 4, 5), np.int64))\n"
        "c.update([np.zeros((4, 5), np.uint8), np.zeros((4, 5))])\n"
        "c.scan().histogram, (c + c).mask_count\n"
        f"print({framework!r} in sys.modules)"
    )
    assert run_script(script) == "False\n"


@pytest.mark.parametrize("documented", [counting.count, counting.MaskCounter])
def test_examples_do_what_they_say(documented: Callable[..., Any]) -> None:
    found = doctest.DocTestFinder(recurse=False).find(documented, globs={})
    assert len(found) == 1
    assert found[0].examples
    runner = doctest.DocTestRunner()
    runner.run(found[0])
    assert runner.failures == 0
