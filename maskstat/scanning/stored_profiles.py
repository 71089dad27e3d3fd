"""Profiles as a store has them: how far they are, and their sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from maskstat.showing import one_line
from maskstat.store.profiles import ProfileKey
from maskstat.store.records import Failure, ScanInfo

if TYPE_CHECKING:
    from maskstat.regions.profile import PixelProfile
    from maskstat.store.store import Store
    from maskstat.values.catalog import ClassCatalog


@dataclass(frozen=True, slots=True)
class ProfileState:
    """How far the profile of a scan is under one catalogue and grid.

    Attributes:
        grid: cells a side of its heat maps.
        unmeasured: masks that still need measuring.
        left_out: masks that are counted but can't be measured, with the reason.
    """

    grid: int
    unmeasured: int
    left_out: tuple[Failure, ...]

    __repr__ = one_line


def profile_state(
    store: Store, scan: ScanInfo, catalog: ClassCatalog, grid: int | None = None
) -> ProfileState | None:
    """The state of the profile on this grid, or of the finest complete (else finest) one.

    None where nothing was measured under this catalogue.
    """
    grids = store.profile_grids(scan, catalog.digest)
    states = []
    for known in [grid] if grid in grids else grids:
        key = ProfileKey(scan, catalog.digest, known)
        state = ProfileState(known, store.unmeasured(key), tuple(store.left_out(key)))
        if not state.unmeasured:
            return state
        states.append(state)
    return states[0] if states else None


def stored_profile(store: Store, scan: ScanInfo, catalog: ClassCatalog, grid: int) -> PixelProfile:
    """The sum of all blocks of a profile. Raises StoreError where one is damaged."""
    from maskstat.regions.profile import PixelProfile
    from maskstat.regions.profile_bytes import from_bytes, to_bytes

    key = ProfileKey(scan, catalog.digest, grid)
    with store.checked():
        kept = store.profile_total(key)
        if kept is not None:
            return from_bytes(catalog, kept)
        # Read first: whatever another process changes meanwhile makes this sum out of date.
        revision = store.profile_revision(key)
        total = PixelProfile.empty(catalog, grid)
        blocks = 0
        for content in store.blocks(key):
            total += from_bytes(catalog, content)
            blocks += 1
    if blocks > 1:
        store.keep_profile_total(key, to_bytes(total), revision)
    return total
