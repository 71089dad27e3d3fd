"""How pytest-xdist shares out the tests: `unit_of` says which stay together.

The tests of a file run on one worker, one after the other: what its fixtures build is built once,
and what would disturb each other (servers, clocks, peaks of memory) does not run side by side.
"""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling

# These start first: whoever comes last to a long one keeps everybody waiting.
LONGEST = (
    "keras ",
    "clusters",
    "tests/house/test_training_doc.py",
    "tests/house/test_training_recipes.py",
    "tests/house/test_docs.py",
)


def unit_of(nodeid: str) -> str:
    """The name of what runs on one worker in one go, usually the file of the test."""
    file, _, test = nodeid.partition("::")
    if file == "tests/house/test_docs.py":
        return nodeid  # a document takes seconds and shares nothing with the next
    if file.startswith("tests/executors/test_dask"):
        return "clusters"  # their processes fill a small machine: one cluster at a time
    if file.startswith("tests/keras/") and "[" in test:
        return "keras " + test.partition("[")[2].partition("-")[0]  # checked once a backend
    return file


class Units(LoadScopeScheduling):
    """A unit at a time for each worker, the longest first."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        def place(unit: str) -> int:
            return next(
                (n for n, name in enumerate(LONGEST) if unit.startswith(name)), len(LONGEST)
            )

        self.workqueue.move_to_end(min(self.workqueue, key=place), last=False)
        super()._assign_work_unit(node)
