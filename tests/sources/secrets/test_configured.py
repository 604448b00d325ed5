"""The settings name providers, and each is opened by its name or refused with what it lacks, by commands and flows alike."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from holdfast.errors import SettingsError
from holdfast.settings import Settings
from holdfast.sources.secrets.configured import providers_of
from holdfast.sources.secrets.contract import SecretProvider
from holdfast.sources.secrets.env_file import EnvFile

NAMES = "aws,supabase,postgres-roles,supabase-vault"


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    return monkeypatch


@pytest.fixture
def everything(variables: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """What every provider needs."""
    variables.setenv("BACKUP_SECRETS_ENV_FILE", str(tmp_path / ".env"))
    variables.setenv("BACKUP_FUNCTIONS_PATH", str(tmp_path / "supabase"))
    variables.setenv("BACKUP_DATABASE_URL", "postgresql://me:canary@localhost/db")
    variables.setenv("BACKUP_SUPABASE_PROJECT", "abcdefghijklmnopqrst")
    variables.setenv("BACKUP_SUPABASE_ACCESS_TOKEN", "sbp_" + "ca" * 20)
    return variables


def nothing_else(name: str) -> SecretProvider:
    raise AssertionError(name)


def test_every_name_opens_its_provider(everything: pytest.MonkeyPatch, tmp_path: Path) -> None:
    everything.setenv("BACKUP_SECRETS_PROVIDERS", f"{NAMES},prefect,secret-place/mine")
    asked: list[str] = []

    def further(name: str) -> SecretProvider:
        asked.append(name)
        return EnvFile(tmp_path / "other", name=name)

    found = providers_of(Settings(), further)
    kinds = [provider.kind for provider in found]
    assert kinds == ["env-file", "aws", "supabase", "postgres-roles", "supabase-vault", "env-file", "env-file"]
    assert asked == ["prefect", "secret-place/mine"]
    for provider in found:
        with closing(provider):
            assert provider.description["kind"] == provider.kind
            assert provider.description["name"] == provider.name
            assert "canary" not in str(provider.description)


def test_no_providers_are_none(variables: pytest.MonkeyPatch) -> None:
    assert providers_of(Settings(), nothing_else) == []


def test_two_of_one_name_are_refused(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    variables.setenv("BACKUP_SECRETS_PROVIDERS", "secret-place/mine,secret-place/yours")
    with pytest.raises(SettingsError, match="the same name"):
        providers_of(Settings(), lambda name: EnvFile(tmp_path / name))


@pytest.mark.parametrize(
    ("names", "lacking"),
    [
        ("postgres-roles", "BACKUP_DATABASE_URL"),
        ("aws,supabase-vault", "BACKUP_DATABASE_URL"),
        ("supabase", "BACKUP_SUPABASE_PROJECT and BACKUP_SUPABASE_ACCESS_TOKEN"),
        ("keychain", "'keychain'"),
        ("env-file", "'env-file'"),
    ],
)
def test_what_a_provider_lacks_and_an_unknown_one_is_named(variables: pytest.MonkeyPatch, names: str, lacking: str) -> None:
    variables.setenv("BACKUP_SECRETS_PROVIDERS", names)
    with pytest.raises(SettingsError, match=lacking):
        providers_of(Settings(), nothing_else)
