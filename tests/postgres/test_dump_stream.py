"""Where a table ends in the pipe that carries many, and how many rows it has."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from holdfast.postgres.table_reader import TableStream


@given(
    body=st.binary(max_size=300),
    end=st.binary(min_size=1, max_size=8),
    pieces=st.lists(st.integers(1, 40), min_size=1),
    wanted=st.lists(st.integers(1, 80), min_size=1),
    rows=st.integers(0, 10**18),
)
def test_a_table_s_end_and_rows_are_found_however_the_pipe_cuts_it(
    body: bytes, end: bytes, pieces: list[int], wanted: list[int], rows: int
) -> None:
    end = b"\xf5" + end.replace(b"\n", b"") + b"\xf6"  # bytes that the body has not got, as no text has
    body = body.replace(b"\xf5", b"")
    stream = TableStream(Pieces(body + end + f"{rows:020}\n".encode(), pieces), end)  # type: ignore[arg-type]
    found = bytearray()
    for number in range(10_000):
        part = stream.read(wanted[number % len(wanted)])
        assert part is not None
        if not part:
            break
        found += part
    assert bytes(found) == body
    assert stream.read(10) == b""
    assert stream.rows == rows


class Pieces(io.RawIOBase):
    """A pipe that hands out what it holds in pieces of given sizes."""

    def __init__(self, held: bytes, pieces: list[int]) -> None:
        super().__init__()
        self._held, self._pieces, self._turn = held, pieces, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer)  # type: ignore[call-overload]
        part = self._held[: min(len(view), self._pieces[self._turn % len(self._pieces)])]
        self._turn += 1
        self._held = self._held[len(part) :]
        view[: len(part)] = part
        assert part, "read beyond the end"
        return len(part)
