"""Clears the way for a restore into a live database: what the backup has is dropped, what it has not is kept.

Nothing is dropped with CASCADE. The statements run in rounds, each in a savepoint of its own, until all are done: dependencies of
the live database may differ from those of the backup, so no order that is fixed beforehand is right. When a round drops
nothing, something that must be kept stands in the way, and the whole restore is rolled back saying what.
"""

from __future__ import annotations

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from holdfast.errors import RefusedError, TableLockedError
from holdfast.postgres.archive import Archive, ArchiveEntry
from holdfast.postgres.connection import DatabaseUrl, qualified
from holdfast.postgres.script import sql_error

# Dropped one by one. All other kinds belong to one of these or to a table and go with it, or stay (schemas, extensions).
_DROPPED = frozenset(
    {
        *("EVENT TRIGGER", "PUBLICATION", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "SEQUENCE", "FUNCTION", "PROCEDURE"),
        *("AGGREGATE", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "CAST", "TRANSFORM", "TYPE", "SHELL TYPE", "DOMAIN"),
        *("COLLATION", "CONVERSION", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TEXT SEARCH PARSER"),
        *("TEXT SEARCH TEMPLATE", "USER MAPPING", "SERVER", "FOREIGN DATA WRAPPER", "PROCEDURAL LANGUAGE", "ACCESS METHOD"),
    }
)
_FIRST = ("EVENT TRIGGER", "PUBLICATION")
_IN_ROUNDS = """
DO $rounds$
DECLARE
    waiting text[] := %s;
    blocked text[];
    statement text;
    said text;
    detail text;
    complaints text;
BEGIN
    WHILE cardinality(waiting) > 0 LOOP
        blocked := '{}';
        complaints := '';
        FOREACH statement IN ARRAY waiting LOOP
            BEGIN
                EXECUTE statement;
            EXCEPTION
                WHEN undefined_table OR undefined_object OR undefined_function OR undefined_column OR invalid_schema_name THEN
                    NULL;  -- it is not there, so there is nothing to drop
                WHEN dependent_objects_still_exist THEN
                    GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
                    blocked := blocked || statement;
                    complaints := concat_ws('; ', nullif(complaints, ''), said || ': ' || replace(detail, chr(10), ', '));
            END;
        END LOOP;
        IF cardinality(blocked) = cardinality(waiting) THEN
            RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist', MESSAGE = left(complaints, 2000);
        END IF;
        waiting := blocked;
    END LOOP;
END $rounds$
"""
# A commutator that was named and never made: pg_dump does not know it, and making the operator again makes it again.
_SHELL_OPERATORS = """
SELECT format('DROP OPERATOR %I.%s (%s, %s)', n.nspname, o.oprname,
              CASE WHEN oprleft = 0 THEN 'NONE' ELSE oprleft::regtype::text END,
              CASE WHEN oprright = 0 THEN 'NONE' ELSE oprright::regtype::text END)
FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
WHERE o.oprcode = 0 AND o.oid >= 16384
"""
_DROP_LARGE_OBJECTS = "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata WHERE oid = ANY(%s::oid[])"


def drop_for_restore(connection: Connection, url: DatabaseUrl, archive: Archive) -> None:
    """Drop what the archive will make again, in the connection's open transaction.

    Raises RefusedError naming what stands in the way, TableLockedError.
    """
    statements = drop_statements(archive)
    objects = [int(entry.name.split("..")[0]) for entry in archive.entries if entry.kind in {"BLOB", "BLOB METADATA"}]
    try:
        with connection.cursor() as cursor:
            cursor.execute(_SHELL_OPERATORS)
            statements = [*(statement for (statement,) in cursor.fetchall()), *statements]
            if statements:
                cursor.execute(_IN_ROUNDS, (statements,))
            if objects:
                cursor.execute(_DROP_LARGE_OBJECTS, (objects,))
    except psycopg2.errors.DependentObjectsStillExist as error:
        raise RefusedError(
            "the live database has objects that are not in the backup and need objects that are; nothing was changed",
            reason=error.diag.message_primary,
            next_step="Drop them first, or restore with mode promote or new, which leave the live database as it is",
        ) from error
    except psycopg2.errors.LockNotAvailable as error:
        raise TableLockedError(
            "another session uses a table that the restore has to replace; nothing was changed",
            reason=error.diag.message_primary,
            next_step="Stop the applications that use the database, then try again",
        ) from error
    except psycopg2.Error as error:
        raise sql_error(error, url) from error


def drop_statements(archive: Archive) -> list[str]:
    """Return the statements, in the order that is most likely right: what was made last goes first."""
    first = [_statement(entry) for entry in archive.entries if entry.kind in _FIRST]
    found: list[str] = []
    tables = [qualified(entry.schema, entry.name) for entry in archive.entries if entry.kind == "TABLE"]
    views = [qualified(entry.schema, entry.name) for entry in archive.entries if entry.kind == "VIEW"]
    for entry in archive.entries:
        if entry.kind == "TABLE" and tables:
            # All tables in one statement: keys that go round in a circle are then no hindrance.
            found.append(f"DROP TABLE IF EXISTS {', '.join(tables)}")
            tables = []
        elif entry.kind in _DROPPED and entry.kind not in _FIRST and entry.definition and not _is_identity(entry):
            found.append(_statement(entry))
    if views:
        found.insert(0, f"DROP VIEW IF EXISTS {', '.join(views)}")  # for views that need each other; tried last
    return first + found[::-1]


def _statement(entry: ArchiveEntry) -> str:
    return entry.drop.strip().rstrip(";").removesuffix(" CASCADE")  # of a base type, whose functions are then in the way


def _is_identity(entry: ArchiveEntry) -> bool:
    """Whether a sequence is an identity column's, which goes with its table."""
    return entry.kind == "SEQUENCE" and "ADD GENERATED" in entry.definition
