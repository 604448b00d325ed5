"""A database's own properties, given to the restored one: encoding and locale when it is made, the rest when it is filled.

They come from the source's facts (see `facts.py`), not from the archive, because they are set under another name. What the target
server does not accept (a setting that its version has dropped, a right that we lack) is told and does not end the restore:
nothing of it is data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from holdfast.postgres.connection import quote_identifier

Facts = dict[str, Any]

# Settings whose value is a list of names, which must be given one by one.
_LISTS = frozenset(
    {"search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries", "shared_preload_libraries"}
)
_LIST_PART = re.compile(r'\s*("(?:[^"]|"")*"|[^,]*)\s*(?:,|$)')
_GRANTS = """
SELECT CASE WHEN grantee = 0 THEN NULL ELSE pg_get_userbyid(grantee)::text END, privilege_type, is_grantable,
       pg_get_userbyid(grantor)::text FROM aclexplode(%s::aclitem[])
"""


def create_clauses(facts: Facts, server_major: int) -> str:
    """Write the clauses of CREATE DATABASE for a database with the source's encoding and locale."""
    clauses = [f"TEMPLATE template0 ENCODING {_literal(facts['encoding'])}"]
    provider = facts["locale_provider"]
    if server_major >= 15:
        clauses.append(f"LOCALE_PROVIDER {provider}")
    clauses.append(f"LC_COLLATE {_literal(facts['collate'])} LC_CTYPE {_literal(facts['ctype'])}")
    if provider in {"icu", "builtin"} and facts["locale"]:
        clauses.append(f"{provider.upper()}_LOCALE {_literal(facts['locale'])}")
    if facts["icu_rules"]:
        clauses.append(f"ICU_RULES {_literal(facts['icu_rules'])}")
    return " ".join(clauses)


def other_locales(facts: Facts, server_major: int) -> Iterator[tuple[str, str]]:
    """Offer locales that may stand in for one that the server lacks, the nearest first: its name and the clauses."""
    head = f"TEMPLATE template0 ENCODING {_literal(facts['encoding'])}"
    libc = " LOCALE_PROVIDER libc" if server_major >= 15 else ""
    if facts["encoding"] == "UTF8":
        if server_major >= 17:
            yield "C.UTF-8", f"{head} LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'"
        yield "C.UTF-8", f"{head}{libc} LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'"
    yield "C", f"{head}{libc} LC_COLLATE 'C' LC_CTYPE 'C'"


def apply_properties(connection: Connection, name: str, facts: Facts, *, owners: bool = True) -> list[str]:
    """Set owner, grants, comment and settings of a database; return what the server did not accept, in words."""
    notes: list[str] = []
    with connection.cursor() as cursor:
        for what, statement in _statements(name, facts, owners=owners):
            try:
                cursor.execute(statement)
            except psycopg2.Error as error:
                notes.append(f"the database's {what} was not taken over: {error.diag.message_primary or type(error).__name__}")
        if owners and facts["acl"] is not None:
            notes.extend(_grant(cursor, name, facts))
    return notes


def finishing_statements(name: str, facts: Facts) -> list[str]:
    """Return what may only be set once the database is complete: it could shut us out."""
    database = quote_identifier(name)
    statements = []
    if facts["connection_limit"] >= 0:
        statements.append(f"ALTER DATABASE {database} CONNECTION LIMIT {int(facts['connection_limit'])}")
    if facts["is_template"]:
        statements.append(f"ALTER DATABASE {database} IS_TEMPLATE true")
    return statements


def _statements(name: str, facts: Facts, *, owners: bool) -> Iterator[tuple[str, str]]:
    database = quote_identifier(name)
    if owners:
        yield "owner", f"ALTER DATABASE {database} OWNER TO {quote_identifier(facts['owner'])}"
    if facts["comment"] is not None:
        yield "comment", f"COMMENT ON DATABASE {database} IS {_literal(facts['comment'])}"
    for group in facts["settings"]:
        role = group["role"]
        if role is not None and not owners:
            continue
        subject = f"ROLE {quote_identifier(role)} IN DATABASE {database}" if role else f"DATABASE {database}"
        for setting in group["settings"]:
            key, _, value = setting.partition("=")
            yield f"setting {key}", f"ALTER {subject} SET {quote_identifier(key)} TO {_value(key, value)}"


def _grant(cursor: Cursor, name: str, facts: Facts) -> list[str]:
    """Replace the grants that every new database has by the source's."""
    database, owner = quote_identifier(name), facts["owner"]
    try:
        cursor.execute(_GRANTS, (facts["acl"],))
        grants = cursor.fetchall()
        cursor.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC, {quote_identifier(owner)}")
        for grantee, privilege, grantable, grantor in sorted(grants, key=lambda grant: bool(grant[3] != owner)):
            whom = "PUBLIC" if grantee is None else quote_identifier(grantee)
            statement = f"GRANT {privilege} ON DATABASE {database} TO {whom}{' WITH GRANT OPTION' if grantable else ''}"
            _grant_as(cursor, statement, None if grantor == owner else grantor)
    except psycopg2.Error as error:
        return [f"the database's grants were not taken over: {error.diag.message_primary or type(error).__name__}"]
    return []


def _grant_as(cursor: Cursor, statement: str, grantor: str | None) -> None:
    if grantor is not None:
        with suppress(psycopg2.Error):
            cursor.execute(f"SET ROLE {quote_identifier(grantor)}")
    try:
        cursor.execute(statement)
    finally:
        if grantor is not None:
            cursor.execute("RESET ROLE")


def _value(key: str, value: str) -> str:
    if key.lower() not in _LISTS:
        return _literal(value)
    names = [part.group(1) for part in _LIST_PART.finditer(value) if part.group(0)]
    return ", ".join(_literal(name[1:-1].replace('""', '"') if name.startswith('"') else name.strip()) for name in names) or "''"


def _literal(text: str) -> str:
    quoted = text.replace("'", "''")
    return f" E'{quoted.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{quoted}'"
