"""What a backup knows of Prefect's Secret blocks: all but the values, which must be seen nowhere."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.variables import Variable

from blocks.prefect_secrets import PrefectSecrets
from holdfast.errors import HoldfastError, NotFoundError, PrefectUnreachableError, RefusedError
from holdfast.sources.secrets.contract import PLACEHOLDER, SecretRecord

CANARY = "canary-of-prefects-secrets-4c1f"


def _digest(value: bytes) -> str:
    return hashlib.blake2b(value, key=b"a key of the repository", digest_size=16).hexdigest()


def _name(what: str) -> str:
    return f"{what}-{uuid4().hex[:8]}"


def _value(name: str) -> str:
    value = Secret.load(name, _sync=True).get()  # type: ignore[call-arg, union-attr]
    assert isinstance(value, str)
    return value


def _records() -> dict[str, SecretRecord]:
    return {record.name: record for record in PrefectSecrets().read(_digest).records}


class HoldsASecret(Block):
    """A block of a user's own, with a Secret block in it."""

    token: Secret  # type: ignore[type-arg]  # as a parameter of its own it would be a copy


@pytest.fixture(autouse=True)
def _no_value_is_logged(prefect_server: None, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert CANARY not in caplog.text


@pytest.fixture
def secret() -> Iterator[str]:
    """A Secret block whose value is the canary."""
    name = _name("planted")
    Secret(value=f"{CANARY}-{name}").save(name)
    yield name
    with get_client(sync_client=True) as client:
        client.delete_block_document(client.read_block_document_by_name(name, "secret").id)


def test_a_record_tells_all_that_prefect_knows_and_not_the_value(secret: str) -> None:
    provider = PrefectSecrets()
    found = provider.read(_digest)
    (record,) = [one for one in found.records if one.name == secret]
    assert record.digest == _digest(f"{CANARY}-{secret}".encode())
    assert record.created_at is not None
    assert record.changed_at is not None
    assert abs(datetime.now(UTC) - record.created_at) < timedelta(minutes=10)
    assert record.attributes == {"state": "value"}
    assert record.provider == provider.name == "prefect"
    assert CANARY not in repr(found) + json.dumps([one.to_json() for one in found.records]) + json.dumps(provider.description)
    assert [one.name for one in found.records] == sorted(one.name for one in found.records)


def test_a_value_that_is_json_has_a_digest_too_and_is_not_rotated(secret: str) -> None:
    Secret(value={"user": "ann", "password": CANARY}).save(secret, overwrite=True)
    first = _records()[secret].digest
    Secret(value={"user": "bob", "password": CANARY}).save(secret, overwrite=True)
    assert first != _records()[secret].digest
    with pytest.raises(RefusedError, match=secret) as raised:
        PrefectSecrets().rotate(secret)
    assert CANARY not in str(raised.value)
    assert CANARY in str(Secret.load(secret).get())  # type: ignore[union-attr]


def test_an_address_is_not_replaced_by_a_random_text(secret: str) -> None:
    address = f"postgresql://me:{CANARY}@host/db"
    Secret(value=address).save(secret, overwrite=True)
    with pytest.raises(RefusedError, match="is an address") as raised:
        PrefectSecrets().rotate(secret)
    assert CANARY not in str(raised.value)
    assert _value(secret) == address


def test_a_repository_without_a_key_costs_the_digest_alone(secret: str) -> None:
    (record,) = [one for one in PrefectSecrets().read(lambda value: None).records if one.name == secret]
    assert record.digest is None


def test_it_is_told_what_names_a_secret_and_which_blocks_hold_it(secret: str) -> None:
    variable = f"uses_{uuid4().hex[:8]}"
    Variable.set(variable, {"header": f"Bearer {{{{ prefect.blocks.secret.{secret} }}}}"})
    Variable.set(f"{variable}_not", f"prefect.blocks.secret.{secret}-2")
    holder = _name("holder")
    HoldsASecret(token=Secret.load(secret)).save(holder)  # type: ignore[arg-type]
    assert _records()[secret].used_in == [f"block holdsasecret/{holder}", f"variable {variable}"]


def test_a_rotated_secret_has_a_new_value_that_nobody_sees(secret: str) -> None:
    before = _records()[secret]
    rotation = PrefectSecrets().rotate(secret)
    value = _value(secret)
    assert CANARY not in value
    assert len(value) >= 32
    assert value not in repr(rotation)
    assert (rotation.provider, rotation.name) == ("prefect", secret)
    after = _records()[secret]
    assert after.digest == _digest(value.encode()) != before.digest
    assert after.created_at == before.created_at
    assert after.changed_at is not None
    assert before.changed_at is not None
    assert after.changed_at > before.changed_at


def test_a_secret_that_is_not_there_is_not_rotated_into_being() -> None:
    name = _name("missing")
    with pytest.raises(NotFoundError, match=name):
        PrefectSecrets().rotate(name)
    assert name not in _records()


def test_missing_secrets_come_back_as_placeholders_and_values_that_are_there_stay(secret: str) -> None:
    lost = _name("lost")
    records = [SecretRecord("prefect", name) for name in (lost, secret, "Not A Block's Name")]
    provider = PrefectSecrets(name="prefect-of-production")

    would = provider.restore(records, dry_run=True)
    assert (would.created, would.kept) == ([lost], [secret])
    assert lost not in _records()

    done = provider.restore(records)
    assert (done.created, done.kept, done.dry_run) == ([lost], [secret], False)
    assert [one.name for one in done.left_out] == ["Not A Block's Name"]
    assert _value(lost).startswith(PLACEHOLDER)
    assert _value(secret) == f"{CANARY}-{secret}"
    assert _records()[lost].attributes == {"state": "placeholder"}

    placed = _value(lost)
    again = provider.restore(records)
    assert (again.created, again.kept) == ([], [lost, secret])
    assert _value(lost) == placed


def test_a_server_that_is_gone_is_named_for_what_it_is() -> None:
    gone = {PREFECT_API_URL: f"http://user:{CANARY}@127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(gone):
        provider = PrefectSecrets()
        assert CANARY not in json.dumps(provider.description)
        for attempt in (
            lambda: provider.read(_digest),
            lambda: provider.rotate("any"),
            lambda: provider.restore([SecretRecord("prefect", "any")]),
        ):
            with pytest.raises(PrefectUnreachableError) as raised:
                attempt()
            error: HoldfastError = raised.value
            assert CANARY not in str(error) + repr(error)
