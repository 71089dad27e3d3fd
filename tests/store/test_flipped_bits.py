"""One bit of a store is another one: a command says what it said before, or one short line.

200 stores in the normal run, each read by one command; MASKSTAT_FUZZ=3000 for as many stores and
three commands each, MASKSTAT_FUZZ_SEED for other bits.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskstat import cli

STORES = int(os.environ.get("MASKSTAT_FUZZ", "200"))
COMMANDS = 3 if "MASKSTAT_FUZZ" in os.environ else 1
SEED = int(os.environ.get("MASKSTAT_FUZZ_SEED", "15"))
CLASSES = ["--classes", "5"]
PROFILE = [*CLASSES, "--profile", "--grid", "4"]
# What is typed one after the other, and is to say the same again.
SESSIONS: dict[str, list[list[str]]] = {
    "show": [["show", "--json"], ["show"]],
    "scans": [["scans"]],
    "weights": [["weights", "--scheme", "median-frequency"], ["weights", "--compare"]],
    "costs": [["costs"]],
    "sampling": [["sampling", "--method", "repeat-factor"]],
    "check": [["check"]],
    "compare": [["compare", "train", "val"]],
    "heatmaps": [["plot", "heatmaps", "-o", "h.svg"]],
    "components": [["plot", "components", "-o", "c.svg", "--scan", "train"]],
    "report": [["report", "-o", "r.md"]],
    "export": [["export"], ["export", "--layout", "long", "--scan", "val"]],
    "merge": [
        ["merge", "s.db", "other.db", "-o", "m.db", "--name", "both", "--force"],
        ["show", "--db", "m.db", "--json"],
        ["export", "--db", "m.db"],
    ],
    "scan": [["scan", "masks/train", *CLASSES], ["show", "--json"], ["export"]],
    "profile": [["scan", "masks/train", *PROFILE], ["show", "--json"], ["export"]],
    "exposure": [["exposure", "--crop", "4", "--crops", "3", "--json"]],
    "groups": [["show", "--scan", "listed", "--json"], ["show", "--scan", "val", "--json"]],
}
_DATES = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\+00:00|Z| UTC)?|\b[\d.]+ m?s\b")

Answer = tuple[int, str, str]


def said(*command: str) -> Answer:
    """The exit code of a command and what it prints, without dates and durations."""
    out, err = io.BytesIO(), io.BytesIO()
    with (
        contextlib.redirect_stdout(io.TextIOWrapper(out, "utf-8", write_through=True)),
        contextlib.redirect_stderr(io.TextIOWrapper(err, "utf-8", write_through=True)),
    ):
        code = cli.run(list(command))
        return (
            code,
            _DATES.sub("", out.getvalue().decode()),
            _DATES.sub("", err.getvalue().decode()),
        )


def session(name: str) -> list[Answer]:
    """The same of several commands, up to the first that ends with an error."""
    answers: list[Answer] = []
    for command in SESSIONS[name]:
        answers.append(said(*command))
        if answers[-1][0] == 1:
            break
    return answers


def is_refusal(answer: Answer) -> bool:
    """Whether it ends with one short line about a store."""
    code, _, err = answer
    *_, last = err.splitlines() or [""]
    about_a_store = last.startswith("maskstat: ") and ".db: " in last and "bug" not in last
    return code == 1 and about_a_store and len(last) < 200


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A store of two splits with profiles, one with failures and an exposure, beside its masks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASKSTAT_DB", "s.db")
    monkeypatch.setenv("COLUMNS", "80")
    chance = np.random.default_rng(SEED)
    for split, masks in (("train", 9), ("val", 4), ("more", 3)):
        folder = tmp_path / "masks" / split
        folder.mkdir(parents=True)
        for n in range(masks):
            pixels = np.kron(chance.integers(0, 5, (4, 3)), np.ones((3, 3), int))
            pixels[n % 7, 3:5] = 4
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"mask{n}.png")
    for n in range(2):
        (tmp_path / "masks" / "train" / f"text{n}.png").write_text("no mask")
    rows = [f"masks/val/mask{n}.png,patient {n % 2}" for n in range(4)]
    Path("listed.csv").write_text("\n".join(["mask,patient", *rows]))
    assert said("scan", "listed.csv", *CLASSES, "--group-by", "column:patient")[0] == 0
    for split in ("val", "train"):
        assert said("scan", f"masks/{split}", *PROFILE, "--group-by", "[0-2]|[3-8]")[0] in {0, 3}
    assert said("scan", "masks/more", *PROFILE, "--db", "other.db")[0] == 0
    assert said("exposure", "--crop", "4", "--crops", "3")[0] == 0
    return Path("s.db").read_bytes()


def test_any_bit_in_any_command(whole: bytes) -> None:
    path = Path("s.db")
    expected = {}
    for name in SESSIONS:
        path.write_bytes(whole)
        expected[name] = session(name)
        assert {code for code, _, _ in expected[name]} <= {0, 3}, expected[name]
    chance = random.Random(SEED)
    written = [at for at, byte in enumerate(whole) if byte]
    figures: Counter[str] = Counter()
    wrong: list[object] = []
    for _ in range(STORES):
        at, bit = chance.choice(written), chance.randrange(8)
        damaged = bytearray(whole)
        damaged[at] ^= 1 << bit
        for name in chance.sample(list(SESSIONS), COMMANDS):
            path.write_bytes(damaged)
            answers = session(name)
            if answers == expected[name]:
                figures["equal"] += 1
            elif is_refusal(answers[-1]) and answers[:-1] == expected[name][: len(answers) - 1]:
                figures["refused"] += 1
            else:
                wrong.append((name, at, bit, answers))
    print(f"{STORES:,} stores, {STORES * COMMANDS:,} commands: {dict(figures)}, {len(wrong)} wrong")
    assert not wrong, wrong[:3]
    assert figures["refused"]
