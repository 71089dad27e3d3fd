"""Regions of a label image: both ways to measure against plain oracles, and the laws they obey."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from maskstat.errors import MaskError
from maskstat.kernels import compiled_regions, label_runs, region_types
from maskstat.kernels.compiled_engine import CompiledEngine
from maskstat.kernels.engine import Engine
from maskstat.kernels.numpy_engine import NumpyEngine
from tests.support.interpreters import run_script
from tests.support.region_oracle import regions_of
from tests.support.regions import Regions, measure

Labels = NDArray[np.int64]

WAYS: dict[str, Callable[[], Engine]] = {"numpy": NumpyEngine, "compiled": CompiledEngine}
TYPES = [np.bool_, *(f"{sign}{size}" for sign in "ui" for size in (1, 2, 4, 8)), ">u2", ">i4"]
K = 4


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way to measure in turn."""
    engine = WAYS[request.param]()
    monkeypatch.setattr(label_runs, "current_engine", lambda: engine)
    return str(request.param)


def by_way(name: str, *arguments: Any) -> Regions:
    """`measure` in one of the two ways, in buffers of its own."""
    engine = WAYS[name]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_runs, "current_engine", lambda: engine)
        return measure(*arguments)


def same(found: Any, wanted: Any, types: bool = True) -> None:
    """Tuples of arrays are equal, field by field, and so are the types of their items."""
    for name in type(found)._fields:
        one, other = getattr(found, name), getattr(wanted, name)
        if isinstance(one, tuple):
            same(one, other, types)
            continue
        np.testing.assert_array_equal(one, other, name)
        assert not types or one.dtype == other.dtype, name


# images


def noise(rng: np.random.Generator, height: int, width: int) -> Labels:
    return rng.integers(0, rng.integers(1, K + 2), (height, width))


def specks(rng: np.random.Generator, height: int, width: int) -> Labels:
    return (rng.random((height, width)) < 0.1) * rng.integers(1, K + 1, (height, width))


def blocks(rng: np.random.Generator, height: int, width: int) -> Labels:
    tall, wide = rng.integers(1, 9, 2).tolist()
    few = noise(rng, -(-height // tall), -(-width // wide))
    return np.kron(few, np.ones((tall, wide), np.int64))[:height, :width]


def stripes(rng: np.random.Generator, height: int, width: int) -> Labels:
    across = rng.random() < 0.5
    few = noise(rng, 1 if across else height, width if across else 1)
    return np.broadcast_to(few, (height, width))


def checkers(rng: np.random.Generator, height: int, width: int) -> Labels:
    y, x = np.mgrid[:height, :width]
    return (x + y) % rng.integers(2, 4)


def comb(rng: np.random.Generator, height: int, width: int) -> Labels:
    """Teeth that hang together above, below, or on one side: late joins of many nodes."""
    y, x = np.mgrid[:height, :width]
    teeth = (x % 2 == 0) | (y == (height - 1 if rng.random() < 0.7 else 0))
    return teeth.astype(np.int64) if rng.random() < 0.7 else teeth[::-1, ::-1].astype(np.int64)


def spiral(rng: np.random.Generator, height: int, width: int) -> Labels:
    """A path that winds inwards, and one between its windings."""
    pixels = np.zeros((height, width), np.int64)
    top, left, bottom, right = 0, 0, height, width
    while top < bottom and left < right:
        pixels[top, max(left - 2, 0) : right] = 1
        pixels[top:bottom, right - 1] = 1
        pixels[bottom - 1, left:right] = 1
        pixels[top + 2 : bottom, left] = 1
        top, left, bottom, right = top + 2, left + 2, bottom - 2, right - 2
    return pixels


def moving(rng: np.random.Generator, height: int, width: int) -> Labels:
    """Regions between borders that move a little from row to row, sometimes much."""
    count = int(rng.integers(1, 6))
    steps = rng.integers(-2, 3, (height, count))
    steps[rng.random(steps.shape) < 0.05] = rng.integers(-99, 100)
    borders = rng.integers(0, width + 1, count) + np.cumsum(steps, axis=0)
    x = np.arange(width)
    return rng.integers(0, K + 1, count + 1)[(x[None, :, None] >= borders[:, None, :]).sum(axis=2)]


KINDS: list[Callable[[np.random.Generator, int, int], Labels]] = [
    noise,
    specks,
    blocks,
    stripes,
    checkers,
    comb,
    spiral,
    moving,
]


@st.composite
def label_images(draw: st.DrawFn) -> Labels:
    """Label maps (H, W) of labels 0..K, some with equal rows one below the other."""
    width = draw(st.integers(1, 40) | st.integers(60, 200))
    height = draw(st.integers(1, max(1, min(40, 1200 // width))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    image = draw(st.sampled_from(KINDS))(rng, height, width)
    if draw(st.booleans()):
        image = np.repeat(image, rng.integers(1, 5, height), axis=0)[:height]
    if draw(st.booleans()):
        image = image.T
    return np.ascontiguousarray(image)


def identity(labels: int = K + 1) -> tuple[Labels, Labels]:
    """Values that are their labels."""
    return np.arange(labels), np.arange(labels)


def heat_by_enlarging(labels: Labels, grid: int) -> Labels:
    """Every pixel becomes grid x grid ones, which the cells then share without cutting any."""
    height, width = labels.shape
    large = np.repeat(np.repeat(labels, grid, axis=0), grid, axis=1)
    return np.array(
        [
            (large == k).reshape(grid, height, grid, width).sum(axis=(1, 3))
            for k in np.unique(labels)
        ]
    )


# against the oracles


@given(image=label_images(), grid=st.integers(1, 9) | st.just(64))
@settings(max_examples=150)
def test_any_image_equals_the_oracle(image: Labels, grid: int) -> None:
    """Everything, in both ways; sizes that are no multiple of the grid, or smaller, included."""
    wanted = regions_of(image, K, grid)
    found = by_way("compiled", image.astype(np.uint8), identity(), K, grid)
    same(found, wanted, types=False)
    same(by_way("numpy", image.astype(np.uint8), identity(), K, grid), found)
    if grid < 10:
        np.testing.assert_array_equal(found.heat, heat_by_enlarging(image, grid))


@given(
    image=label_images(),
    kind=st.sampled_from(TYPES),
    data=st.data(),
    order=st.sampled_from("CF"),
)
def test_values_of_any_type(image: Labels, kind: str, data: st.DataObject, order: Any) -> None:
    """Several values may be one label, and values that are not listed are of no class."""
    dtype = np.dtype(kind)
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    least = min(7, high - low + 1)
    values = sorted(
        data.draw(
            st.sets(
                st.integers(max(low, -(2**63)), min(high, 2**63 - 1)), min_size=least, max_size=9
            )
        )
    )
    pixels = np.array(values, dtype)[(image * 2 + np.arange(image.shape[1]) % 2) % len(values)]
    pixels = np.asarray(pixels, order=order)
    listed = data.draw(st.sets(st.sampled_from(values)))
    labels = {v: data.draw(st.integers(0, K)) if v in listed else K for v in values}
    wanted = np.array([labels[int(v)] for v in pixels.reshape(-1)]).reshape(pixels.shape)
    pairs = np.array(sorted(listed), np.int64), np.array([labels[v] for v in sorted(listed)], int)
    pixels.flags.writeable = False
    for name in WAYS:
        same(
            by_way(name, pixels, pairs, K, 5),
            by_way(name, wanted.astype(np.uint8), identity(), K, 5),
        )
    same(by_way("compiled", pixels, pairs, K, 5), regions_of(wanted, K, 5), types=False)


@pytest.mark.parametrize("item", [np.uint8, np.uint16])
def test_every_width(item: type[np.unsignedinteger]) -> None:
    """Rows shorter than a word, of some words, and with a rest."""
    rng = np.random.default_rng(np.dtype(item).itemsize)
    for width in range(1, 201):
        for kind in (noise, moving):
            image = kind(rng, 5, width).astype(item)
            found = by_way("compiled", image, identity(), K, 3)
            same(found, by_way("numpy", image, identity(), K, 3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("item", [np.uint8, np.uint16])
def test_larger_images(
    kind: Callable[..., Labels], item: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of many words, and many more nodes than there is room for at first."""
    monkeypatch.setattr(compiled_regions, "_FIRST_NODES", 1)
    image = kind(np.random.default_rng(3), 70, 333)
    image = np.ascontiguousarray(np.repeat(image, 3, axis=1)).astype(item)
    found = by_way("compiled", image, identity(), K)
    same(found, by_way("numpy", image, identity(), K))


def test_many_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are too many for a matrix, edges are logged, also when the log is often full."""
    monkeypatch.setattr(compiled_regions, "_LOG_ENTRIES", 1)
    rng = np.random.default_rng(4)
    few = rng.integers(0, 1500, (12, 60))
    image = np.kron(few, np.ones((2, 3), np.int64))
    image[rng.random(image.shape) < 0.2] += 1
    found = by_way("compiled", image.astype(np.uint16), identity(1501), 1500, 2)
    assert found.labels.size > 500
    same(found, regions_of(image, 1500, 2), types=False)
    for limit in (0, 10**6):
        monkeypatch.setattr(compiled_regions, "_MATRIX_LABELS", limit)
        same(by_way("compiled", image.astype(np.uint16), identity(1501), 1500, 2), found)


@given(image=label_images(), room=st.integers(1, 40), log=st.integers(1, 40))
@settings(max_examples=40)
def test_buffers_that_grow_change_nothing(image: Labels, room: int, log: int) -> None:
    """The kernel is left and entered again in the middle of the image."""
    wanted = by_way("compiled", image.astype(np.uint8), identity(), K, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_regions, "_FIRST_NODES", room)
        patch.setattr(compiled_regions, "_MATRIX_LABELS", 0)
        patch.setattr(compiled_regions, "_LOG_ENTRIES", log)
        same(by_way("compiled", image.astype(np.uint8), identity(), K, 4), wanted)


# laws


@given(image=label_images(), grid=st.integers(1, 8))
def test_sums(image: Labels, grid: int) -> None:
    """Heat, and the components of either kind, add up to the pixels of each label."""
    found = by_way("compiled", image.astype(np.uint8), identity(), K, grid)
    pixels = np.bincount(image.reshape(-1), minlength=K + 1)
    np.testing.assert_array_equal(found.labels, pixels.nonzero()[0])
    np.testing.assert_array_equal(found.heat.sum(axis=(1, 2)), pixels[found.labels] * grid**2)
    for components in (found.four, found.eight):
        sums = np.zeros(K + 1, np.int64)
        np.add.at(sums, components.label, components.size)
        np.testing.assert_array_equal(sums[:K], pixels[:K])
    fours, eights = (np.bincount(c.label, minlength=K) for c in (found.four, found.eight))
    assert (eights <= fours).all()
    height, width = image.shape
    assert found.frame.sum() == 2 * (height + width)
    sides = 4 * pixels[found.labels] - found.frame  # a side within a label is one of two pixels
    for first, second, edges in zip(*found.adjacency, strict=True):
        sides[np.isin(found.labels, (first, second))] -= edges
    assert (sides >= 0).all()
    assert not (sides % 2).any()
    assert found.adjacency.edges.sum() <= height * (width - 1) + (height - 1) * width


@given(image=label_images(), grid=st.integers(1, 8))
def test_symmetries(image: Labels, grid: int) -> None:
    """A mask turned over has the same neighbours and sizes, and its heat maps turned over."""
    found = by_way("compiled", image.astype(np.uint8), identity(), K, grid)

    def sizes(regions: Regions) -> list[list[tuple[int, int]]]:
        return [
            sorted(zip(c.label.tolist(), c.size.tolist(), strict=True))
            for c in (regions.four, regions.eight)
        ]

    turns = (
        (image.T, found.heat.transpose(0, 2, 1)),
        (image[::-1], found.heat[:, ::-1]),
        (image[:, ::-1], found.heat[:, :, ::-1]),
    )
    for turned, heat in turns:
        other = by_way("compiled", turned.astype(np.uint8), identity(), K, grid)
        np.testing.assert_array_equal(other.heat, heat)
        np.testing.assert_array_equal(other.frame, found.frame)
        same(other.adjacency, found.adjacency)
        assert sizes(other) == sizes(found)


def test_one_label_touches_nothing_but_the_frame(way: str) -> None:
    """Nothing but one component, also of one pixel."""
    for shape in ((1, 1), (1, 300), (300, 1), (70, 130)):
        found = measure(np.full(shape, 7, np.uint8), (np.array([7]), np.array([2])), K, 4)
        assert found.labels.tolist() == [2]
        assert found.frame.tolist() == [2 * sum(shape)]
        assert found.adjacency.edges.size == 0
        assert found.four.size.tolist() == found.eight.size.tolist() == [shape[0] * shape[1]]
        place = [int(found.eight[k][0]) for k in range(2, 8)]
        assert place == [0, 0, *shape, 0, 0]


def test_no_class_at_all(way: str) -> None:
    """Pixels of no class have heat, but no components."""
    found = measure(np.zeros((3, 5), np.uint8), (np.empty(0, np.int64),) * 2, K, 2)
    assert found.labels.tolist() == [K]
    assert found.heat.sum() == 15 * 4
    assert found.four.size.size == found.eight.size.size == 0
    same(
        found, by_way("compiled", np.zeros((3, 5), np.int32), (np.array([9]), np.array([0])), K, 2)
    )


def test_threads_do_not_disturb_each_other() -> None:
    """Eight threads, images of different sizes and types."""
    rng = np.random.default_rng(8)
    cases = [
        KINDS[k](rng, 40 + k, 50 + 60 * k).astype((np.uint8, np.uint16)[k % 2]) for k in range(8)
    ]
    wanted = [by_way("compiled", image, identity(), K) for image in cases]
    wrong: list[BaseException] = []

    def work(start: int) -> None:
        try:
            for turn in range(20):
                k = (start + turn) % 8
                same(measure(cases[k], identity(), K), wanted[k])
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# limits


def test_memory_of_the_worst_noise() -> None:
    """Every pixel a component: at most 110 bytes a pixel, with its runs."""
    y, x = np.mgrid[:600, :800]
    image = (2 * (y % 2) + x % 2).astype(np.uint8)
    by_way("compiled", image[:2], identity(), K, 2)
    tracemalloc.start()
    found = by_way("compiled", image, identity(), K, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.eight.size.size == found.four.size.size == image.size
    assert peak < 110 * image.size


def test_too_many_pieces(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise is refused when it gets too much, an image of few pieces never."""
    monkeypatch.setattr(region_types, "MAX_PIECES", 500)
    monkeypatch.setattr(compiled_regions, "_FIRST_NODES", 16)
    y, x = np.mgrid[:40, :30]
    with pytest.raises(MaskError, match="falls into more than 500 pieces: noise or a photograph"):
        measure((2 * (y % 2) + x % 2).astype(np.uint8), identity(), K, 2)
    assert measure((x // 3).astype(np.uint8), identity(12), 12, 2).four.size.size == 10


def test_sizes_that_cannot_be_measured(way: str) -> None:
    """Said before any memory is taken."""
    for shape in ((1, 2**31), (2**31, 1), (2**30, 2**30), (0, 5), (5, 0)):
        huge = np.broadcast_to(np.uint8(0), shape)
        with pytest.raises(MaskError, match=rf"^{shape[1]} x {shape[0]} pixels cannot be measured"):
            measure(huge, identity(), K)


# which way is chosen

_MEASURE = """
import sys
import numpy as np
from maskstat.errors import ParameterError
from maskstat.kernels import engine
from maskstat.kernels.label_runs import runs_of
try:
    for _ in range(2):
        runs, _ = runs_of(np.eye(9, dtype=np.uint8), np.arange(2), np.arange(2))
        found = engine.current_engine().measure(runs)
        print(engine.current_engine().name, 'numba' in sys.modules)
        print(found.four.size.tolist(), found.eight.size.tolist())
        engine.prepare(10**9, 0)
except ParameterError as error:
    print(error)
"""
_SIZES = f"{[1, 36, 36, *[1] * 8]} [9, 72]\n"


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("numpy", ["numpy False\n"] * 2),
        ("compiled", ["compiled True\n"] * 2),
        ("", ["numpy False\n", "compiled True\n"]),
        ("fast", ["MASKSTAT_ENGINE: 'fast' is no engine; use numpy or compiled\n"]),
    ],
)
def test_the_engine_of_the_environment(engine: str, said: list[str]) -> None:
    """NumPy, until kernels pay; or what is ordered."""
    sizes = "" if engine == "fast" else _SIZES
    run_script(_MEASURE, MASKSTAT_ENGINE="compiled")  # which fills the cache
    assert run_script(_MEASURE, MASKSTAT_ENGINE=engine) == "".join(one + sizes for one in said)


def test_without_numba() -> None:
    """NumPy does it, unless compiled kernels were ordered."""
    script = "import sys; sys.modules['numba'] = None; sys.stderr = sys.stdout\n" + _MEASURE
    first, sizes, said, *rest = run_script(script).splitlines(keepends=True)
    assert said.startswith("compiled kernels cannot be loaded (")
    assert "".join([first, sizes, *rest]) == ("numpy True\n" + _SIZES) * 2
    said = run_script(script, MASKSTAT_ENGINE="compiled")
    assert said.startswith("MASKSTAT_ENGINE: compiled kernels cannot be loaded (")


_SWITCHING = """
import hashlib, sys, time
from maskstat.kernels import engine
import maskstat as ms
from maskstat.regions.profile_bytes import to_bytes
names, found = [], set()
for _ in range(2000):
    with ms.scan(sys.argv[1], classes=7, profile=True, grid=5, workers=2) as scan:
        found.add(hashlib.sha256(to_bytes(scan.need_profile())).hexdigest())
    kernels = getattr(engine.current_engine(), "_regions", None)
    names.append(type(kernels).__name__)
    if kernels is not None: break
    if len(names) > 1: time.sleep(0.1)
    if len(names) == 1: engine.prepare(10**9, 0)
print(names[0], names[-1], len(found))
"""


def test_nobody_waits_for_the_compiler(forty_masks: Path, tmp_path: Path) -> None:
    """A cold cache: NumPy measures until another process has compiled the kernels, and says the
    same as they do."""
    said = run_script(_SWITCHING, str(forty_masks), NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert said == "NoneType Regions 1\n"


def test_kernels_for_regions_that_are_in_no_cache(forty_masks: Path, tmp_path: Path) -> None:
    """The same where those that count are cached already, as after a compiler that was killed."""
    cache = str(tmp_path / "cache")
    run_script(
        "from maskstat.kernels.compiled_engine import CompiledEngine\n"
        "CompiledEngine().load_two_byte_kernels()",
        NUMBA_CACHE_DIR=cache,
    )
    said = run_script(_SWITCHING, str(forty_masks), NUMBA_CACHE_DIR=cache)
    assert said == "NoneType Regions 1\n"
