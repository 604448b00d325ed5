"""Supabase Vault, on a stand-in with the columns, view and functions of the extension, which is not installed here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from holdfast.errors import AccessDeniedError, NotFoundError, RefusedError
from holdfast.postgres.connection import DatabaseUrl
from holdfast.sources.secrets.contract import PLACEHOLDER, SecretRecord
from holdfast.sources.secrets.vault import SupabaseVault
from tests.sources.secrets.conftest import RunSql
from tests.sources.secrets.digests import keyed

CANARY = "canary-in-the-vault"
ODD = """it's "odd" %s"""


@pytest.fixture
def filled(vault: DatabaseUrl, run_sql: RunSql) -> DatabaseUrl:
    run_sql(f"SELECT vault.create_secret('{CANARY}', 'stripe', 'for payments'), vault.create_secret('{CANARY}2')")
    run_sql("SELECT vault.create_secret('third', 'it''s \"odd\" %s')")
    return vault


def value_of(run_sql: RunSql, name: str) -> str:
    rows = run_sql("SELECT name, decrypted_secret FROM vault.decrypted_secrets")
    return str(dict(rows)[name])


def test_secrets_are_told_with_times_readers_and_no_value(filled: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE ROLE service_role; CREATE ROLE anon")
    run_sql("GRANT USAGE ON SCHEMA vault TO service_role, anon; GRANT SELECT ON vault.decrypted_secrets TO service_role")
    found = SupabaseVault(filled).read(keyed)
    nameless, odd, stripe = found.records
    assert (odd.name, stripe.name) == (ODD, "stripe")
    assert nameless.name.startswith("id:")
    assert stripe.digest == keyed(CANARY.encode())
    assert stripe.attributes["description"] == "for payments"
    assert stripe.readers == ["postgres", "service_role"]
    assert stripe.created_at is not None
    assert abs(datetime.now(UTC) - stripe.created_at) < timedelta(hours=1)
    assert CANARY not in str(found)
    assert SecretRecord.from_json(stripe.to_json()) == stripe


def test_a_new_value_is_made_by_the_server_and_is_in_no_statement(
    filled: DatabaseUrl, run_sql: RunSql, server_log: Callable[[], str]
) -> None:
    before = {record.name: record for record in SupabaseVault(filled).read(keyed).records}
    for name in before:
        SupabaseVault(filled).rotate(name)
    after = {record.name: record for record in SupabaseVault(filled).read(keyed).records}
    assert before.keys() == after.keys()
    for name, record in after.items():
        assert record.digest != before[name].digest
        assert record.changed_at != before[name].changed_at
        assert record.attributes == before[name].attributes
    new = value_of(run_sql, "stripe")
    assert len(new) == 64
    assert "update_secret" in server_log()
    assert new not in server_log()
    with pytest.raises(NotFoundError, match="nothing"):
        SupabaseVault(filled).rotate("nothing")


def test_what_a_random_text_can_not_stand_for_is_not_replaced(filled: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("SELECT vault.create_secret('https://me:canary@host', 'hook')")
    with pytest.raises(RefusedError, match="an address") as refused:
        SupabaseVault(filled).rotate("hook")
    assert "canary" not in str(refused.value)
    assert value_of(run_sql, "hook") == "https://me:canary@host"


def test_lost_names_come_back_as_placeholders_and_present_ones_keep_their_values(filled: DatabaseUrl, run_sql: RunSql) -> None:
    records = SupabaseVault(filled).read(keyed).records
    run_sql("DELETE FROM vault.secrets WHERE name <> 'stripe' OR name IS NULL")
    planned = SupabaseVault(filled).restore(records, dry_run=True)
    assert run_sql("SELECT count(*) FROM vault.secrets") == [(1,)]
    done = SupabaseVault(filled).restore(records)
    assert (done.created, done.kept) == (planned.created, planned.kept) == ([ODD], ["stripe"])
    assert [one.name for one in done.left_out] == [records[0].name]
    assert value_of(run_sql, "stripe") == CANARY
    assert value_of(run_sql, ODD).startswith(PLACEHOLDER)
    assert SupabaseVault(filled).read(keyed).records[0].attributes["state"] == "placeholder"
    assert SupabaseVault(filled).restore(records).created == []


def test_without_the_right_to_values_the_rest_is_told_and_it_is_said(filled: DatabaseUrl, run_sql: RunSql) -> None:
    run_sql("CREATE ROLE plain LOGIN PASSWORD 'of the test'")
    plain = replace(filled, user="plain", password=SecretStr("of the test"))
    with pytest.raises(AccessDeniedError):
        SupabaseVault(plain).read(keyed)
    run_sql("GRANT USAGE ON SCHEMA vault TO plain; GRANT SELECT ON vault.secrets TO plain")
    found = SupabaseVault(plain).read(keyed)
    assert [record.digest for record in found.records] == [None, None, None]
    assert "decrypted_secrets" in found.notes[0]
    with pytest.raises(AccessDeniedError, match="vault"):
        SupabaseVault(plain).rotate("stripe")
    with pytest.raises(AccessDeniedError, match="vault"):
        SupabaseVault(plain).restore([SecretRecord("supabase-vault", "new")])


def test_a_database_without_a_vault_is_named(database: DatabaseUrl) -> None:
    with pytest.raises(NotFoundError, match="no vault in"):
        SupabaseVault(database).read(keyed)
