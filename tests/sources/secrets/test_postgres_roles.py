"""PostgreSQL's login roles: told in full, given passwords that only one place knows, and made again without any."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest
from pydantic import SecretStr

from holdfast.errors import (
    AccessDeniedError,
    DatabaseUnreachableError,
    NotFoundError,
    RefusedError,
    TableLockedError,
    WorkFailedError,
)
from holdfast.postgres.connection import DatabaseUrl, connect
from holdfast.sources.secrets import scram
from holdfast.sources.secrets.contract import SecretRecord
from holdfast.sources.secrets.postgres_roles import PostgresRoles
from tests.sources.secrets.conftest import RunSql
from tests.sources.secrets.digests import keyed

ODD = """o'brien "x" %s"""
ODD_SQL = '"o\'brien ""x"" %s"'


SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="  # of the example in RFC 7677, as what follows
NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
MESSAGES = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={NONCE},s={SALT},i=4096,c=biws,r={NONCE}"
SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_a_verifier_is_that_of_the_standard_and_of_the_server(database: DatabaseUrl, run_sql: RunSql) -> None:
    known = scram.verifier("pencil", salt=base64.b64decode(SALT))
    assert known.startswith(f"SCRAM-SHA-256$4096:{SALT}$")
    server_key = base64.b64decode(known.rpartition(":")[2])
    assert base64.b64encode(hmac.new(server_key, MESSAGES.encode(), hashlib.sha256).digest()).decode() == SIGNATURE
    run_sql(f"CREATE ROLE app LOGIN PASSWORD '{known}'")
    assert can_log_in(database, "app", "pencil")
    assert not can_log_in(database, "app", "pencils")
    with pytest.raises(ValueError, match="normalized"):
        scram.verifier("pässword")


def test_roles_are_told_with_memberships_expiry_and_how_the_password_is_kept(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql(
        f"""
        CREATE ROLE editors; CREATE ROLE readers;
        CREATE ROLE app LOGIN CREATEDB CONNECTION LIMIT 5 VALID UNTIL '2027-01-02 03:04:05+00' PASSWORD 'canary';
        GRANT editors TO app WITH ADMIN OPTION; GRANT readers TO app;
        ALTER ROLE app SET "app.secret" = 'canary';
        CREATE ROLE {ODD_SQL} LOGIN VALID UNTIL 'infinity';
        """
    )
    found = PostgresRoles(database).read(keyed)
    assert found.notes == found.left_out == []
    assert [record.name for record in found.records] == ["app", ODD, "postgres"]
    app, odd, _ = found.records
    assert app.rotation == {"valid_until": "2027-01-02T03:04:05.000000Z"}
    assert app.digest != odd.digest == keyed(b"")
    assert app.attributes["connection_limit"] == 5
    assert app.attributes["settings"] == ["app.secret"]
    assert (app.attributes["password"], odd.attributes["password"]) == ("scram-sha-256", "none")
    memberships = [(one["role"], one["admin_option"]) for one in app.attributes["memberships"]]
    assert memberships == [("editors", True), ("readers", False)]
    assert "canary" not in str(found)
    assert "SCRAM-SHA-256$" not in str(found)
    assert SecretRecord.from_json(app.to_json()) == app


def test_without_the_right_to_see_passwords_all_else_is_told_and_it_is_said(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE ROLE plain LOGIN PASSWORD 'of the test'")
    found = PostgresRoles(as_user(database, "plain", "of the test")).read(keyed)
    assert {record.name for record in found.records} == {"plain", "postgres"}
    assert {record.digest for record in found.records} == {None}
    assert {record.attributes["password"] for record in found.records} == {"unknown"}
    assert "superuser" in found.notes[0]


def test_after_a_rotation_the_new_password_logs_in_and_the_old_does_not(
    database: DatabaseUrl, run_sql: RunSql, server_log: Callable[[], str]
) -> None:
    run_sql(f"CREATE ROLE {ODD_SQL} LOGIN PASSWORD 'the old one'")
    before = PostgresRoles(database).read(keyed).records[0]
    delivered: list[str] = []
    rotation = PostgresRoles(database).rotate(ODD, deliver=delivered.append)
    (password,) = delivered
    assert can_log_in(database, ODD, password)
    assert not can_log_in(database, ODD, "the old one")
    assert password not in repr(rotation)
    assert "ALTER ROLE" in server_log()
    assert password not in server_log()
    assert PostgresRoles(database).read(keyed).records[0].digest != before.digest


def test_a_password_that_can_not_be_kept_is_not_put_in_force(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE ROLE app LOGIN PASSWORD 'the old one'")

    def fail(password: str) -> None:
        del password
        raise WorkFailedError("the place for it is full")

    with pytest.raises(WorkFailedError, match="full"):
        PostgresRoles(database).rotate("app", deliver=fail)
    assert can_log_in(database, "app", "the old one")


def test_a_role_that_another_session_changes_is_not_waited_for_without_end(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE ROLE app LOGIN PASSWORD 'the old one'")
    delivered: list[str] = []
    with closing(connect(database, autocommit=False)) as other, other.cursor() as cursor:
        cursor.execute("ALTER ROLE app CONNECTION LIMIT 7")
        with pytest.raises(TableLockedError):
            PostgresRoles(database, lock_timeout_seconds=0.1).rotate("app", deliver=delivered.append)
    assert delivered == []
    assert can_log_in(database, "app", "the old one")


def test_nobody_is_locked_out_unasked(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE ROLE app LOGIN PASSWORD 'the old one'; CREATE ROLE editors")
    provider = PostgresRoles(database)
    with pytest.raises(RefusedError, match="nobody would know"):
        provider.rotate("app")
    with pytest.raises(RefusedError, match="Holdfast itself"):
        provider.rotate("postgres", deliver=lambda password: None)
    for name in ("editors", "nobody"):
        with pytest.raises(NotFoundError, match=name):
            provider.rotate(name, force=True)
    assert can_log_in(database, "app", "the old one")
    provider.rotate("app", force=True)
    assert not can_log_in(database, "app", "the old one")


def test_a_user_without_the_right_is_told_which_is_lacking(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE ROLE plain LOGIN PASSWORD 'of the test'; CREATE ROLE app LOGIN PASSWORD 'the old one'")
    delivered: list[str] = []
    provider = PostgresRoles(as_user(database, "plain", "of the test"))
    with pytest.raises(AccessDeniedError, match="ADMIN OPTION"):
        provider.rotate("app", deliver=delivered.append)
    assert delivered == []
    done = provider.restore([record("new")])
    assert done.created == []
    assert [str(one) for one in done.left_out] == ["new: permission denied to create role"]
    with pytest.raises(AccessDeniedError) as refused:
        PostgresRoles(as_user(database, "plain", "canary-wrong")).read(keyed)
    assert "canary" not in str(refused.value)


def test_lost_roles_come_back_without_passwords_and_without_power(database: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql(
        f"""
        CREATE ROLE editors; CREATE ROLE gone_too;
        CREATE ROLE kept LOGIN PASSWORD 'of the test';
        CREATE ROLE boss LOGIN SUPERUSER CREATEROLE PASSWORD 'lost';
        CREATE ROLE {ODD_SQL} LOGIN CREATEDB NOINHERIT CONNECTION LIMIT 3 VALID UNTIL '2027-01-02' PASSWORD 'lost';
        GRANT editors TO {ODD_SQL} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
        GRANT gone_too, pg_write_server_files TO {ODD_SQL};
        GRANT {ODD_SQL} TO boss;
        """
    )
    provider = PostgresRoles(database)
    before = provider.read(keyed).records
    run_sql(f"DROP ROLE boss; DROP ROLE {ODD_SQL}; DROP ROLE gone_too")
    planned = provider.restore(before, dry_run=True)
    assert [one.name for one in provider.read(keyed).records] == ["kept", "postgres"]
    done = provider.restore(before)
    assert (done.created, done.kept) == (planned.created, planned.kept) == (["boss", ODD], ["kept", "postgres"])
    assert [one.name for one in done.left_out] == [
        "boss",
        "boss",
        f"{ODD}, member of gone_too",
        f"{ODD}, member of pg_write_server_files",
    ]
    after = {one.name: one for one in provider.read(keyed).records}
    was = {one.name: one for one in before}
    assert after["kept"] == was["kept"]
    assert after["boss"].attributes["superuser"] is False
    assert [one["role"] for one in after["boss"].attributes["memberships"]] == [ODD]
    odd = after[ODD]
    assert odd.rotation == was[ODD].rotation
    assert odd.attributes["password"] == "none"
    assert {name: odd.attributes[name] for name in ("createdb", "inherit", "connection_limit")} == {
        "createdb": True,
        "inherit": False,
        "connection_limit": 3,
    }
    assert odd.attributes["memberships"] == [one for one in was[ODD].attributes["memberships"] if one["role"] == "editors"]
    assert not can_log_in(database, ODD, "lost")
    assert provider.restore(before).created == []


def test_a_record_that_is_none_of_a_role_makes_none(database: DatabaseUrl) -> None:
    wrong = [
        replace(record("one"), rotation={"valid_until": "' SUPERUSER --"}),
        replace(record("two"), attributes={"connection_limit": "1 SUPERUSER"}),
        replace(record("three"), attributes={}),
        record("pg_reserved"),
    ]
    done = PostgresRoles(database).restore(wrong)
    assert done.created == []
    assert {one.name for one in done.left_out} == {"one", "two", "three", "pg_reserved"}


def test_a_server_that_does_not_answer_is_unreachable(database: DatabaseUrl) -> None:
    nowhere = replace(database, host="127.0.0.1", port=1)
    with pytest.raises(DatabaseUnreachableError):
        PostgresRoles(nowhere).read(keyed)


def record(name: str) -> SecretRecord:
    return SecretRecord(
        "postgres-roles", name, attributes={"createdb": False, "inherit": True, "connection_limit": -1, "memberships": []}
    )


def as_user(url: DatabaseUrl, user: str, password: str) -> DatabaseUrl:
    return replace(url, user=user, password=SecretStr(password))


def can_log_in(url: DatabaseUrl, user: str, password: str) -> bool:
    try:
        connect(as_user(url, user, password)).close()
    except AccessDeniedError:
        return False
    return True
