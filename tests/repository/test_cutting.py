"""A stream is cut where its content says, without a copy, and what was cut stays as it is until it is let go."""

from __future__ import annotations

import io
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyfastcdc import FastCDC

from holdfast.repository.cutting import Cutter
from holdfast.repository.description import ChunkSizes

from .making import noise

SIZES = ChunkSizes(64, 256, 1024)
SEED = 2**61 - 7


class Arriving:
    """A source that gives so many bytes at a time, in turn."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data = io.BytesIO(data)
        self._sizes = cycle(sizes)

    def readinto(self, buffer: memoryview) -> int:
        return self._data.readinto(buffer[: next(self._sizes)])


def cut_all(data: bytes, sizes: list[int]) -> tuple[list[bytes], bytes, int]:
    """Cut; return the chunks as they were once all had been cut, all that was read, and how many buffers it took."""
    cutter = Cutter(SIZES, SEED)
    read = bytearray()
    chunks = list(cutter.cut(Arriving(data, sizes), read.extend))
    return [bytes(chunk) for _, chunk in chunks], bytes(read), len({id(buffer) for buffer, _ in chunks})


@settings(max_examples=150)
@given(
    st.integers(0, 3),
    st.one_of(st.integers(0, 12_000), st.sampled_from([0, 1, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025, 1280])),
    st.lists(st.integers(1, 3000), min_size=1, max_size=4),
    st.booleans(),
)
def test_the_cuts_are_those_of_the_cutter_that_wrote_older_repositories(
    seed: int, size: int, sizes: list[int], repetitive: bool
) -> None:
    data = (noise(seed, 5) * (size // 5 + 1))[:size] if repetitive else noise(seed, size)
    fastcdc = FastCDC(SIZES.avg, min_size=SIZES.min, max_size=SIZES.max, seed=SEED)
    expected = [bytes(chunk.data) for chunk in fastcdc.cut_stream(io.BytesIO(data))]
    assert cut_all(data, sizes)[:2] == (expected, data)


def test_what_nobody_has_let_go_is_not_written_over() -> None:
    data = noise(1, 40_000)
    chunks, _, buffers = cut_all(data, [700])
    assert b"".join(chunks) == data
    assert buffers > 20


def test_a_block_is_used_again_when_its_chunks_were_let_go() -> None:
    cutter = Cutter(SIZES, SEED)
    seen: set[int] = set()
    for buffer, _ in cutter.cut(Arriving(noise(1, 40_000), [700]), lambda _: None):
        seen.add(id(buffer))
        cutter.buffers.let_go(buffer)
    assert len(seen) == 2


def test_a_source_that_breaks_off_leaves_no_block_held() -> None:
    class Broken:
        def readinto(self, buffer: memoryview) -> int:
            raise OSError("gone")

    cutter = Cutter(SIZES, SEED)
    buffer = cutter.buffers.take()
    cutter.buffers.let_go(buffer)
    with pytest.raises(OSError, match="gone"):
        list(cutter.cut(Broken(), lambda _: None))
    assert cutter.buffers.take() is buffer
