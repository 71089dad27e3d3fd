"""Mutated files, some hundred in a child process, with an address-space limit and a time-out.

A child says before every step what it is about to do, so that a crash or a hang belongs to a file.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.hostile.mutating import mutated
from benchmarks.hostile.subjects import (
    SUBJECTS,
    Disagreement,
    Found,
    Subject,
    Unclear,
    counts_all,
    quietly,
)

BATCH = 400  # files that one child reads
ADDRESS_SPACE = 3 << 30  # bytes that a child may take beside what it has at the start
PATIENCE = 20.0  # seconds for one file
TO_START = 120.0  # seconds for a child to import what it reads with
WHOLE_SCAN = 25  # every so-many-th file of a source goes through a whole scan


@dataclass
class Tally:
    """What became of all that was tried; `told` says of each bad end how to see it again."""

    outcomes: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def bad(self) -> int:
        """Files that crashed or hung the process, met a bug, or were counted wrongly."""
        return sum(self.outcomes[name] for name in ("crash", "hang", "bug", "wrong"))


def hunt(name: str, turns: int, seed: int = 1) -> Tally:
    """Mutate a subject so many times."""

    def some(first: int, last: int, sender: Connection) -> None:
        _read_some(name, first, last, seed, sender)

    return in_children(some, turns, f"{name} seed {seed}")


def in_children(some: Callable[[int, int, Connection], None], turns: int, where: str) -> Tally:
    """Run turns in forked children, some hundred each, by `some(first, last, sender)`.

    It sends ("about", turn, step) before every step, then ("verdict", turn, verdict, reason).
    """
    tally, start, turn = Tally(), time.perf_counter(), 0
    context = multiprocessing.get_context("fork")
    while turn < turns:
        receiver, sender = context.Pipe(duplex=False)
        last = min(turns, turn + BATCH)
        child = context.Process(target=some, args=(turn, last, sender))
        child.start()
        sender.close()
        with receiver:
            turn = _listen(receiver, child, turn, tally, where)
        child.join()
        child.close()
    tally.seconds = time.perf_counter() - start
    return tally


def _listen(
    receiver: Connection, child: multiprocessing.Process, turn: int, tally: Tally, where: str
) -> int:
    """Take what a child says until it ends; the first turn that the next child begins with."""
    step, patience = "ours", TO_START
    while True:
        if not receiver.poll(patience):
            child.kill()
            _end(tally, "hang", step, f"{where} turn {turn}: no end after {patience:.0f} s")
            return turn + 1
        try:
            said = receiver.recv()
        except EOFError:
            child.join()
            if child.exitcode:
                _end(tally, "crash", step, f"{where} turn {turn}: exit code {child.exitcode}")
                return turn + 1
            return turn
        patience = PATIENCE
        match said:
            case ("about", at, what):
                turn, step = at, what
            case ("verdict", at, verdict, reason):
                tally.outcomes[verdict] += 1
                if reason:
                    tally.told.append(f"{where} turn {at}: {verdict}: {reason}")
                turn = at + 1


def _end(tally: Tally, verdict: str, step: str, told: str) -> None:
    """What killed the plain decoder is its own matter: maskstat has counted by then."""
    if step == "plain":
        tally.outcomes["ours alone"] += 1
    else:
        tally.outcomes[verdict] += 1
        tally.told.append(f"{told} ({step})")


def _read_some(name: str, first: int, last: int, seed: int, sender: Connection) -> None:
    subject = SUBJECTS[name]
    seeds = subject.seeds()
    for data in seeds:  # everything is imported before memory is limited
        with tempfile.TemporaryDirectory() as folder:
            quietly(lambda: subject.ours(data, Path(folder)))  # noqa: B023
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESS_SPACE,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with _silence():
        for turn in range(first, last):
            data = mutated(seed, name, turn, seeds, subject.ways)
            sender.send(("verdict", turn, *_verdict(subject, data, turn, sender)))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """C libraries print what they think of a file."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    yield


def _verdict(subject: Subject, data: bytes, turn: int, sender: Connection) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            sender.send(("about", turn, "ours"))
            ours = quietly(lambda: subject.ours(data, Path(folder)))
            if subject.suffix and turn % WHOLE_SCAN == 0:
                sender.send(("about", turn, "whole scan"))
                scanned = quietly(
                    lambda: counts_all(subject.suffix, scan=True, classes=256)(data, Path(folder))
                )
                if sorted(scanned.masks) != sorted(ours.masks) and not scanned.refused:
                    return "wrong", f"a scan says {scanned}, its masks {ours}"
        except Disagreement as error:
            return "wrong", str(error)[:300]
        except Exception as error:
            return "bug", f"{type(error).__name__}: {str(error)[:200]}"
    if not ours.masks and ours.refused:
        return "refused", ""
    sender.send(("about", turn, "plain"))
    try:
        plain = quietly(lambda: subject.plain(data))
    except Unclear:
        return "ours alone", ""
    except Exception:
        return "ours alone", ""
    return compared(ours, plain)


def compared(ours: Found, plain: Found) -> tuple[str, str]:
    """Masks that both read must be the same; where both read all, none is missing."""
    left, right = Counter(ours.masks), Counter(plain.masks)
    if left == right:
        return "equal", ""
    if not plain.masks or not ours.masks:
        return ("ours alone", "") if ours.masks else ("wrong", "lost all in silence")
    more, fewer = left - right, right - left
    if more and not plain.refused:
        return "wrong", f"{sorted(more)[:2]} where another program counts {sorted(fewer)[:2]}"
    if fewer and not ours.refused:
        return "wrong", f"lost {sorted(fewer)[:2]}"
    return "equal" if not more else "ours alone", ""
