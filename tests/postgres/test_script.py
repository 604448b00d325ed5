"""pg_restore's text is cut where its tables begin and end, whatever is in them."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import WorkFailedError
from holdfast.postgres.globals import parse_roles
from holdfast.postgres.script import Readable, _Buffer

CELL = st.text(alphabet="ab\\\t.é ;\"'", max_size=6).map(lambda text: text.replace("\\", "\\\\"))
ROW = CELL.map(lambda text: text.encode() + b"\n")


class Dribble(io.RawIOBase):
    """Hands data out in small pieces."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data = data
        self._sizes = sizes or [1]
        self._turn = 0

    def read(self, size: int = -1, /) -> bytes:
        del size
        self._turn += 1
        count = self._sizes[self._turn % len(self._sizes)]
        piece, self._data = self._data[:count], self._data[count:]
        return piece


def whole(source: Readable) -> bytes:
    """Read to the end."""
    return b"".join(iter(lambda: source.read(1 << 20), b""))


@given(tables=st.lists(st.lists(ROW, max_size=8), max_size=4), sizes=st.lists(st.integers(1, 40), max_size=5))
def test_rows_are_separated_from_statements_at_any_block_size(tables: list[list[bytes]], sizes: list[int]) -> None:
    text = b"".join(b"COPY t FROM stdin;\n" + b"".join(table) + b"\\.\n\nSELECT 1;\n" for table in tables)
    buffer = _Buffer(Dribble(text, sizes))
    for table in tables:
        assert buffer.line() == b"COPY t FROM stdin;\n"
        assert whole(buffer.block()) == b"".join(table)
        assert (buffer.line(), buffer.line()) == (b"\n", b"SELECT 1;\n")
    assert buffer.line() == b""


def test_text_that_ends_in_the_middle_of_a_table_is_an_error() -> None:
    block = _Buffer(io.BytesIO(b"1\n2\n")).block()
    with pytest.raises(WorkFailedError):
        whole(block)


def test_roles_are_read_whatever_their_names() -> None:
    script = r"""
\restrict abc
SET client_encoding = 'UTF8';
-- Roles; with 'a quote
CREATE ROLE plain;
ALTER ROLE plain WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM;''x';
CREATE ROLE "odd ""; CREATE ROLE x";
ALTER ROLE "odd ""; CREATE ROLE x" SET search_path TO 'a;b', E'back\\slash;\'';
COMMENT ON ROLE plain IS 'it''s; -- no comment
two lines';
GRANT plain TO "odd ""; CREATE ROLE x" WITH INHERIT TRUE GRANTED BY postgres;
\unrestrict abc
"""
    statements = parse_roles(script.encode())
    assert [statement.roles for statement in statements] == [
        ("plain",),
        ("plain",),
        ('odd "; CREATE ROLE x',),
        ('odd "; CREATE ROLE x',),
        ("plain",),
        ("plain", 'odd "; CREATE ROLE x'),
    ]
    assert [statement.creates for statement in statements] == [True, False, True, False, False, False]
    assert statements[4].text.endswith("two lines'")
