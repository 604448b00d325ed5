"""Sets and tables of chunk ids: right for any ids, and small for a million of them."""

from __future__ import annotations

import hashlib
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from holdfast.repository.chunkset import ChunkSet, ChunkSizes

# Few different bytes, so that an id is often found across the border of two others.
_ids = st.lists(st.sampled_from([b"\0", b"\1", b"\0\1"]), min_size=32, max_size=32).map(lambda parts: b"".join(parts)[:32])


@given(st.lists(st.tuples(_ids, st.integers(0, 2**32 - 1))), st.lists(_ids))
def test_a_table_says_of_every_id_what_was_last_set(pairs: list[tuple[bytes, int]], others: list[bytes]) -> None:
    table, ids, expected = ChunkSizes(), ChunkSet(), dict(pairs)
    for chunk_id, number in pairs:
        table.set(chunk_id, number)
        ids.add(chunk_id)
    assert dict(table) == expected
    assert set(ids) == set(expected)
    assert len(table) == len(ids) == len(expected)
    for chunk_id in [*expected, *others]:
        assert table.get(chunk_id) == expected.get(chunk_id)
        assert (chunk_id in table) == (chunk_id in ids) == (chunk_id in expected)


def test_a_million_chunks_fit_in_the_memory_that_is_said() -> None:
    count = 300_000  # enough that the fixed part, a row for each two first bytes, is spread thin
    ids = [hashlib.sha256(b"%d" % number).digest() for number in range(count)]
    tracemalloc.start()
    try:
        table = ChunkSizes()
        for chunk_id in ids:
            table.set(chunk_id, 1)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    rows = 1 << 16
    assert used < count * 42 + rows * 200
