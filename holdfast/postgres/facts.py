"""What a database is, besides what is in it: the properties that pg_dump leaves to `CREATE DATABASE`.

Asked by column name and not by a fixed list, since each major version of PostgreSQL has moved some of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin", "d": "default"}

_DATABASE = """
SELECT to_jsonb(d), pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), shobj_description(d.oid, 'pg_database'),
  (SELECT spcname::text FROM pg_tablespace WHERE oid = d.dattablespace), pg_is_in_recovery(),
  d.datacl::text[]
FROM pg_database AS d WHERE d.datname = current_database()
"""
_SETTINGS = """
SELECT r.rolname::text, s.setconfig
FROM pg_db_role_setting AS s LEFT JOIN pg_roles AS r ON r.oid = s.setrole
WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY r.rolname NULLS FIRST
"""
_EXTENSIONS = """
SELECT e.extname::text, e.extversion, n.nspname::text
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace ORDER BY 1
"""
# PostgreSQL keeps no dependencies on the role that initdb made; it only counts as a role where it owns the database.
_ROLES = """
SELECT r.rolname::text FROM pg_roles AS r WHERE r.oid IN (
  SELECT d.refobjid FROM pg_shdepend AS d, pg_database AS b
  WHERE b.datname = current_database() AND d.refclassid = 'pg_authid'::regclass
    AND (d.dbid = b.oid OR (d.classid = 'pg_database'::regclass AND d.objid = b.oid))
  UNION SELECT datdba FROM pg_database WHERE datname = current_database())
ORDER BY 1
"""


def database_facts(connection: Connection) -> dict[str, Any]:
    """Describe the connection's database; what the server's version does not know is None."""
    with connection.cursor() as cursor:
        cursor.execute(_DATABASE)
        row = cursor.fetchone()
        if row is None:
            raise LookupError("the server does not list the database that we are connected to")
        record, owner, encoding, comment, tablespace, in_recovery, acl = row
        cursor.execute(_SETTINGS)
        settings = [{"role": role, "settings": list(values)} for role, values in cursor.fetchall()]
    return {
        "name": record["datname"],
        "owner": owner,
        "encoding": encoding,
        "locale_provider": _PROVIDERS[record.get("datlocprovider", "c")],
        "collate": record["datcollate"],
        "ctype": record["datctype"],
        "locale": record.get("datlocale", record.get("daticulocale")),
        "icu_rules": record.get("daticurules"),
        "collation_version": record.get("datcollversion"),
        "tablespace": tablespace,
        "connection_limit": record["datconnlimit"],
        "allow_connections": record["datallowconn"],
        "is_template": record["datistemplate"],
        "acl": acl,
        "comment": comment,
        "settings": settings,
        "in_recovery": in_recovery,
    }


def extensions(connection: Connection) -> list[dict[str, str]]:
    """List the extensions with their versions and schemas."""
    with connection.cursor() as cursor:
        cursor.execute(_EXTENSIONS)
        return [{"name": name, "version": version, "schema": schema} for name, version, schema in cursor.fetchall()]


def roles(connection: Connection) -> list[str]:
    """List the roles that own something in the database, are granted something, or are named by a policy."""
    with connection.cursor() as cursor:
        cursor.execute(_ROLES)
        return [name for (name,) in cursor.fetchall()]


def large_objects(connection: Connection) -> int:
    """Count the large objects."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_largeobject_metadata")
        row = cursor.fetchone()
        return int(row[0]) if row else 0


def may_read_passwords(connection: Connection) -> bool:
    """Tell whether the user may read the roles' password hashes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege('pg_catalog.pg_authid', 'select')")
        row = cursor.fetchone()
        return bool(row and row[0])
