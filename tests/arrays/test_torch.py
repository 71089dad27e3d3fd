"""Torch's tensors, data sets and loaders: counted where they are, and as NumPy's arrays are."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import maskstat as ms
from maskstat.arrays import frameworks, tallies
from maskstat.arrays.device_counts import device_counts
from maskstat.errors import MaskError, ParameterError

torch = pytest.importorskip("torch")
data = pytest.importorskip("torch.utils.data")

LABELS = np.random.default_rng(1).integers(0, 4, (5, 6, 70))
DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32"]
DTYPES += ["float64", "uint16", "uint32", "uint64"]


def same(one: ms.Scan, other: ms.Scan) -> bool:
    return one.ledger.names == other.ledger.names and np.array_equal(
        one.ledger.dense(), other.ledger.dense()
    )


EXPECTED = ms.count(LABELS, classes=4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_tensors(dtype: str, elsewhere: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every type; on a device, which is made believe here, by torch's own operations."""
    labels = LABELS > 1 if dtype == "bool" else LABELS
    expected = ms.count(labels, classes=4)
    turned, sliced = (ms.count(part, classes=4) for part in (labels.mT, labels[:, ::2, 3:]))
    tensor = torch.from_numpy(labels).to(getattr(torch, dtype))
    if elsewhere:
        monkeypatch.setattr(tallies, "is_elsewhere", frameworks.is_tensor)
        monkeypatch.setattr(tallies, "to_numpy", None)  # no pixel travels
    for masks in (tensor, list(tensor), tensor[:, None], tensor[..., None]):
        assert same(ms.count(masks, classes=4), expected)
    assert same(ms.count(tensor.mT, classes=4), turned)
    assert same(ms.count(tensor[:, ::2, 3:], classes=4), sliced)


def test_the_ignore_index_of_bytes_alone_is_ignored_by_default() -> None:
    tensor = torch.from_numpy(np.where(LABELS == 3, 255, LABELS))
    assert ms.count(tensor, classes=3).histogram.unlisted_pixels == (LABELS == 3).sum()
    bytes_ = ms.count(tensor.to(torch.uint8), classes=3)
    assert bytes_.histogram.ignored_pixels == (LABELS == 3).sum()


values = st.sampled_from([0, 1, 2, 255, -1, -100, 26001, 2**31, -(2**63), 2**63 - 1])


@given(st.lists(st.lists(values, min_size=6, max_size=6), min_size=1, max_size=4))
def test_device_counts_are_those_of_numpy(masks: list[list[int]]) -> None:
    labels = np.array(masks, np.int64).reshape(-1, 2, 3)
    found = device_counts(torch.from_numpy(labels))
    assert len(found) == len(labels)
    for (seen, counts), mask in zip(found, labels, strict=True):
        expected = np.unique(mask, return_counts=True)
        assert seen.dtype == counts.dtype == np.int64
        assert np.array_equal(seen, expected[0])
        assert np.array_equal(counts, expected[1])


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (torch.full((1, 2, 2), 0.5), "the value 0.5"),
        (torch.full((1, 2, 2), float("nan")), "the value nan"),
        (torch.full((1, 2, 2), 1e30), "whole numbers"),
        (torch.full((1, 2, 2), 1j), "complex64"),
        (torch.full((1, 2, 2), 2**63, dtype=torch.uint64), "the value 9223372036854775808"),
    ],
)
def test_what_a_device_can_not_count(tensor: Any, said: str) -> None:
    with pytest.raises(MaskError, match=said):
        device_counts(tensor)
    with pytest.raises(MaskError, match=said.replace("complex64", "complex")):
        ms.count(tensor, classes=3)


def test_logits_are_refused() -> None:
    with pytest.raises(MaskError, match=r"\(2, 4, 8, 8\).*pass the argmax"):
        ms.count(torch.rand(2, 4, 8, 8), classes=4)
    with pytest.raises(MaskError, match="argmax"):
        ms.count(torch.rand(4, 8, 8), classes=4)


@pytest.fixture(params=[False, True], ids=["here", "elsewhere"])
def somewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors in memory, and as if they were on a device from which no pixel may travel."""
    if request.param:
        monkeypatch.setattr(tallies, "is_elsewhere", frameworks.is_tensor)
        monkeypatch.setattr(tallies, "to_numpy", None)


@pytest.mark.usefixtures("somewhere")
@pytest.mark.parametrize("top", [1, 255])
def test_channels(top: int) -> None:
    stacks = torch.nn.functional.one_hot(torch.from_numpy(LABELS), 4) * top
    assert same(ms.count(stacks, classes=4, channels="one-hot"), EXPECTED)
    assert same(ms.count(list(stacks), classes=4, channels="one-hot"), EXPECTED)
    first = stacks.movedim(-1, 1).float().requires_grad_()
    assert same(ms.count(first, classes=4, channels="one-hot-first"), EXPECTED)
    gaps = ms.count(stacks[..., 1:] > 0, classes=3, channels="one-hot", ignore=-1)
    assert gaps.histogram.pixels.tolist() == EXPECTED.histogram.pixels[1:].tolist()
    assert gaps.histogram.ignored_pixels == EXPECTED.histogram.pixels[0]
    bits = torch.stack([torch.from_numpy(LABELS >> k & 1) for k in range(2)], 1) * top
    assert same(ms.count(bits, classes=4, channels="bitmask-first"), EXPECTED)


@pytest.mark.parametrize(
    ("stack", "channels", "said"),
    [
        (torch.ones(1, 2, 2, 3), "one-hot", "4 pixels have several channels set"),
        (torch.full((1, 2, 2, 3), 2), "one-hot", "a channel has the value 2"),
        (torch.full((1, 2, 2, 3), -1), "bitmask", "a channel has the value -1"),
        (torch.rand(1, 2, 2, 3), "one-hot", "whole numbers"),
        (torch.tensor([[[[0, 1, 255]]]]), "bitmask", "a channel has the value"),
        (torch.zeros(1, 2, 2, 63), "bitmask", "takes up to 62"),
    ],
)
def test_stacks_that_are_none_say_so_from_a_device(
    stack: Any, channels: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallies, "is_elsewhere", frameworks.is_tensor)
    with pytest.raises(MaskError, match=said):
        ms.count(stack, classes=4, channels=channels)


@pytest.mark.usefixtures("somewhere")
def test_colours() -> None:
    pixels = np.random.default_rng(2).choice(np.uint8([0, 200]), (2, 5, 6, 4))
    pixels[..., 3] = np.where(pixels[..., 3], 255, 0)
    catalog = ms.ClassCatalog((ms.ClassInfo(0, "a", (), (0xC800C8,)),), name="one")
    for some in (pixels[..., :3], pixels):
        seen = ms.count(torch.from_numpy(some), classes=catalog).histogram
        opaque = some.shape[-1] == 3 or (some[..., 3] == 255)
        wanted = (some[..., :3] == (200, 0, 200)).all(-1) & opaque
        assert seen.pixels.tolist() == [int(wanted.sum())]
        labels = Counter(f"#{bytes(pixel).hex()}" for pixel in some.reshape(-1, some.shape[-1]))
        if some.shape[-1] == 4:  # an opaque pixel's label is its colour's
            labels = Counter({text.removesuffix("ff"): n for text, n in labels.items()})
        del labels["#c800c8"]
        assert {value: count.pixels for value, count in seen.unlisted.items()} == labels


@pytest.mark.usefixtures("somewhere")
def test_more_values_than_a_mask_can_have() -> None:
    with pytest.raises(MaskError, match="more than 65536 different values"):
        ms.count(torch.arange(300 * 300).reshape(300, 300) * 7, classes=4)


class Pairs(data.Dataset):  # type: ignore[misc,name-defined]
    """Items by index, as torch has them; going on behind the end is an error."""

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        assert index < len(self)
        return torch.zeros(3, 6, 70), torch.from_numpy(LABELS[index])


class Stream(data.IterableDataset):  # type: ignore[misc,name-defined]
    """Items as they come."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for mask in LABELS:
            yield {"image": torch.zeros(3, 6, 70), "mask": torch.from_numpy(mask)}


def test_data_sets_and_loaders() -> None:
    for masks in (Pairs(), data.Subset(Pairs(), range(5)), data.DataLoader(Pairs(), batch_size=2)):
        assert same(ms.count(masks, classes=4, key=1), EXPECTED)
        with pytest.raises(ParameterError, match=r"s of 2: .*\(6, 70\).*key=1"):
            ms.count(masks, classes=4) if len(masks) == 5 else ms.count(Pairs(), classes=4)
    for stream in (Stream(), data.DataLoader(Stream(), batch_size=3)):
        assert same(ms.count(stream, classes=4, key="mask"), EXPECTED)
    with pytest.raises(ParameterError, match=r"lists of 2: \(2, 3, 6, 70\), \(2, 6, 70\).*key=1"):
        ms.count(data.DataLoader(Pairs(), batch_size=2), classes=4)


def test_masks_of_any_size_from_a_loader() -> None:
    sizes = [LABELS[0], LABELS[1][:3], LABELS[2][:, :9]]
    loader = data.DataLoader(sizes, batch_size=2, collate_fn=list)
    assert same(ms.count(loader, classes=4, key=list), ms.count(sizes, classes=4))


def test_counters_of_processes_add_up() -> None:
    """What `all_gather_object` does: every process pickles its counter."""
    gathered = []
    for rank in range(2):
        counter = ms.MaskCounter(classes=4)
        for index in range(rank, len(LABELS), 2):
            counter.update(torch.from_numpy(LABELS[index]), names=f"{index}")
        gathered.append(pickle.loads(pickle.dumps(counter)))
    assert same(sum(gathered).scan(), EXPECTED)
