"""Chunks: what comes in goes out, in lists that are neither too large nor needlessly small."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from maskstat.executors.chunking import ChunkSizes, chunked


class Thing(NamedTuple):
    size: int
    group: str | None = None


things = st.lists(st.builds(Thing, st.integers(0, 12), st.none()), max_size=200)
sizes = st.builds(
    ChunkSizes, st.integers(1, 40), st.integers(0, 30), st.none() | st.integers(1, 50)
)


@given(things, sizes)
def test_chunks_are_the_items_within_the_limits(items: list[Thing], sizes: ChunkSizes) -> None:
    chunks = list(chunked(items, sizes))
    assert [*itertools.chain.from_iterable(chunks)] == items
    for chunk, most in zip(chunks, sizes.in_turn(), strict=False):
        assert 1 <= len(chunk) <= most
        assert len(chunk) == 1 or sum(thing.size for thing in chunk) <= sizes.size


@given(st.lists(st.builds(Thing, st.integers(0, 12), st.sampled_from("ab"))), sizes)
def test_a_group_that_follows_itself_is_one_chunk(items: list[Thing], sizes: ChunkSizes) -> None:
    chunks = list(chunked(items, sizes))
    assert [*itertools.chain.from_iterable(chunks)] == items
    for before, after in itertools.pairwise(chunks):
        assert before[-1].group != after[0].group


@given(things, sizes)
def test_no_chunk_could_have_taken_the_next_item(items: list[Thing], sizes: ChunkSizes) -> None:
    chunks = list(chunked(items, sizes))
    for (chunk, after), most in zip(itertools.pairwise(chunks), sizes.in_turn(), strict=False):
        total = sum(thing.size for thing in chunk)
        assert len(chunk) == most or total + after[0].size > sizes.size


@given(st.integers(1, 500), st.integers(1, 500))
def test_counts_double_every_eight_chunks(first: int, items: int) -> None:
    found = list(itertools.islice(ChunkSizes(items, 1, first).in_turn(), 120))
    assert found == [min(items, first << (at // 8)) for at in range(120)]
    assert [*itertools.islice(ChunkSizes(items, 1).in_turn(), 20)] == [items] * 20


def test_a_chunk_is_given_as_soon_as_the_next_item_does_not_belong_to_it() -> None:
    taken: list[int] = []

    def slowly() -> Iterator[Thing]:
        for number in itertools.count():
            taken.append(number)
            yield Thing(1)

    chunks = chunked(slowly(), ChunkSizes(3, 100))
    for number in range(1, 5):
        assert next(chunks) == [Thing(1)] * 3
        assert len(taken) == 3 * number + 1
