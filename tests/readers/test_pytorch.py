"""PyTorch's files: tensors count as torch has them; pickles of anything else are refused."""

from __future__ import annotations

import io
import pickle
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskstat as ms
from maskstat.errors import MaskError
from maskstat.readers.formats import open_planes, read_label_map, read_tally, recognise
from maskstat.readers.options import ReadOptions
from tests.support.mask_files import STRICT, labels, npy, refusal
from tests.support.packages import package
from tests.support.tracing import stop_tracing

torch = package("torch", reason="needs PyTorch")
LABELS = labels(9)


def saved(held: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(held, stream, **options)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_tensors_are_read_as_they_are(dtype: str) -> None:
    array = LABELS.astype(dtype)
    for tensor in (torch.from_numpy(array), torch.from_numpy(np.ascontiguousarray(array.T)).T):
        data = saved(tensor)
        assert recognise(data).name == "PyTorch"
        tally = read_tally(data, "m", STRICT)
        tally.check()
        values, counts = np.unique(array.astype(np.int64), return_counts=True)
        assert (tally.values.tolist(), tally.counts.tolist()) == (values.tolist(), counts.tolist())
        assert np.array_equal(read_label_map(data, STRICT).pixels, array)


def test_several_tensors_and_planes(tmp_path: Path) -> None:
    volume = torch.from_numpy(np.stack([labels(5, seed=k) for k in range(3)]))
    data = saved({"image": volume * 0.5, "label": volume})
    found = open_planes(io.BytesIO(data), ReadOptions(pages="each"))
    assert found is not None and found.count == 3
    for at in range(3):
        assert np.array_equal(found.label_map(at, "m").pixels, volume[at].numpy())
    two = saved([volume[0], {"a": volume[1], "rest": "text"}])
    assert "has 2 arrays: array=NAME chooses one (it has 0, 1/a)" in refusal(two)
    tally = read_tally(two, "m", ReadOptions(array="1/a"))
    assert tally.counts.sum() == volume[1].numel()
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "a.pt").write_bytes(data)
    (tmp_path / "masks" / "model.pth").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "masks.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "masks" / "a.pt", "a.pt")
    for source in (tmp_path / "masks", tmp_path / "masks.zip"):
        with ms.scan(source, classes=5, pages="each") as scan:
            assert scan.ledger.names == ("a.pt#1", "a.pt#2", "a.pt#3")
            expected = np.bincount(volume.ravel(), minlength=5)
            assert scan.histogram.pixels.tolist() == expected.tolist()


class Surprise:
    """What a pickle can hold."""

    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('ran')",))


def test_what_only_pickles_hold_is_refused() -> None:
    for held, said in (
        (LABELS, "multiarray._reconstruct, which only a pickle makes that may run any code"),
        (Surprise(), "code"),
        ({"label": torch.zeros(2, 2), "extra": Surprise()}, "code"),
        ("text", "holds no tensor"),
        (torch.zeros(3, 3).to_sparse(), "a sparse, quantised or empty tensor"),
        (torch.empty(3, 3, device="meta"), "a sparse, quantised or empty tensor"),
        (torch.zeros(3, 3, dtype=torch.bfloat16), "type bfloat16"),
        (torch.zeros(3, 3) * 1j, "type complex64"),
        (torch.zeros(3, 3) + 0.5, "value 0.5"),
        (torch.zeros(3), "where (H, W) is expected"),
    ):
        assert said in refusal(saved(held))
    old = saved(torch.zeros(2, 2), _use_new_zipfile_serialization=False)
    assert "a file of PyTorch before 1.6, a pickle" in refusal(old)
    assert "a Python pickle, which may run any code" in refusal(pickle.dumps(LABELS))
    assert "are pickles, which may run any code" in refusal(npy(np.array([[None]])))


def test_files_that_lie() -> None:
    """A tensor of one number with 2^40 items; records that are packed, or damaged."""
    huge = saved(torch.zeros(1).expand(1 << 20, 1 << 20))
    packed = io.BytesIO()
    whole = saved(torch.from_numpy(LABELS))
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(packed, "w", 8) as new:
        for one in old.infolist():
            new.writestr(one.filename, old.read(one) + bytes(50_000_000))
    damaged = bytearray(whole)
    damaged[whole.index(LABELS.tobytes()) + 5] ^= 1
    tracemalloc.start()
    try:
        assert "would take 4194304 MiB" in refusal(huge)
        assert "as torch stores them" in refusal(packed.getvalue())
        assert "data/0' in it is damaged" in refusal(bytes(damaged))
        assert tracemalloc.get_traced_memory()[1] < 400_000_000
    finally:
        stop_tracing()
    for length in range(60, len(whole), 20):
        assert "PyTorch" in refusal(whole[:length])


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(torch.from_numpy(LABELS))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MaskError, match=r'needs torch: pip install "maskstat\[torch\]"'):
        read_tally(data, "m", STRICT)
