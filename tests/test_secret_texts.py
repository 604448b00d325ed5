"""What is hidden of settings and blocks: all that is secret, and nothing that a person needs to read."""

from __future__ import annotations

import logging

import pytest
from pydantic import SecretStr

from blocks import BackupStorage
from holdfast.secret_texts import secret_parts, secrets_of
from holdfast.storage import StorageSettings
from orchestration import masking
from tests.blocks.nested import CANARY, EVERY_KIND, SOMEWHERE, aws, connection_string, service_account


def found_in(block: BackupStorage) -> set[str]:
    return {part for secret in secrets_of(block) for part in secret_parts(secret.get_secret_value())}


def test_secrets_of_nested_blocks_are_found_however_they_are_typed() -> None:
    found = found_in(BackupStorage(service=aws(aws_session_token="a-plain-token")))
    assert {CANARY, "a-plain-token"} <= found
    key = service_account()["private_key"]
    for kind, make in EVERY_KIND.items():
        found = found_in(BackupStorage(service=make(SOMEWHERE)))
        assert (key if kind.startswith("g") else CANARY) in found, kind


def test_a_key_of_many_lines_is_hidden_line_by_line() -> None:
    parts = secret_parts(service_account()["private_key"].replace("\n", "\\n"))
    assert service_account()["private_key"].splitlines()[3] in parts
    assert not any(part.startswith("-----BEGIN") and "\\n" not in part for part in parts)


def test_within_a_connection_string_or_an_address_the_key_itself_is_hidden_too() -> None:
    assert CANARY in secret_parts(connection_string())
    assert "sv=1&sig=x" in secret_parts("BlobEndpoint=https://a;SharedAccessSignature=sv=1&sig=x")
    assert secret_parts("postgresql://u:p%40ss@h/d") == ["p%40ss", "p@ss"]
    assert secret_parts("postgresql://u@h/d") == []


def test_the_name_of_an_azure_account_can_be_read() -> None:
    settings = StorageSettings(type="azure", access_key=SecretStr("shop"), secret_key=SecretStr(CANARY))
    assert [secret.get_secret_value() for secret in secrets_of(settings)] == [CANARY]
    kept = StorageSettings(type="s3", access_key=SecretStr("AKIA"), secret_key=SecretStr(CANARY))
    assert [secret.get_secret_value() for secret in secrets_of(kept)] == ["AKIA", CANARY]


def test_a_flow_hides_what_lies_in_nested_blocks(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(masking, "_secrets", set())
    for make in EVERY_KIND.values():
        masking.hide_all_of(BackupStorage(service=make(SOMEWHERE)))
    caplog.handler.addFilter(masking._FILTER)
    line = service_account()["private_key"].splitlines()[2]
    logging.getLogger("somebody").warning("refused %s and %s", connection_string(), line)
    assert CANARY not in caplog.text
    assert line not in caplog.text
