"""A source: a SQLite file with a table `masks` of encoded masks, by name."""

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


def open_masks(path):
    """What is at a path; whatever is raised here says why it can't be read."""
    with closing(_connected(path)) as database:
        database.execute("SELECT name, mask FROM masks LIMIT 1")
    return Masks(path)


def _connected(path):
    return sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)


@dataclass
class Masks:
    """A source: its masks, and its classes where it knows them."""

    path: str
    classes = None

    def masks(self):
        """All of them, one after another."""
        with closing(_connected(self.path)) as database:
            for name, data in database.execute("SELECT name, mask FROM masks"):
                stamp = hashlib.blake2b(data, digest_size=16).hexdigest()
                yield Mask(name, stamp, len(data), self.path)


@dataclass
class Mask:
    """One mask; it is pickled where a cluster reads it.

    `stamp` is another one where the mask is, and `size` is how many bytes `read` gives at most.
    """

    name: str
    stamp: str
    size: int
    path: str

    def read(self):
        """The bytes of an image file, or an array (H, W)."""
        with closing(_connected(self.path)) as database:
            asked = "SELECT mask FROM masks WHERE name = ?"
            (data,) = database.execute(asked, (self.name,)).fetchone()
        return data
