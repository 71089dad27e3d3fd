"""Lists as data sets ship them: whatever they look like, masks count as their folder's do."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import maskstat as ms
from maskstat import cli
from maskstat.errors import ParameterError, SourceError
from maskstat.sources.identities import place_of
from tests.support.scan_cases import grey_png, pixels_of, write
from tests.support.source_cases import source_at

STEMS = [f"2007_{n:06}" for n in range(9)]
MASKS = {stem: grey_png(pixels_of(n)) for n, stem in enumerate(STEMS)}


def photograph() -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (24, 30, 3), np.uint8)
    Image.fromarray(noise).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """A data set of VOC's layout."""
    root = tmp_path / "VOC2012"
    picture = photograph()
    for stem, data in MASKS.items():
        write(root / "SegmentationClass" / f"{stem}.png", data)
        write(root / "JPEGImages" / f"{stem}.jpg", picture)
    return root


def lines_of(form: str, end: str = "\n") -> str:
    """A line for each stem; "{}" stands for it."""
    return "".join(form.replace("{}", stem) + end for stem in STEMS)


IMAGE, MASK = "JPEGImages/{}.jpg", "SegmentationClass/{}.png"
FORMS: dict[str, tuple[str, bytes]] = {
    "from the list's folder": ("train.txt", lines_of(MASK).encode()),
    "from the folder above": ("list/train.txt", lines_of(MASK).encode()),
    "from three above": ("a/b/c/train.txt", lines_of(MASK).encode()),
    "a leading slash": ("list/train.txt", lines_of(f"/{MASK}").encode()),
    "pairs": ("list/train.txt", lines_of(f"/{IMAGE} /{MASK}").encode()),
    "pairs, mask first": ("train.txt", lines_of(f"{MASK} {IMAGE}").encode()),
    "several blanks": ("train.txt", lines_of(f"{IMAGE}    {MASK}  ").encode()),
    "a tab": ("list/train.lst", lines_of(f"{IMAGE}\t{MASK}").encode()),
    "a comma": ("list/train.txt", lines_of(f"{IMAGE}, {MASK}").encode()),
    "a semicolon": ("list/train.txt", lines_of(f"{IMAGE};{MASK}").encode()),
    "a third cell": ("train.txt", lines_of(f"{IMAGE} {MASK} 0.25").encode()),
    "backslashes": ("list/t.txt", lines_of(f"{IMAGE} {MASK}".replace("/", "\\"), "\r\n").encode()),
    "a slash and backslashes": ("list/t.txt", lines_of(f"/{MASK}".replace("/", "\\")).encode()),
    "a byte order mark": ("train.txt", b"\xef\xbb\xbf" + lines_of(f"{IMAGE} {MASK}").encode()),
    "UTF-16": ("train.txt", lines_of(f"{IMAGE} {MASK}", "\r\n").encode("utf-16")),
    "UTF-16, big end first": ("t.txt", ("\ufeff" + lines_of(MASK)).encode("utf-16-be")),
    "a comment": ("train.txt", f"# masks\n\n{lines_of(f'{IMAGE} {MASK}')}".encode()),
    "named columns": ("train.txt", f"image mask\n{lines_of(f'{IMAGE} {MASK}')}".encode()),
    "stems": ("ImageSets/Segmentation/train.txt", lines_of("{}").encode()),
    "stems beside the folder": ("train.txt", lines_of("{}", "\r\n").encode("utf-8-sig")),
    "CSV": ("list.csv", f"image,mask\n{lines_of(f'{IMAGE},{MASK}')}".encode()),
    "CSV in a folder": ("list/l.csv", f"image,mask\n{lines_of(f'/{IMAGE},/{MASK}')}".encode()),
    "CSV without a header": ("list.csv", lines_of(f"{IMAGE},{MASK}").encode()),
    "CSV of masks": ("list.csv", lines_of(MASK).encode()),
    "TSV without a header": ("list.tsv", lines_of(f"{MASK}\t{IMAGE}\t1").encode()),
    "CSV in UTF-16": ("list.csv", f"image,mask\n{lines_of(f'{IMAGE},{MASK}')}".encode("utf-16")),
    "JSONL": ("metadata.jsonl", lines_of(f'{{"file_name": "{IMAGE}", "mask": "{MASK}"}}').encode()),
}


def counts(where: str | Path, **options: object) -> tuple[object, int]:
    with ms.scan(where, classes=7, **options) as scan:  # type: ignore[call-overload]
        assert not scan.failures
        return scan.histogram, scan.histogram.mask_count


@pytest.mark.parametrize("form", FORMS)
def test_every_form_counts_as_the_folder_does(form: str, voc: Path) -> None:
    name, data = FORMS[form]
    write(voc / name, data)
    assert counts(voc / name) == counts(voc / "SegmentationClass")


def datalists() -> dict[str, object]:
    items = [
        {"image": f"./{IMAGE}".replace("{}", s), "label": MASK.replace("{}", s)} for s in STEMS
    ]
    test = [f"./{IMAGE}".replace("{}", stem) for stem in STEMS]
    names = {str(n): f"organ {n}" for n in range(7)}
    return {
        "MSD": {"name": "x", "labels": names, "training": items, "test": test},
        "MONAI": {"training": [{**item, "fold": 0} for item in items], "testing": [{"image": "x"}]},
        "a list": items,
        "a list of paths": [MASK.replace("{}", stem) for stem in STEMS],
        "paths by split": {
            split: [MASK.replace("{}", stem) for stem in stems]
            for split, stems in {"train": STEMS[:5], "val": STEMS[5:]}.items()
        },
        "one key": {"info": {"by": "somebody"}, "data": items},
        "a list in a list": [{**item, "label": [item["label"]]} for item in items],
    }


@pytest.mark.parametrize("form", datalists())
@pytest.mark.parametrize("folder", [".", "lists"])
def test_json_lists_count_as_the_folder_does(form: str, folder: str, voc: Path) -> None:
    where = write(voc / folder / "dataset.json", json.dumps(datalists()[form]).encode())
    assert counts(where)[1] == len(STEMS)
    with ms.scan(where) as scan, ms.scan(voc / "SegmentationClass") as plain:
        assert scan.histogram.pixels.tolist() == plain.histogram.pixels.tolist()
        assert (scan.catalog.names[0] == "organ 0") == (form == "MSD")
        assert scan.source.partition("#")[2] in {"column=label", "column=path"}
        name = scan.ledger.names[0]
        assert place_of(scan.source, name).identity(name) in {
            str(path) for path in (voc / "SegmentationClass").iterdir()
        }


def test_splits_of_a_datalist(voc: Path) -> None:
    items = [{"image": "x.jpg", "label": MASK.replace("{}", stem)} for stem in STEMS]
    lists = {"training": items[:6], "validation": items[6:], "test": [{"image": "y.jpg"}]}
    where = write(voc / "dataset_0.json", json.dumps(lists).encode())
    with ms.scan_splits(where, classes=7, db=voc / "m.db") as scans:
        found = {split: scan.histogram.mask_count for split, scan in scans.items()}
    assert found == {"training": 6, "validation": 3}


def test_paths_outside_the_folder_of_the_list_count_and_are_said(
    voc: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(voc)
    paths = [
        f"../{MASK.replace('{}', STEMS[0])}",
        f"{voc}/{MASK.replace('{}', STEMS[1])}",
        f"{voc}/lists/own.png",
        "./deep/../own_too.png",
    ]
    write(voc / "lists" / "own.png", MASKS[STEMS[2]])
    write(voc / "lists" / "own_too.png", MASKS[STEMS[3]])
    write(voc / "lists" / "deep" / "x", b"")
    write(voc / "lists" / "l.txt", "\n".join(paths).encode())
    with ms.scan(voc / "lists" / "l.txt", classes=7) as scan:
        assert scan.changes is not None
        assert (scan.changes.new, scan.changes.outside) == (4, 2)
    assert cli.run(["scan", "lists/l.txt", "--classes", "7"]) == 0
    assert "0 gone, 2 outside the list's folder" in capsys.readouterr().out


def test_two_readings_of_a_leading_slash_are_asked_about(voc: Path) -> None:
    path = voc / MASK.replace("{}", STEMS[0])
    twin = write(voc / str(path).lstrip("/"), MASKS[STEMS[1]])
    where = write(voc / "l.txt", f"{path}\n".encode())
    with pytest.raises(SourceError, match="and both are there; leave out the leading /") as caught:
        ms.scan(where, classes=7)
    assert str(path) in str(caught.value)
    assert str(twin) in str(caught.value)
    twin.unlink()
    os.link(path, twin)  # one file in both: no question
    assert counts(where)[1] == 1


def test_stems_that_several_folders_have(voc: Path) -> None:
    """VOC's lists mean its own masks; lists that go beyond them mean the others."""
    own = write(voc / "ImageSets" / "Segmentation" / "train.txt", lines_of("{}").encode())
    for stem, data in {**MASKS, "2008_1": grey_png(pixels_of(40))}.items():
        write(voc / "SegmentationClassAug" / f"{stem}.png", data)
    with ms.scan(own, classes=7) as scan:
        assert scan.ledger.names[0] == f"../../SegmentationClass/{STEMS[0]}.png"
    aug = write(own.with_name("trainaug.txt"), (lines_of("{}") + "2008_1\n").encode())
    with ms.scan(aug, classes=7) as scan:
        assert scan.ledger.names[0] == f"../../SegmentationClassAug/{STEMS[0]}.png"
        assert scan.histogram.mask_count == len(STEMS) + 1
    (voc / "SegmentationClass").rename(voc / "masks")
    with pytest.raises(SourceError, match="several folders have masks") as caught:
        ms.scan(own, classes=7)
    assert "include='../../masks/*.png'" in str(caught.value)
    chosen = {"include": "../../masks/*.png"}
    with ms.scan(own, classes=7, **chosen) as scan:  # type: ignore[call-overload]
        assert scan.ledger.names[0] == f"../../masks/{STEMS[0]}.png"


def test_columns_without_names_are_chosen_by_number(voc: Path) -> None:
    """What neither files nor words tell apart is asked about."""
    where = write(voc / "list.csv", lines_of("gone/{}.png,lost/{}.png").encode())
    with pytest.raises(SourceError, match=r"its first row is gone/2007_000000\.png, lost/.*NUMBER"):
        ms.scan(where, classes=7)
    both = write(voc / "both.txt", lines_of(f"{MASK} {MASK}").encode())
    assert counts(both, column="2") == counts(voc / "SegmentationClass")
    words = write(voc / "far.txt", lines_of("gone/{}.png labels/{}.png").encode())
    assert next(source_at(words).entries()).name == f"labels/{STEMS[0]}.png"
    with pytest.raises(ParameterError, match="lists of several columns"):
        ms.scan(write(voc / "one.txt", lines_of(MASK).encode()), classes=7, column="1")


def test_a_header_is_no_mask_and_a_mask_is_no_header(voc: Path) -> None:
    """Also where folders are called as columns are."""
    (voc / "mask").mkdir()
    where = write(voc / "list.csv", f"image,mask\n{lines_of(f'{IMAGE},{MASK}')}".encode())
    assert counts(where)[1] == len(STEMS)


def test_names_with_blanks_and_commas_stay_one_path(tmp_path: Path) -> None:
    names = ["my masks/a 1.png", "my masks/b, 2.png"]
    for name in names:
        write(tmp_path / name, MASKS[STEMS[0]])
    where = write(tmp_path / "l.txt", "\n".join(names).encode())
    assert counts(where)[1] == 2


HOSTILE: dict[str, tuple[str, bytes, Callable[[str], bool]]] = {
    "zero bytes in a pair": ("l.txt", b"a.jpg m/0.png\nb.jpg m/\0.png\n", lambda t: "zero" in t),
    "a name with a blank": (
        "l.txt",
        b"a.jpg m/0.png\n" * 9 + b"b c.jpg m/0.png\n",
        lambda t: "row 10: no row of a table: 3 cells, and the first row has 2" in t,
    ),
    "control characters": ("l.txt", b"a.jpg \x1b[2Jm.png\n", lambda t: "\\x1b[2Jm.png" in t),
    "a path far up": ("l.txt", b"../" * 4000 + b"etc/passwd\n", lambda t: "can't be read" in t),
    "a device": ("l.txt", b"/dev/zero\n", lambda t: "not a regular file" in t),
    "JSON that ends": (
        "l.jsonl",
        b'{"mask": "m.png"}\n{"mask": \n',
        lambda t: "it is no JSON" in t,
    ),
    "deep JSON": ("l.jsonl", b'{"mask": "m.png"}\n' + b"[" * 9**5, lambda t: "no JSON" in t),
    "no object": ("l.jsonl", b'{"mask": "m.png"}\n7\n', lambda t: "it is no object" in t),
    "half a pair": ("l.jsonl", b'{"mask": "\\ud800.png"}\n', lambda t: "can't be read" in t),
    "JSON's zero": ("l.jsonl", b'{"mask": "a\\u0000.png"}\n', lambda t: "a zero byte" in t),
    "no list": ("l.json", b'{"training": 7}', lambda t: "lists of masks are" in t),
    "empty lists": ("l.json", b'{"training": []}', lambda t: "lists of masks are" in t),
    "a deep list": ("l.json", b"[" * 9**5, lambda t: "no annotation file" in t),
    "numbers": ("l.json", b'[{"mask": 7}, {"mask": 8}]', lambda t: "which column" in t),
    "several values": (
        "l.json",
        b'[{"mask": ["a.png", "b.png"]}, {"mask": ["c.png", "d.png"]}]',
        lambda t: "which column" in t,
    ),
    "a long number": ("l.json", b'[{"mask": ' + b"9" * 5000 + b"}]", lambda t: "limit" in t),
    "no text": ("l.txt", b"\xff\xfe\x00", lambda t: "can't be read" in t or "no text" in t),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_lists_are_refused_in_one_line(case: str, tmp_path: Path) -> None:
    name, data, says = HOSTILE[case]
    write(tmp_path / "m" / "0.png", MASKS[STEMS[0]])
    where = write(tmp_path / name, data)
    try:
        with ms.scan(where, classes=7) as scan:
            texts = [f"{failure.mask}: {failure.reason}" for failure in scan.failures]
    except SourceError as error:
        texts = [str(error)]
    assert texts
    assert any(map(says, texts)), texts
    assert all(text.isprintable() for text in texts)
