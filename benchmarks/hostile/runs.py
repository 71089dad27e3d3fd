"""Runs that are killed, run out of disk or meet each other; stores whose bytes change.

Every kind has a task that ends in a file, and what an undisturbed run leaves in it. Whatever
happens to the task, what was committed stays, nothing that is not true comes in, and the same
command run again ends where the undisturbed one did.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

import maskstat as ms
from benchmarks.hostile.files import PATIENCE, Tally, in_children
from maskstat.errors import MaskstatError
from maskstat.executors import threads
from maskstat.regions.profile_bytes import to_bytes
from maskstat.scanning import recording
from tests.support.png_factory import png

MASKS = 300
CLASSES = 4
_FORK = multiprocessing.get_context("fork")


def make_masks(folder: Path, count: int = MASKS, seed: int = 7) -> Path:
    """Tiny masks in a few folders; some can't be read."""
    chance = np.random.default_rng(seed)
    for number in range(count):
        path = folder / f"{number % 7}" / f"mask_{seed}_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = chance.integers(0, CLASSES, (3, 4))
        path.write_bytes(b"broken" if number % 100 == 3 else png(pixels, 8, [0, 1, 2]))
    return folder


def rows(db: Path, table: str = "mask") -> set[tuple[Any, ...]]:
    """All rows of a store that SQLite finds sound; the scan's number is left out."""
    if not db.exists():
        return set()
    with closing(sqlite3.connect(db, timeout=10)) as connection:
        checked = connection.execute("PRAGMA integrity_check").fetchall()
        if checked != [("ok",)]:
            raise AssertionError(f"the store is damaged: {checked[:2]}")
        if not connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = ?", (table,)
        ).fetchall():
            return set()
        return {row[1:] for row in connection.execute(f"SELECT * FROM {table}")}


def said(db: Path, *, name: str | None = None, profile: bool = False) -> tuple[Any, ...]:
    """All that a store says of a scan: counts, names, failures, weights, pixel profile."""
    with ms.open_scan(db, name) as scan:
        ledger = scan.ledger
        return (
            scan.info.complete,
            scan.catalog.digest,
            scan.histogram.counts_digest(),
            tuple(ledger.names),
            tuple((one.mask, one.reason) for one in scan.failures),
            scan.weights("balanced").weights.tolist() if scan.info.complete else None,
            to_bytes(scan.need_profile()) if profile else None,
        )


@dataclass(frozen=True)
class Task:
    """Something that is killed. `run(place)` does it, `result(place)` reads what it left."""

    run: Callable[[Path], None]
    committed: Callable[[Path], set[Any]]
    result: Callable[[Path], Any]


def _slowly() -> None:
    """Commit very often and a few masks at a time, so that kills find a scan at work."""
    threads.CHUNK_FILES = 2
    recording.FLUSH_SECONDS = 0.002
    recording.BLOCK_MASKS = 5


def _scan(masks: Path, *, profile: bool) -> Task:
    def run(place: Path) -> None:
        _slowly()
        db = place / "s.db"
        more: dict[str, Any] = {"profile": True, "grid": 4} if profile else {}
        ms.scan(masks, classes=CLASSES, db=db, workers=2, **more).close()

    return Task(
        run, lambda place: rows(place / "s.db"), lambda place: said(place / "s.db", profile=profile)
    )


def _merge(stores: list[Path]) -> Task:
    def run(place: Path) -> None:
        if not (place / "m.db").exists():  # else it was whole when it was killed
            ms.merge(stores, place / "m.db").close()

    def committed(place: Path) -> set[Any]:
        return rows(place / "m.db")

    return Task(run, committed, lambda place: said(place / "m.db"))


def _weights(db: Path) -> Task:
    """Two tables are saved in turns under one name; at all times it is one of them or not there."""
    with ms.open_scan(db) as scan:
        tables = [scan.weights("balanced"), scan.weights("sqrt")]
    with tempfile.TemporaryDirectory() as folder:
        texts = {table.save(Path(folder) / "w.json").read_text() for table in tables}

    def run(place: Path) -> None:
        for turn in range(40):
            tables[turn % 2].save(place / "w.json")

    def committed(place: Path) -> set[Any]:
        path = place / "w.json"
        if path.exists() and path.read_text() not in texts:
            raise AssertionError("half a weight file")
        return set()

    def result(place: Path) -> Any:
        tables[0].save(place / "w.json")
        return [path.name for path in place.iterdir()], json.loads((place / "w.json").read_text())

    return Task(run, committed, result)


def tasks(base: Path) -> dict[str, Task]:
    """Every kind of run that is killed, with masks and stores below `base`."""
    masks = make_masks(base / "masks")
    parts = []
    for number in range(3):
        folder = make_masks(base / f"part_{number}", 400, seed=number)
        parts.append(base / f"part_{number}.db")
        ms.scan(folder, classes=CLASSES, db=parts[-1]).close()
    return {
        "kill scan": _scan(masks, profile=False),
        "kill scan --profile": _scan(masks, profile=True),
        "kill merge": _merge(parts),
        "kill weights -o": _weights(parts[0]),
    }


def kill(task: Task, kills: int, where: str, seed: int = 1) -> Tally:
    """Kill a task at random moments, run it again each time, and compare in the end.

    Every time it ends by itself, its result is compared, and a new one is begun.
    """
    tally, chance, start = Tally(), random.Random(seed), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        undisturbed = base / "undisturbed"
        undisturbed.mkdir()
        task.run(undisturbed)  # and compiles what forked children then have
        begun = time.perf_counter()
        (base / "timed").mkdir()
        _forked(lambda: task.run(base / "timed"), None)
        usual = time.perf_counter() - begun
        expected, complete = task.result(undisturbed), task.committed(undisturbed)
        place, kept = base / "0", set[Any]()
        place.mkdir()
        turn = 0
        while tally.outcomes["equal"] + tally.bad < kills:
            turn += 1
            ended = _forked(lambda: task.run(place), chance.uniform(0, usual * 0.8))  # noqa: B023
            try:
                found = task.committed(place)
                if not kept <= found <= complete:
                    raise AssertionError(
                        f"lost {len(kept - found)}, untrue {len(found - complete)}"
                    )
                kept = found
                if ended is None:
                    tally.outcomes["equal"] += 1
                if ended not in (None, 0):
                    raise AssertionError(f"ended with {ended}")
                if ended == 0 or chance.random() < 0.1:
                    _forked(lambda: task.run(place), None)  # noqa: B023
                    if task.result(place) != expected:
                        raise AssertionError("another result than undisturbed")
                    place, kept = base / str(turn), set()
                    place.mkdir()
            except Exception as error:
                tally.outcomes["wrong"] += 1
                tally.told.append(
                    f"{where} seed {seed} turn {turn}: {type(error).__name__}: {error}"
                )
                place, kept = base / str(turn), set()
                place.mkdir(exist_ok=True)
    tally.seconds = time.perf_counter() - start
    return tally


def _forked(run: Callable[[], None], killed_after: float | None) -> int | None:
    """The exit code of a child that runs something; None where it was killed."""
    child = _FORK.Process(target=_quiet, args=(run,))
    child.start()
    child.join(PATIENCE if killed_after is None else killed_after)
    if child.is_alive():
        child.kill()
        child.join()
        if killed_after is None:
            raise AssertionError(f"no end after {PATIENCE:.0f} s")
        return None
    return child.exitcode


def _quiet(run: Callable[[], None]) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    run()


# --- a disk that is full -------------------------------------------------------------------------


def full_disk(base: Path, turns: int, seed: int = 1) -> Tally:
    """A limit on the size of files, of anything up to what is needed, then the same without."""
    tally, chance, start = Tally(), random.Random(seed), time.perf_counter()
    masks = make_masks(base / "full")
    every = {"scan": _scan(masks, profile=False), "scan --profile": _scan(masks, profile=True)}
    expected, size = {}, {}
    for name, task in every.items():
        (base / name).mkdir()
        _forked(lambda: task.run(base / name), None)  # noqa: B023
        expected[name] = task.result(base / name)
        size[name] = (base / name / "s.db").stat().st_size
    for turn in range(turns):
        name = list(every)[turn % 2]
        task = every[name]
        limit = int(chance.uniform(0.01, 1.2) * size[name])
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            try:
                code = _forked(lambda: _limited(task, place, limit), None)  # noqa: B023
                if code not in (0, 3):
                    raise AssertionError(f"exit code {code} with {limit} bytes")
                kept = task.committed(place)
                _forked(lambda: task.run(place), None)  # noqa: B023
                if not kept <= task.committed(place) or task.result(place) != expected[name]:
                    raise AssertionError(f"another result behind {limit} bytes")
                tally.outcomes["refused" if code else "equal"] += 1
            except Exception as error:
                tally.outcomes["wrong"] += 1
                tally.told.append(f"full disk seed {seed} turn {turn} ({name}): {error}")
    tally.seconds = time.perf_counter() - start
    return tally


def _limited(task: Task, place: Path, size: int) -> None:
    """Exit code 3 where the task ends with an error of ours; any other error is code 1."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        task.run(place)
    except MaskstatError:
        os._exit(3)


# --- bytes of a store that change ----------------------------------------------------------------


def flip_store(base: Path, flips: int, seed: int = 1) -> Tally:
    """Change one bit of a store, and ask it everything: the same answer, or a refusal."""
    sound = base / "sound.db"
    masks = make_masks(base / "flipped", 60)
    ms.scan(masks, classes=["road", "car", "sky", "tree"], db=sound, profile=True, grid=4).close()

    def some(first: int, last: int, sender: Connection) -> None:
        _flip_some(sound, first, last, seed, sender)

    return in_children(some, flips, f"{FLIPS} seed {seed}")


def _flip_some(sound: Path, first: int, last: int, seed: int, sender: Connection) -> None:
    data = sound.read_bytes()
    expected = said(sound, profile=True)
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(first, last):
            at = int(np.random.default_rng([seed, turn]).integers(8 * len(data)))
            changed = bytearray(data)
            changed[at // 8] ^= 1 << at % 8
            path = Path(folder) / f"{turn}.db"
            path.write_bytes(changed)
            sender.send(("about", turn, "ours"))
            sender.send(("verdict", turn, *_asked(path, expected)))
            path.unlink()


def _asked(path: Path, expected: Any) -> tuple[str, str]:
    """Whether a store still says what it said, or refuses in one short line."""
    try:
        if said(path, profile=True) == expected:
            return "equal", ""
        return "wrong", "another answer"
    except MaskstatError as error:
        text = str(error)
        short = text.isprintable() and len(text) < 200 + len(str(path))
        return ("refused", "") if short else ("bug", f"no short line: {text[:200]!r}")
    except Exception as error:
        return "bug", f"{type(error).__name__}: {str(error)[:200]}"


# --- two at once ---------------------------------------------------------------------------------


def two_at_once(base: Path, turns: int, seed: int = 1) -> Tally:
    """Two processes scan into one store: the same scan, another name, another source."""
    tally, start = Tally(), time.perf_counter()
    one, two = make_masks(base / "one", seed=11), make_masks(base / "two", seed=12)
    truth = {}
    for masks in (one, two):
        ms.scan(masks, classes=CLASSES, db=base / f"{masks.name}.db").close()
        truth[masks] = said(base / f"{masks.name}.db")
    pairs = [
        ((one, "a"), (one, "a")),
        ((one, "a"), (one, "b")),
        ((one, "a"), (two, "b")),
        ((one, "a"), (two, "a")),
    ]
    for turn in range(turns):
        with tempfile.TemporaryDirectory() as folder:
            db, pair = Path(folder) / "s.db", pairs[turn % len(pairs)]
            try:
                codes = _together(db, pair)
                rivals = pair[0][1] == pair[1][1] and pair[0][0] != pair[1][0]
                if any(codes) and not (rivals and sorted(codes) == [0, 3]):
                    raise AssertionError(f"exit codes {codes}")
                for (masks, name), code in zip(pair, codes, strict=True):
                    with ms.open_scan(db, name) as scan:
                        mine = scan.source == str(masks.resolve())
                    # Else the other one came later, and took the name.
                    if not code and (mine or not rivals) and said(db, name=name) != truth[masks]:
                        raise AssertionError(f"{name}: another result")
                tally.outcomes["refused" if any(codes) else "equal"] += 1
            except Exception as error:
                tally.outcomes["wrong"] += 1
                tally.told.append(f"two runs seed {seed} turn {turn}: {error!r}")
    tally.seconds = time.perf_counter() - start
    return tally


def _together(db: Path, pair: Sequence[tuple[Path, str]]) -> list[int]:
    """Exit codes of scans that begin at once."""
    children = [_FORK.Process(target=_scan_into, args=(masks, name, db)) for masks, name in pair]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE)
    if any(child.is_alive() for child in children):
        for child in children:
            child.kill()
        raise AssertionError(f"no end after {PATIENCE:.0f} s")
    return [int(child.exitcode or 0) for child in children]


def _scan_into(masks: Path, name: str, db: Path) -> None:
    _quiet(_slowly)
    try:
        ms.scan(masks, classes=CLASSES, db=db, name=name, workers=2).close()
    except MaskstatError:
        os._exit(3)


def at_work(kind: str, count: int, seed: int = 1) -> Tally:
    """One of the kinds below, by its name, in a folder of its own."""
    base = Path(tempfile.mkdtemp())
    try:
        if kind in OTHERS:
            return OTHERS[kind](base, count, seed)
        return kill(tasks(base)[kind], count, kind, seed)
    finally:
        shutil.rmtree(base, ignore_errors=True)


FLIPS = "flip a bit of the store"
OTHERS: dict[str, Callable[[Path, int, int], Tally]] = {
    FLIPS: flip_store,
    "disk full": full_disk,
    "two runs, one store": two_at_once,
}
KINDS = ("kill scan", "kill scan --profile", "kill merge", "kill weights -o", *OTHERS)
