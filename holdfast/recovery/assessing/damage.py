"""Which of a server's complaints mean that stored data is damaged, and not that it was asked wrongly, locked or in a hurry.

A complaint that whole data causes, too, is no sign: `invalid memory alloc request size` is what the server says of damage, and of
each value of more than 512 MiB that is read as text.
"""

from __future__ import annotations

import re

import psycopg2

_CERTAIN = frozenset({"XX001", "XX002"})
"""data_corrupted and index_corrupted."""

_SIGNS = re.compile(
    r"invalid page in block|could not read blocks? .*: (?:read only|Input/output error)"
    r"|could not open file .*: (?:No such file or directory|Input/output error)"
    r"|(?:missing|unexpected) chunk number|compressed .* data is corrupt"
    r"|could not access status of transaction|catalog is missing|could not open relation mapping file"
    r"|relation mapping file .* contains incorrect checksum|could not find already-locked|is not a valid data directory"
)


def damage_in(error: psycopg2.Error) -> str | None:
    """Say what of an error tells of damage: the server's first words, which name files and blocks; None where none does."""
    said = (error.diag.message_primary if error.diag else None) or str(error).strip().partition("\n")[0]
    if error.pgcode in _CERTAIN or _SIGNS.search(said):
        return said
    return None


def damage_in_text(text: str) -> str | None:
    """The same of what was said when a connection was refused: there it has no code."""
    return next((line.strip() for line in text.splitlines() if _SIGNS.search(line)), None)
