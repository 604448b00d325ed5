"""Chunk lists give every chunk back in order, share unchanged stretches, and sets of ids hold what was put in."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.repository import Entry
from holdfast.repository.chunklist import ChunkList, Record, records, walk
from holdfast.repository.chunkset import ChunkSet
from holdfast.repository.manifest import Root


def _records(seed: int, count: int) -> list[Record]:
    rng = random.Random(seed)
    return [(rng.randbytes(32), rng.randrange(1, 4 << 20)) for _ in range(count)]


def _build(stream: list[Record], kept: dict[bytes, bytes]) -> Root:
    def keep(content: bytes) -> bytes:
        chunk_id = hashlib.sha256(content).digest()
        kept[chunk_id] = content
        return chunk_id

    built = ChunkList(keep)
    for record in stream:
        built.add(*record)
    return built.finish()


def _walked(root: Root, kept: dict[bytes, bytes], size_bytes: int) -> list[Record]:
    return list(walk(Entry("e", "k", size_bytes, "0" * 64, root), kept.__getitem__))


@settings(max_examples=15)
@given(st.integers(0, 1000), st.one_of(st.integers(1, 50), st.integers(900, 60_000)))
def test_a_list_of_any_length_comes_back_in_order(seed: int, count: int) -> None:
    stream, kept = _records(seed, count), {}
    root = _build(stream, kept)
    assert root.chunks == count
    assert _walked(root, kept, sum(length for _, length in stream)) == stream
    assert all(len(content) <= (1 << 14) * 36 for content in kept.values())


def test_a_single_chunk_needs_no_list_and_many_need_a_list_of_lists() -> None:
    depths = [_build(_records(1, count), {}).depth for count in (1, 2, 1000, 100_000)]
    assert depths == [0, 1, 1, 2]


def test_an_insertion_leaves_most_of_a_long_list_as_it_was() -> None:
    stream = _records(7, 100_000)
    before, after = {}, {}
    _build(stream, before)
    _build([*stream[:50_000], *_records(8, 3), *stream[50_000:]], after)
    assert len(set(after) - set(before)) <= 3, "the list chunk, perhaps its neighbour, and the root"


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 35, b"x" * 37])
def test_what_is_no_list_is_not_read_as_one(content: bytes) -> None:
    with pytest.raises(ValueError, match="no list"):
        records(content)


@given(st.lists(st.one_of(st.binary(min_size=32, max_size=32), st.integers(0, 40).map(lambda n: bytes([n]) * 32))))
def test_a_set_of_ids_is_a_set(ids: list[bytes]) -> None:
    packed, plain = ChunkSet(), set[bytes]()
    for chunk_id in ids:
        assert packed.add(chunk_id) == (chunk_id not in plain)
        plain.add(chunk_id)
    assert len(packed) == len(plain)
    assert set(packed) == plain
    assert all(chunk_id in packed for chunk_id in ids)


def test_an_id_found_across_two_others_is_not_in_the_set() -> None:
    packed = ChunkSet()
    packed.add(b"aa" + b"x" * 14 + b"aa" + b"y" * 14)
    packed.add(b"aa" + b"z" * 14 + b"aa" + b"w" * 14)
    assert b"aa" + b"y" * 14 + b"aa" + b"z" * 14 not in packed
