"""A folder with something of everything that an option may name, right and wrong."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from maskstat.api.making import scan
from maskstat.api.stores import remove_scan

CLASSES = 4


def save(path: Path, pixels: ArrayLike) -> None:
    """A mask of 8 bits as .npy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.asarray(pixels, np.uint8))


def build(folder: Path) -> Path:
    """Fill an empty folder; a store with several scans is in it, `masks` the latest."""
    _masks(folder)
    _catalogues(folder)
    _numbers(folder)
    _annotations(folder)
    _stores(folder)
    return folder


def _masks(folder: Path) -> None:
    save(folder / "masks" / "mask_1.npy", [[0, 0, 0], [0, 1, 255]])
    save(folder / "masks" / "mask_2.npy", [[0, 0], [1, 1]])
    save(folder / "masks" / "mask_10.npy", [[3, 0]])
    for name, shape in (("mask_1", (2, 3)), ("mask_2", (2, 2)), ("mask_10", (1, 2))):
        (folder / "scores").mkdir(exist_ok=True)
        np.save(folder / "scores" / f"{name}.npy", np.zeros((CLASSES, *shape), np.float32))
    save(folder / "odd" / "mask_1.npy", [[0, 1], [9, 200]])
    save(folder / "void" / "mask_1.npy", [[255, 255]])
    save(folder / "fine" / "a.npy", [[0, 1, 2, 3]])
    save(folder / "fine" / "b.npy", [[3, 3, 2, 1]])
    save(folder / "splits" / "train" / "a.npy", [[0, 1, 2, 3]])
    save(folder / "splits" / "val" / "b.npy", [[0, 1, 1, 3]])
    save(folder / "damaged" / "good.npy", [[0]])
    (folder / "damaged" / "broken.npy").write_bytes(b"\x93NUMPY nonsense")
    save(folder / "volume" / "stack.npy", np.zeros((2, 3, 5)))
    (folder / "empty").mkdir()
    (folder / "photos").mkdir()
    Image.new("RGB", (3, 2)).save(folder / "photos" / "mask_1.jpg")
    (folder / "lossy").mkdir()
    Image.new("L", (3, 2)).save(folder / "lossy" / "mask_1.jpg")
    (folder / "colours").mkdir()
    Image.new("RGB", (3, 2), "#804080").save(folder / "colours" / "mask_1.png")
    (folder / "arrays").mkdir()
    np.savez(folder / "arrays" / "two.npz", a=np.zeros((2, 2), "u1"), b=np.zeros((2, 2), "u1"))
    pages = [Image.new("L", (3, 2)), Image.new("L", (3, 2))]
    pages[0].save(folder / "scanner.tif", save_all=True, append_images=pages[1:])
    (folder / "volume.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (folder / "brain.nii").write_bytes(
        (348).to_bytes(4, "little") + bytes(340) + b"n+1\0" + bytes(200)
    )
    (folder / "liver.dcm").write_bytes(bytes(128) + b"DICM" + bytes(200))
    (folder / "label.zarr").mkdir()
    (folder / "label.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "array"}')
    (folder / "list.txt").write_text("masks/mask_1.npy\n")
    (folder / "table.csv").write_text("mask,split\nmasks/mask_1.npy,train\n")
    (folder / "strange.csv").write_text("first,second\n1,2\n")
    (folder / "truncated.zip").write_bytes(b"PK\x03\x04 nonsense")
    (folder / "truncated.tar").write_bytes(b"nonsense")
    (folder / "packed.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd nonsense")
    (folder / "table.parquet").write_bytes(b"nonsense")
    (folder / "a.tfrecord").write_bytes(b"nonsense")


def _catalogues(folder: Path) -> None:
    names = ["road", "sky", "pole", "car"]
    texts = {
        "named.yaml": json.dumps(names),
        "brackets.yaml": "classes: [road, [",
        "brackets.json": '{"classes": ["road"',
        "number.yaml": "7",
        "twice.yaml": "classes: [road, road]",
        "clash.yaml": "classes: [{name: road, value: 1}, {name: sky, value: 1}]",
        "unknown.yaml": "classes: [road]\nclases: [sky]",
        "unknown_class.yaml": "classes: [{name: road, colou: 1}]",
        "half.yaml": "classes: [{name: road, value: 1.5}]",
        "colour.yaml": "classes: [{name: road, colour: pink}]",
        "unnamed.yaml": "classes: [{value: 1}]",
        "none.yaml": "classes: []",
        "shape.yaml": "classes: {road: sky}",
        "empty.txt": "# nothing\n\n",
        "street.yaml": 'classes: [{name: road, colour: "#804080"}]',
        "escape.yaml": 'classes: ["a\\e[2Jb", "a\\e[2Jb"]',
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "latin.yaml").write_bytes(b"classes: [stra\xdfe]")
    (folder / "folder.yaml").mkdir()


def _numbers(folder: Path) -> None:
    texts = {
        "weights.json": "[1.0, 2.0, 3.0, 4.0]",
        "three.json": "[1.0, 2.0, 3.0]",
        "zero.json": "[0.0, 0.0, 0.0, 0.0]",
        "nan.json": "[1.0, NaN, 3.0, 4.0]",
        "words.json": '{"format": "something else", "weights": [1, 2, 3, 4]}',
        "broken.json": '{"weights": [1.0,',
        "negative.csv": "weights\n-1\n2\n3\n4\n",
        "matrix_3.csv": "0,1,1\n1,0,1\n1,1,0\n",
        "matrix_nan.csv": "0,1,1,1\n1,0,nan,1\n1,1,0,1\n1,1,1,0\n",
        "matrix_words.txt": "a b\nc d\n",
        "matrix_broken.json": "[[0, 1",
        "matrix.xlsx": "0",
        "matrix.txt": "0 1 1 1\n1 0 1 1\n1 1 0 1\n1 1 1 0\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "matrix.npy").write_bytes(b"\x93NUMPY nonsense")
    (folder / "folder.json").mkdir()
    (folder / "folder.csv").mkdir()
    (folder / "folder.png").mkdir()
    (folder / "folder.html").mkdir()


def _annotations(folder: Path) -> None:
    segments = [{"file_name": "mask_1.png", "segments_info": [{"id": 8, "category_id": 1}]}]
    good = {"categories": [{"id": 1, "name": "road"}], "annotations": segments}
    (folder / "panoptic.json").write_text(json.dumps(good))
    (folder / "instances.json").write_text(json.dumps({"images": [], "annotations": []}))
    polygon = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 2, 0, 2, 2]]}
    image = {"id": 1, "file_name": "a.jpg", "height": 2, "width": 3}
    (folder / "polygons.json").write_text(
        json.dumps({**good, "images": [image], "annotations": [polygon]})
    )
    (folder / "uncategorised.json").write_text(json.dumps({**good, "categories": []}))


def _stores(folder: Path) -> None:
    db = folder / "maskstat.db"
    for name in ("odd", "void", "fine", "masks"):
        scan(folder / name, classes=CLASSES, db=db, name=name).close()
    scan(folder / "colours", classes=folder / "street.yaml", db=db, name="colours").close()
    scan(folder / "masks", classes=CLASSES, db=db, name="named \x1b[2J").close()
    with scan(folder / "masks", classes=CLASSES, db=db, name="masks") as masks:
        masks.exposure(crop=2)
    coloured = folder / "coloured.db"
    scan(folder / "colours", classes=folder / "street.yaml", db=coloured).close()
    scan(folder / "masks", classes=CLASSES, db=folder / "hollow.db", name="masks").close()
    remove_scan(folder / "hollow.db", "masks")
    torn = (folder / "maskstat.db").read_bytes()
    (folder / "torn.db").write_bytes(torn[:4096] + b"\xff" * (len(torn) - 4096))
    shutil.copy(folder / "hollow.db", folder / "newer.db")
    with sqlite3.connect(folder / "newer.db") as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    (folder / "text.db").write_text("this is no database, but long enough to look like one" * 20)
    with sqlite3.connect(folder / "other.db") as connection:
        connection.execute("CREATE TABLE something (a)")
    connection.close()
