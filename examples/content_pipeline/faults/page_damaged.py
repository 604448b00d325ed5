"""A disk gives back other bytes than were written: one page of a table is no longer what its checksum says.

PostgreSQL keeps pages in memory, so its server is stopped and started around the damage, as on a machine that starts again.
Nobody can notice before the page is read: a query of the application does that, and fails.
"""

from __future__ import annotations

from pathlib import Path

import psycopg2

from examples.content_pipeline.fault import Fault, Parts, statements
from holdfast.errors import WorkFailedError

_TABLE = "content.revisions"
_PAGE_BYTES = 8192
_DAMAGE = b"\xde\xad\xbe\xef" * 16


class PageDamaged(Fault):
    name = "page-damaged"
    part = "database"
    plan = "database_failure"
    trigger = "database_corruption"
    title = "bytes of a table flipped on the disk"

    def _break(self, parts: Parts) -> str:
        file, page = _middle_of(parts)
        parts.server.stop()
        _flip(file, page * _PAGE_BYTES + _PAGE_BYTES // 2)
        parts.server.start()
        return f"{len(_DAMAGE)} bytes of page {page} of {_TABLE} flipped on the disk; reading it: {_read(parts)}"


def _middle_of(parts: Parts) -> tuple[Path, int]:
    """Find the file of the table, and the number of a page in its middle."""
    with statements(parts.url) as cursor:
        cursor.execute("SELECT pg_relation_filepath(%s), pg_relation_size(%s) / %s", (_TABLE, _TABLE, _PAGE_BYTES))
        path, pages = cursor.fetchone()
    return parts.server.data_dir / path, int(pages) // 2


def _flip(file: Path, offset: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        found = opened.read(len(_DAMAGE))
        opened.seek(offset)
        opened.write(bytes(one ^ other for one, other in zip(found, _DAMAGE, strict=True)))


def _read(parts: Parts) -> str:
    """Read the table as the application does; return what the server says. Raises WorkFailedError where it notices nothing."""
    try:
        with statements(parts.url) as cursor:
            cursor.execute(f"SELECT sum(length(body)) FROM {_TABLE}")
    except psycopg2.Error as error:
        return str(error).strip().splitlines()[0]
    raise WorkFailedError(f"A page of {_TABLE} was damaged on the disk, and reading the table shows nothing of it")


FAULT = PageDamaged()
