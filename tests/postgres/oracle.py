"""The judge of a restore: is the restored database the same as the source? It shares no code with the engine.

Two witnesses, both asked of the servers themselves: the whole text that `pg_dump` writes, with the rows of each table as a
set (heap order is free), and an order-free count and hash of the rows of each table, computed by the server. The database's
own properties (owner, comment, settings, grants, locale) come from `pg_dump --create`, with the name of the database replaced.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
from psycopg2.extensions import parse_dsn

_NOISE = re.compile(r"^(\\restrict|\\unrestrict|\\connect|\\encoding|-- Dumped (from|by) )")
# PostgreSQL prints `x IN ('a', 'b')` of a varchar in one way before it is dumped and restored and in another way ever after: the
# casts stand at the array or at its members. pg_dump and pg_restore alone do the same.
_LIST = re.compile(r"(= ANY|<> ALL) \(")
_MOVING_CAST = re.compile(r"::(?:text|character varying|bpchar)(?:\[\])?|[()]")
_COPY = re.compile(r"^COPY .* FROM stdin;$")
_EVERY_TABLE = """
SELECT c.oid::regclass::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.relispopulated
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'
"""


def dump_text(tools: Path, url: str, *, data: bool = True, extra: tuple[str, ...] = ()) -> str:
    """Return what pg_dump says of a database, rows sorted, without what differs between two runs of pg_dump."""
    arguments = [str(tools / "pg_dump"), "--create", *(() if data else ("--schema-only",)), *extra, "--dbname", url]
    run = subprocess.run(arguments, capture_output=True, check=False, env={**os.environ, "PGCLIENTENCODING": _encoding(url)})
    if run.returncode:
        raise AssertionError(run.stderr.decode(errors="replace"))
    text = run.stdout.decode("utf-8", errors="surrogateescape")
    return "\n".join(_normalized(text.split("\n"), _database(url)))


def differences(source: str, restored: str, *, limit: int = 60) -> list[str]:
    """Return the first lines in which two such texts differ; none where they are the same."""
    if source == restored:
        return []
    found = difflib.unified_diff(source.split("\n"), restored.split("\n"), "source", "restored", n=2, lineterm="")
    return [line for _, line in zip(range(limit), found, strict=False)]


def fingerprint(url: str) -> dict[str, tuple[int, str]]:
    """Return the number of rows and an order-free hash of the rows of every table and materialized view."""
    prints: dict[str, tuple[int, str]] = {}
    connection = psycopg2.connect(
        url, options="-c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=3 -c timezone=UTC"
    )
    try:
        connection.autocommit = True
        if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
            connection.set_client_encoding("LATIN1")  # each byte a letter, so that none is refused
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('search_path', '', false)")
            cursor.execute(_EVERY_TABLE)
            for (table,) in cursor.fetchall():
                cursor.execute(f"SELECT count(*), coalesce(sum(hashtextextended(t.*::text, 7)), 0)::text FROM ONLY {table} AS t")
                prints[table] = cursor.fetchone()
    finally:
        connection.close()
    return prints


def roles_text(tools: Path, url: str) -> list[str]:
    """Return what pg_dumpall says of the roles that `everything.sql` makes."""
    arguments = [str(tools / "pg_dumpall"), "--roles-only", "--dbname", url]
    run = subprocess.run(arguments, capture_output=True, check=True, text=True)
    return sorted(line for line in run.stdout.split("\n") if "everything" in line.lower())


def assert_same(tools: Path, source: str, restored: str, *, extra: tuple[str, ...] = ()) -> None:
    """Fail, showing where, unless the restored database is the source again."""
    found = differences(dump_text(tools, source, extra=extra), dump_text(tools, restored, extra=extra))
    assert not found, "\n".join(found)
    assert fingerprint(source) == fingerprint(restored)


def _normalized(lines: list[str], database: str) -> Iterator[str]:
    rows: list[str] | None = None
    for line in lines:
        if rows is not None and line == "\\.":
            yield from sorted(rows)
            rows = None
        if rows is not None:
            rows.append(line)
        elif not _NOISE.match(line):
            yield _MOVING_CAST.sub("", line) if _LIST.search(line) else _without_name(line, database)
            if _COPY.match(line):
                rows = []


def _without_name(line: str, database: str) -> str:
    """Replace the database's name where pg_dump writes it: in statements about the database itself."""
    quoted = '"' + database.replace('"', '""') + '"'
    return re.sub(rf"(DATABASE |^-- Name: )({re.escape(quoted)}|{re.escape(database)})(?![\w$])", r"\1THE_DATABASE", line)


def _database(url: str) -> str:
    return str(parse_dsn(url)["dbname"])


def _encoding(url: str) -> str:
    """Return a client encoding in which nothing is converted."""
    connection = psycopg2.connect(url)
    try:
        return str(connection.get_parameter_status("server_encoding"))
    finally:
        connection.close()
