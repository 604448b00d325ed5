"""Addresses and connections: what a user types, what goes wrong, and that the password is never seen."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from holdfast.errors import AccessDeniedError, DatabaseUnreachableError, HoldfastError, NotFoundError, SettingsError
from holdfast.postgres.connection import (
    DatabaseUrl,
    child_environment,
    connect,
    connect_to_server,
    masked,
    quote_identifier,
    server_version,
)
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.postgres.process import run_tool
from holdfast.postgres.tools import find_tool
from tests.postgres.servers import running_server

PASSWORD = "kanarien:vogel\\pass w%rd'ü\""

RunSql = Callable[..., list[tuple[object, ...]]]


@pytest.mark.parametrize(
    ("text", "host", "port", "user", "database"),
    [
        ("postgresql://me:secret@db.example.com:5433/shop", "db.example.com", 5433, "me", "shop"),
        ("postgres://db/shop", "db", 5432, None, "shop"),
        ("postgresql://me@[::1]:5433/shop", "::1", 5433, "me", "shop"),
        ("postgresql:///shop?host=/run/postgresql&port=5444", "/run/postgresql", 5444, None, "shop"),
        ("postgresql://%2Frun%2Fpostgresql/shop", "/run/postgresql", 5432, None, "shop"),
        ("postgresql://me%40work:p%40ss%2Fword@db/my%20shop%3F", "db", 5432, "me@work", "my shop?"),
    ],
)
def test_every_way_to_write_a_url_is_understood(text: str, host: str, port: int, user: str | None, database: str) -> None:
    url = DatabaseUrl.parse(text)
    assert (url.host, url.port, url.user, url.database) == (host, port, user, database)
    assert DatabaseUrl.parse(url.with_password()) == url


@given(
    user=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    password=st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"]), min_size=1),
    database=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    host=st.sampled_from(["db.example.com", "::1", "/var/run/postgresql", None]),
    port=st.integers(1, 65535),
)
def test_a_url_that_is_written_is_read_back_the_same(
    user: str, password: str, database: str, host: str | None, port: int
) -> None:
    url = DatabaseUrl(database, host, port, user, SecretStr(password), (("sslmode", "require"),))
    assert DatabaseUrl.parse(url.with_password()) == url
    without = DatabaseUrl.parse(url.without_password())
    assert without.password is None
    assert without.same_server(url)


@pytest.mark.parametrize(
    "text",
    [
        "mysql://me:canary@db/shop",
        "postgresql+psycopg2://me:canary@db/shop",
        "postgresql://me:canary@db",
        "postgresql://me:canary%zz@db/shop",
        "postgresql://me:can@ary@db/shop",
        "postgresql://me:can/ary@db/shop",
        "postgresql://me:canary@db:port/shop",
        "postgresql://me:canary@db:99999/shop",
        "postgresql://me:canary@one,two/shop",
        "postgresql://me:canary@db/shop?colour=blue",
        "postgresql://me:canary@[::1/shop",
        "postgresql://me:canary@db/shop?sslpassword=canary",
        "postgresql://me:can%0Aary@db/shop",
        "",
    ],
)
def test_a_wrong_url_is_refused_without_showing_any_of_it(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        DatabaseUrl.parse(text)
    assert "canary" not in str(caught.value)
    assert "ary" not in f"{caught.value.reason}"
    assert caught.value.__cause__ is None
    assert "postgresql://user:password@host:5432/database" in str(caught.value)


def test_a_url_never_shows_its_password() -> None:
    url = DatabaseUrl.parse(SecretStr("postgresql://me:canary@db:5433/shop?sslmode=require"))
    shown = f"{url} {url!r} {url.redacted} {[url]} {url.with_database('x')} {url.maintenance()!r} {url.without_password()}"
    assert "canary" not in shown
    assert url.redacted == "postgresql://me@db:5433/shop?sslmode=require"


def test_same_server_tells_servers_apart() -> None:
    here = DatabaseUrl.parse("postgresql://a@localhost/x")
    assert here.same_server(DatabaseUrl.parse("postgresql://b:c@127.0.0.1:5432/y"))
    assert not here.same_server(DatabaseUrl.parse("postgresql://localhost:5433/x"))
    assert not here.same_server(DatabaseUrl.parse("postgresql:///x?host=/tmp"))


def test_names_are_quoted_for_sql() -> None:
    assert quote_identifier('a "b".c') == '"a ""b"".c"'


def test_a_missing_database_is_not_found(server: EmbeddedServer) -> None:
    with pytest.raises(NotFoundError, match="no database 'nowhere'"):
        connect(server.url("nowhere"))


def test_a_silent_server_is_unreachable_and_worth_a_retry() -> None:
    with pytest.raises(DatabaseUnreachableError) as caught:
        connect(DatabaseUrl.parse("postgresql://me:canary@127.0.0.1:9/shop"))
    assert caught.value.retryable
    assert "canary" not in str(caught.value)
    with pytest.raises(DatabaseUnreachableError):
        connect(DatabaseUrl.parse("postgresql:///shop?host=/nonexistent"))


def test_a_server_without_a_database_postgres_is_still_reached(own_server: EmbeddedServer) -> None:
    own_server.start()
    with closing(connect(own_server.url("template1"))) as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE postgres")
    with closing(connect_to_server(own_server.url("anything"))) as connection:
        assert server_version(connection).major == 18


@pytest.fixture(scope="module")
def guarded() -> Iterator[DatabaseUrl]:
    """A database of a server that asks for a password (SCRAM)."""
    with running_server(18) as embedded:
        with closing(connect(embedded.url())) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE ROLE keeper LOGIN SUPERUSER PASSWORD %s", (PASSWORD,))
            cursor.execute("CREATE DATABASE vault OWNER keeper")
            rules = "local all keeper scram-sha-256\nlocal all postgres trust\n"
            (embedded.data_dir / "pg_hba.conf").write_text(rules)
            cursor.execute("SELECT pg_reload_conf()")
        url = embedded.url("vault")
        yield DatabaseUrl(url.database, url.host, url.port, "keeper", SecretStr(PASSWORD))


def with_password(url: DatabaseUrl, password: str | None) -> DatabaseUrl:
    return DatabaseUrl(url.database, url.host, url.port, url.user, SecretStr(password) if password else None)


def test_a_password_reaches_the_server_from_us_and_from_every_tool(guarded: DatabaseUrl) -> None:
    with closing(connect(guarded)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user::text")
        assert cursor.fetchone() == ("keeper",)
    for name, arguments in [
        ("pg_dump", ["--schema-only", "-w"]),
        ("pg_dumpall", ["--roles-only", "-w"]),
        ("psql", ["-X", "-w", "-c", "SELECT 1"]),
        ("pg_restore", ["-w", "-d", "dbname=vault"]),
    ]:
        archive = b"" if name != "pg_restore" else _empty_archive(guarded)
        with run_tool(find_tool(name, at_least_major=18), arguments, url=guarded, stdin=archive):  # type: ignore[arg-type]
            pass


@pytest.mark.parametrize("password", ["wrong canary", None])
def test_a_wrong_or_missing_password_is_a_setting_to_correct(guarded: DatabaseUrl, password: str | None) -> None:
    refused = with_password(guarded, password)
    with pytest.raises(AccessDeniedError) as ours:
        connect(refused)
    with (
        pytest.raises(AccessDeniedError) as theirs,
        run_tool(find_tool("pg_dump", at_least_major=18), ["-w"], url=refused) as child,
    ):
        child.wait()
    for error in (ours.value, theirs.value):
        assert not error.retryable
        assert "canary" not in f"{error} {error.__cause__}"


def test_a_child_s_password_is_in_no_list_that_others_can_read(guarded: DatabaseUrl) -> None:
    psql = find_tool("psql", at_least_major=18)
    with run_tool(psql, ["-X", "-w", "-c", "SELECT pg_sleep(60)"], url=guarded) as child:
        family = _family(child.pid)
        while not any(_runs(member, "psql") for member in family):
            time.sleep(0.02)
            family = _family(child.pid)
        for member in family:
            seen = Path(f"/proc/{member.pid}/cmdline").read_bytes() + Path(f"/proc/{member.pid}/environ").read_bytes()
            assert b"kanarien" not in seen
            assert b"PGPASSWORD" not in seen
        child.stop()


def test_a_child_sees_none_of_our_own_environment_s_secrets(monkeypatch: pytest.MonkeyPatch, guarded: DatabaseUrl) -> None:
    monkeypatch.setenv("BACKUP_ENCRYPTION_KEY", "canary")
    monkeypatch.setenv("PGPASSWORD", "canary")
    monkeypatch.setenv("PGOPTIONS", "-c canary=1")
    with child_environment(guarded) as (environment, descriptors):
        assert "canary" not in str(environment)
        assert "kanarien" not in str(environment)
        assert len(descriptors) == 1
        assert environment["PGUSER"] == "keeper"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptors[0])


def test_an_error_crosses_processes_without_the_password(guarded: DatabaseUrl) -> None:
    with pytest.raises(HoldfastError) as caught:
        connect(guarded.with_database("nowhere"))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is type(caught.value)
    assert "kanarien" not in str(copy)


def test_options_of_the_url_reach_the_tools(database: DatabaseUrl) -> None:
    options = (("application_name", "shown in pg_stat_activity"), ("options", "-c work_mem=5MB"))
    url = DatabaseUrl(database.database, database.host, database.port, database.user, None, options)
    psql = find_tool("psql", at_least_major=18)
    statement = "SELECT current_setting('application_name'), current_setting('work_mem')"
    with run_tool(psql, ["-X", "-A", "-t", "-c", statement], url=url, stdout="pipe") as child:
        assert child.stdout.read() == b"shown in pg_stat_activity|5MB\n"


def _empty_archive(url: DatabaseUrl) -> bytes:
    with run_tool(find_tool("pg_dump", at_least_major=18), ["-Fc"], url=url, stdout="pipe") as child:
        return bytes(child.stdout.readall())


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _runs(process: psutil.Process, name: str) -> bool:
    try:
        return Path(process.cmdline()[0]).name == name
    except (psutil.Error, IndexError):
        return False


@pytest.mark.parametrize(
    "said",
    [
        'ERROR:  new row for relation "t" violates check constraint "c"\nDETAIL:  Failing row contains (1, CANARY, null).',
        "ERROR:  duplicate key value\nDETAIL:  Key (email)=(CANARY) already exists.\nCONTEXT:  COPY t, line 7",
        'ERROR:  invalid input syntax for type integer: "CANARY"\nCONTEXT:  COPY t, line 1, column i: "CANARY"',
        'ERROR:  missing data for column "b"\nCONTEXT:  COPY public.t, line 3: "CANARY\\tCANARY"',
        "ERROR:  conflicting key value\nDETAIL:  Key (a)=(CANARY) conflicts with existing key (a)=(CANARY).",
    ],
)
def test_what_a_server_quotes_of_rows_is_not_passed_on(said: str) -> None:
    told = masked(said, DatabaseUrl.parse("postgresql://u@h/d"))
    assert "CANARY" not in told
    assert told.startswith(said.split(":", maxsplit=1)[0])
