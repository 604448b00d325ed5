"""Default privileges of a live database, set aside while a restore makes objects in it.

What ALTER DEFAULT PRIVILEGES once promised is given to every object that is made, so restored objects would get grants that the
backup's did not have. Those of the role that restores are therefore taken back first, in the restore's own transaction. The
backup brings its own again; those that the backup does not know are put back afterwards as they were.
"""

from __future__ import annotations

from collections.abc import Iterable

from psycopg2.extensions import connection as Connection  # noqa: N812

from holdfast.postgres.connection import quote_identifier

_KINDS = {"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES", "n": "SCHEMAS", "L": "LARGE OBJECTS"}
_ROWS = """
SELECT d.oid, pg_get_userbyid(d.defaclrole), n.nspname, d.defaclobjtype::text
FROM pg_default_acl AS d LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace
WHERE d.defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
"""
_GRANT = "SELECT CASE WHEN grantee = 0 THEN NULL ELSE pg_get_userbyid(grantee)::text END, privilege_type, is_grantable FROM "
_PRESENT = _GRANT + "pg_default_acl AS d, aclexplode(d.defaclacl) WHERE d.oid = %s"
_BUILT_IN = _GRANT + """aclexplode(acldefault(%s::"char", (SELECT oid FROM pg_roles WHERE rolname = %s)))"""  # noqa: S608

Grant = tuple[str | None, str, bool]


class DefaultPrivileges:
    """The default privileges of the connection's role, as they were found."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._put_back: dict[tuple[str, str, str], list[str]] = {}

    def set_aside(self) -> None:
        """Take them all back, in the open transaction."""
        with self._connection.cursor() as cursor:
            cursor.execute(_ROWS)
            for oid, role, schema, kind in cursor.fetchall():
                now = self._grants(_PRESENT, (oid,))
                letter = "s" if kind == "S" else kind  # acldefault knows sequences by another letter
                built_in = [] if schema else self._grants(_BUILT_IN, (letter, role))
                head = f"ALTER DEFAULT PRIVILEGES FOR ROLE {quote_identifier(role)}"
                head += f" IN SCHEMA {quote_identifier(schema)}" if schema else ""
                for statement in _change(head, _KINDS[kind], now, built_in):
                    cursor.execute(statement)
                self._put_back[role, schema or "", _KINDS[kind]] = list(_change(head, _KINDS[kind], built_in, now))

    def put_back(self, but: Iterable[tuple[str, str, str]]) -> None:
        """Set them again as they were, but those (role, schema, kind) that the backup has set by now."""
        known = set(but)
        with self._connection.cursor() as cursor:
            for key, statements in self._put_back.items():
                for statement in statements if key not in known else ():
                    cursor.execute(statement)

    def _grants(self, query: str, parameters: tuple[object, ...]) -> list[Grant]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return [(grantee, privilege, grantable) for grantee, privilege, grantable in cursor.fetchall()]


def _change(head: str, kind: str, old: list[Grant], new: list[Grant]) -> Iterable[str]:
    """Return the statements that lead from one set of grants to another."""
    for grantee in dict.fromkeys(grantee for grantee, _, _ in old):
        yield f"{head} REVOKE ALL ON {kind} FROM {_name(grantee)}"
    for grantee, privilege, grantable in new:
        yield f"{head} GRANT {privilege} ON {kind} TO {_name(grantee)}{' WITH GRANT OPTION' if grantable else ''}"


def _name(grantee: str | None) -> str:
    return "PUBLIC" if grantee is None else quote_identifier(grantee)
