"""Groups of masks: a partition of the names, the same whatever their order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskstat.errors import ParameterError
from maskstat.values.groups import GroupRule, MaskGroups

FRAMES = ("a/seq1_01.png", "a/seq1_02.png", "b/seq1_03.png", "b/seq2_01.png")


@pytest.mark.parametrize(
    ("rule", "names", "of"),
    [
        ("mask", FRAMES, [0, 1, 2, 3]),
        ("folder", ("a", "b"), [0, 0, 1, 1]),
        (r"(seq\d+)_", ("seq1", "seq2"), [0, 0, 0, 1]),
        (r"seq\d+", ("seq1", "seq2"), [0, 0, 0, 1]),
        (r"^(.)/seq(\d)", ("a/1", "b/1", "b/2"), [0, 0, 1, 2]),
        ("column:patient", ("p2", "p10"), [0, 1, 1, 0]),
    ],
)
def test_each_form_of_a_rule(rule, names, of):
    column = {"patient": dict(zip(FRAMES, ("p2", "p10", "p10", "p2"), strict=True))}
    groups = GroupRule(rule).groups(FRAMES, column.__getitem__)
    assert groups.names == names
    assert groups.of.tolist() == of
    assert groups.sizes.tolist() == np.bincount(of).tolist()
    assert groups.are_masks == (rule == "mask")


def test_planes_of_a_file_are_one_group():
    groups = GroupRule("file").groups(("v.tif#1", "v.tif#2", "w.tif", "x.tif#1"))
    assert groups.names == ("v.tif", "w.tif", "x.tif")
    assert groups.of.tolist() == [0, 0, 1, 2]


@given(st.lists(st.text(max_size=4), min_size=1), st.randoms())
def test_groups_are_a_partition_that_does_not_depend_on_order(labels, random):
    groups = MaskGroups.of_labels("x", labels)
    assert [groups.names[at] for at in groups.of] == labels
    assert int(groups.sizes.min()) >= 1
    order = list(range(len(labels)))
    random.shuffle(order)
    shuffled = MaskGroups.of_labels("x", [labels[at] for at in order])
    assert shuffled.names == groups.names
    assert (shuffled.of == groups.of[order]).all()


@pytest.mark.parametrize("rule", ["", " ", "(", "column:", "x*", "a{99999999999}"])
def test_rules_that_tell_nothing_are_refused(rule):
    with pytest.raises(ParameterError):
        GroupRule(rule)


def test_a_mask_without_a_group_is_an_error_that_counts_and_names():
    with pytest.raises(ParameterError, match=r"2 of 4 masks.*a/seq1_01\.png"):
        GroupRule("^(b)/").groups(FRAMES)
    with pytest.raises(ParameterError, match="not listed in a table"):
        GroupRule("column:x").groups(FRAMES)
