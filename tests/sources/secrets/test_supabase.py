"""A Supabase project's secrets, on the local Management API."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing

import pytest
from pydantic import SecretStr

from holdfast.errors import NotFoundError, RefusedError, SourceDeniedError, SourceUnreachableError
from holdfast.sources.secrets.contract import SecretRecord
from holdfast.sources.secrets.supabase import SupabaseSecrets
from holdfast.sources.supabase import ManagementApi
from holdfast.storage.retrying import RetryPolicy
from tests.sources.secrets.digests import keyed
from tests.sources.supabase.server import REF, TOKEN, ManagementServer

HASTY = RetryPolicy(tries=2, first_seconds=0.01, longest_seconds=0.01, patience_seconds=5.0)
CANARY = "canary-of-a-project"


@pytest.fixture
def project() -> Iterator[ManagementServer]:
    with ManagementServer() as running:
        running.project.secrets |= {name: (sha256(CANARY + name), "2026-11-23T20:04:12Z") for name in ("STRIPE", "SUPABASE_URL")}
        yield running


@pytest.fixture
def provider(project: ManagementServer) -> Iterator[SupabaseSecrets]:
    opened = opened_with(project, TOKEN)
    yield opened
    opened.close()


def opened_with(project: ManagementServer, token: str) -> SupabaseSecrets:
    return SupabaseSecrets(ManagementApi(project.address, REF, SecretStr(token), timeout_seconds=5, policy=HASTY))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_what_the_service_tells_is_digested_again(provider: SupabaseSecrets) -> None:
    found = provider.read(keyed)
    assert [(record.name, record.attributes["reserved"]) for record in found.records] == [
        ("STRIPE", False),
        ("SUPABASE_URL", True),
    ]
    stripe = found.records[0]
    assert stripe.digest == keyed(sha256(CANARY + "STRIPE").encode())
    assert stripe.changed_at is not None
    assert stripe.changed_at.isoformat() == "2026-11-23T20:04:12+00:00"
    assert sha256(CANARY + "STRIPE") not in str(found)
    assert SecretRecord.from_json(stripe.to_json()) == stripe


def test_a_rotation_sets_a_new_value(provider: SupabaseSecrets, project: ManagementServer) -> None:
    before = provider.read(keyed).records
    provider.rotate("STRIPE")
    after = provider.read(keyed).records
    assert after[0].digest != before[0].digest
    assert after[1] == before[1]


def test_supabases_own_secrets_and_unknown_ones_are_not_touched(provider: SupabaseSecrets, project: ManagementServer) -> None:
    with pytest.raises(RefusedError, match="Supabase itself"):
        provider.rotate("SUPABASE_URL")
    with pytest.raises(NotFoundError, match="OTHER"):
        provider.rotate("OTHER")
    assert project.count("POST", "/secrets") == 0


def test_lost_names_come_back_and_present_ones_keep_their_values(provider: SupabaseSecrets, project: ManagementServer) -> None:
    records = [SecretRecord("supabase", name) for name in ("STRIPE", "LOST", "SUPABASE_LOST")]
    planned = provider.restore(records, dry_run=True)
    assert project.count("POST", "/secrets") == 0
    done = provider.restore(records)
    assert (done.created, done.kept) == (planned.created, planned.kept) == (["LOST"], ["STRIPE"])
    assert [one.name for one in done.left_out] == ["SUPABASE_LOST"]
    assert project.project.secrets["STRIPE"][0] == sha256(CANARY + "STRIPE")
    assert set(project.project.secrets) == {"STRIPE", "SUPABASE_URL", "LOST"}
    assert provider.restore(records).created == []


def test_a_refused_token_and_an_outage_are_told_apart(provider: SupabaseSecrets, project: ManagementServer) -> None:
    with closing(opened_with(project, "sbp_wrong")) as refused, pytest.raises(SourceDeniedError):
        refused.read(keyed)
    project.fail("GET", "/secrets", status=500, times=2)
    with pytest.raises(SourceUnreachableError):
        provider.read(keyed)
