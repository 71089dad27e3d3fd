"""Groups of a scan's masks: in the order of the ledger, changeable, and nothing is decoded."""

from __future__ import annotations

from pathlib import Path

import pytest

import maskstat as ms
from maskstat.errors import ParameterError
from maskstat.values.groups import GroupRule


def test_groups_are_in_the_order_of_the_ledger_and_change_without_decoding(
    forty_masks: Path, decoded: list[str]
) -> None:
    scan = ms.scan(forty_masks, classes=7)
    assert scan.group_rule == GroupRule() and scan.groups.are_masks
    assert scan.groups.names == scan.ledger.names
    decoded.clear()
    grouped = scan.grouped("folder")
    assert type(grouped) is type(scan) and grouped.ledger is scan.ledger
    expected = [name.rpartition("/")[0] for name in scan.ledger.names]
    assert [grouped.groups.names[at] for at in grouped.groups.of] == expected
    assert scan.groups.are_masks, "a view changes nothing"
    assert grouped.under(ignore=3).groups.of.tolist() == grouped.groups.of.tolist()
    assert grouped.grouped("mask").groups.are_masks
    with pytest.raises(ParameterError, match="of 40 masks"):
        _ = scan.grouped("^(a)/").groups
    assert decoded == []


def test_crops_are_in_the_groups_of_their_masks(forty_masks: Path) -> None:
    scan = ms.scan(forty_masks, classes=7).grouped("folder")
    exposure = scan.exposure(crop=2, crops=2)
    assert exposure.group_rule == scan.group_rule
    assert exposure.groups.of.tolist() == scan.groups.of.tolist()
    assert exposure.grouped("mask").groups.are_masks
