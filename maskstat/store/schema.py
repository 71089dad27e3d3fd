"""The tables of a store file, and how files of earlier versions get those that they lack."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from maskstat.errors import StoreError, argument
from maskstat.naming import printable

APPLICATION_ID = 0x6D73746B  # "mstk"
SCHEMA_VERSION = 10
# The versions that first had them. Profiles of before OUTLINES do not know outlines along the edges
# of masks: they are never read, and masks are measured again. Encodings of before SPACINGS do not
# say how large a voxel is: a scan reads masks of formats with a spacing again, in all folders.
PROFILES, READINGS, RUNS, CHECKSUMS, EXPOSURES, GROUPS, OUTLINES, FOLDERS = 2, 3, 4, 5, 6, 7, 8, 9
SPACINGS = 10

# Version -> what it added. A file is brought up to date by the statements it lacks; one that is
# only read gets a shadow of them, so that no other module asks for a version.
_ADDED = {
    1: """
CREATE TABLE scan (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: summaries refer to it
    name TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    catalog TEXT NOT NULL,        -- JSON; no classes in it where they are inferred
    created TEXT NOT NULL,        -- UTC, ISO 8601
    updated TEXT NOT NULL,
    turn INTEGER NOT NULL,        -- grows with every run; the largest is the latest scan
    complete INTEGER NOT NULL,    -- 0 while a run is under way or was interrupted
    revision INTEGER NOT NULL     -- grows with every change to the masks
);
CREATE TABLE mask (
    scan INTEGER NOT NULL REFERENCES scan(id),
    name TEXT NOT NULL,
    size INTEGER NOT NULL,        -- bytes of the file
    stamp NOT NULL,               -- mtime in ns, or another mark that changes with the content
    height INTEGER NOT NULL,
    width INTEGER NOT NULL,
    encoding TEXT NOT NULL,
    form INTEGER NOT NULL,        -- layout of `tally`, see rows.FORMS
    tally BLOB NOT NULL,          -- (value, count) pairs, ascending by value
    PRIMARY KEY (scan, name)
) WITHOUT ROWID;
CREATE TABLE failure (
    scan INTEGER NOT NULL REFERENCES scan(id),
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (scan, name)
) WITHOUT ROWID;
CREATE TABLE summary (            -- totals that were computed before; always safe to delete
    scan INTEGER NOT NULL REFERENCES scan(id),
    digest TEXT NOT NULL,         -- of the catalogue they were read under, or 'values'
    revision INTEGER NOT NULL,    -- of the masks; they are out of date where it is not the scan's
    totals TEXT NOT NULL,         -- its CRC-32 and JSON, see checksums.sealed
    PRIMARY KEY (scan, digest)
) WITHOUT ROWID;
""",
    PROFILES: """
CREATE TABLE profile (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scan INTEGER NOT NULL REFERENCES scan(id),
    digest TEXT NOT NULL,         -- of the catalogue that its pixels were read under
    grid INTEGER NOT NULL,        -- cells a side of its heat maps
    revision INTEGER NOT NULL,    -- grows with every change to its blocks
    total BLOB,                   -- their sum where it was computed; always safe to delete
    UNIQUE (scan, digest, grid)
);
CREATE TABLE profile_block (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    profile INTEGER NOT NULL REFERENCES profile(id),
    content BLOB NOT NULL         -- the profile of the block's masks
);
CREATE INDEX blocks_of_a_profile ON profile_block (profile);
CREATE TABLE profile_mask (       -- what a profile knows of: a mask that changes takes its block
    profile INTEGER NOT NULL REFERENCES profile(id),
    name TEXT NOT NULL,
    block INTEGER REFERENCES profile_block(id),  -- NULL where the mask was left out
    reason TEXT,                  -- and why it was
    PRIMARY KEY (profile, name)
) WITHOUT ROWID;
CREATE INDEX masks_of_a_block ON profile_mask (block);
""",
    READINGS: """
CREATE TABLE reading (            -- how the masks of a scan are read, where files do not say
    scan INTEGER PRIMARY KEY REFERENCES scan(id),
    options TEXT NOT NULL         -- JSON
);
""",
    RUNS: """
CREATE TABLE run (                -- the last run of a scan: under way, killed, or over
    scan INTEGER PRIMARY KEY REFERENCES scan(id),
    place INTEGER NOT NULL,       -- grows when a run takes the scan for something else
    asked TEXT NOT NULL,          -- JSON: what all runs agree in that may go on side by side
    holders INTEGER NOT NULL,     -- how many are under way or were killed
    beat INTEGER NOT NULL         -- grows every second while one is under way
);
""",
    CHECKSUMS: """
CREATE TABLE checksum (           -- a disk may change a bit in silence
    about TEXT NOT NULL,          -- which rows, see sealing.About
    id INTEGER NOT NULL,          -- of the scan, profile or exposure that they are of
    crc INTEGER NOT NULL,         -- the sum of their CRC-32
    PRIMARY KEY (about, id)
) WITHOUT ROWID;
""",
    EXPOSURES: """
CREATE TABLE exposure (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scan INTEGER NOT NULL REFERENCES scan(id),
    digest TEXT NOT NULL,         -- of the recipe, the catalogue and what else decides its rows
    recipe TEXT NOT NULL,         -- JSON
    UNIQUE (scan, digest)
);
CREATE TABLE exposed_mask (       -- a mask whose counts are written anew loses its rows
    exposure INTEGER NOT NULL REFERENCES exposure(id),
    name TEXT NOT NULL,
    crops INTEGER NOT NULL,       -- how many were drawn; 0 where there is to be another try
    presence INTEGER NOT NULL,    -- whether the exact chances of classes are among it
    drawn TEXT NOT NULL,          -- the name that decided its crops; merging changes names
    content BLOB,                 -- its CRC-32, expected pixels and crops; NULL where there is none
    reason TEXT,                  -- and why there is none
    PRIMARY KEY (exposure, name)
) WITHOUT ROWID;
""",
    GROUPS: """
CREATE TABLE grouping (           -- which masks of a scan belong together
    scan INTEGER PRIMARY KEY REFERENCES scan(id),
    rule TEXT NOT NULL            -- see values.groups.GroupRule
);
CREATE TABLE grouped_mask (       -- what the column says that the rule names
    scan INTEGER NOT NULL REFERENCES scan(id),
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    PRIMARY KEY (scan, name)
) WITHOUT ROWID;
""",
    OUTLINES: """
DELETE FROM profile_mask;
DELETE FROM profile_block;
DELETE FROM profile;
DELETE FROM checksum WHERE about = 'profile';
UPDATE checksum SET crc = 0 WHERE about = 'profiles';
""",
    FOLDERS: """
CREATE TABLE folder (             -- as a run found it that was asked to trust folders
    scan INTEGER NOT NULL REFERENCES scan(id),
    prefix TEXT NOT NULL,         -- of the names of its masks
    listing TEXT NOT NULL,        -- of what decided which of its files are masks
    mark TEXT NOT NULL,           -- JSON: device, inode, mtime and ctime
    masks INTEGER NOT NULL,
    skipped INTEGER NOT NULL,     -- files that are none
    folders TEXT NOT NULL,        -- JSON: those in it that are walked as well
    PRIMARY KEY (scan, prefix)
) WITHOUT ROWID;
""",
    SPACINGS: """
DELETE FROM folder;
DELETE FROM checksum WHERE about = 'folders';
""",
}
_TABLE = re.compile(r"CREATE TABLE (\w+)")
DAMAGED = "it is damaged: restore or delete it, then scan again"


def prepare(connection: sqlite3.Connection, path: Path, *, create: bool) -> int:
    """Check that the file is ours, and give it the tables it lacks where `create`.

    Files of earlier versions that are only read stay as they are: the tables that they lack are
    there for this connection alone, and empty.

    Returns:
        the file's schema version.

    Raises:
        StoreError: it is something else, or of a newer maskstat.
    """

    def pragma(name: str) -> int:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

    def check_version() -> None:
        """Tables of later versions than the file says to be of: that number has changed."""
        connection.execute("BEGIN")  # another process may be adding them
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
        of_later = "".join(_ADDED[later] for later in _ADDED if later > pragma("user_version"))
        connection.execute("COMMIT")
        if not {name for (name,) in tables}.isdisjoint(_TABLE.findall(of_later)):
            raise StoreError(
                "has tables of a later version than its own", where=where, remedy=DAMAGED
            )

    def lacks_tables() -> bool:
        ours = pragma("application_id") == APPLICATION_ID
        new = pragma("application_id") == 0 and pragma("schema_version") == 0
        return new or (ours and create and pragma("user_version") < SCHEMA_VERSION)

    where = printable(str(path))
    _unshadow(connection)
    if pragma("application_id") == APPLICATION_ID:
        check_version()
    if lacks_tables():
        connection.execute("BEGIN IMMEDIATE")
        if lacks_tables():  # else another process was faster
            for version in range(pragma("user_version") + 1, SCHEMA_VERSION + 1):
                for statement in _ADDED[version].split(";\n"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    if pragma("application_id") != APPLICATION_ID:
        raise StoreError(
            "is an SQLite file, but not a scan store",
            where=where,
            remedy=f"choose another {argument('db')}",
        )
    version = pragma("user_version")
    if version > SCHEMA_VERSION:
        raise StoreError(
            "was written by a newer maskstat", where=where, remedy="pip install -U maskstat"
        )
    if version < SCHEMA_VERSION:
        _shadow(connection, version)
    return version


def _shadow(connection: sqlite3.Connection, version: int) -> None:
    """Put empty temporary tables in the place of those that a file of this version lacks.

    And of those of profiles, which are too old to be read.
    """
    lacking = list(range(version + 1, SCHEMA_VERSION + 1))
    if version >= PROFILES:
        lacking.append(PROFILES)
    for added in lacking:
        for statement in _ADDED[added].split(";\n"):
            if (found := _TABLE.search(statement)) is not None:
                temporary = f"CREATE TEMP TABLE {found[1]}"
                connection.execute(statement.replace(found[0], temporary, 1))
    if version >= CHECKSUMS:
        connection.execute(
            "CREATE TEMP VIEW checksum AS SELECT * FROM main.checksum"
            " WHERE about NOT IN ('profile', 'profiles')"
        )


def _unshadow(connection: sqlite3.Connection) -> None:
    query = "SELECT type, name FROM sqlite_temp_master WHERE type IN ('table', 'view')"
    for kind, name in connection.execute(query).fetchall():
        if not name.startswith("sqlite_"):
            connection.execute(f"DROP {kind} temp.{name}")
