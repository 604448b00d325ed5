"""Flows open the same providers of secrets for the same settings as commands do, and refuse the same with the same words."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from blocks.providers import open_provider, provider_blocks, provider_references
from holdfast.errors import SettingsError
from holdfast.settings import Settings
from holdfast.sources.secrets.configured import providers_of
from tests.sources.secrets.test_configured import NAMES, everything, variables

__all__ = ["everything", "variables"]


def test_flows_and_commands_open_the_same(everything: pytest.MonkeyPatch, tmp_path: Path) -> None:
    everything.setenv("BACKUP_SECRETS_PROVIDERS", f"{NAMES},prefect")
    settings = Settings()
    blocks = provider_blocks(settings)
    for block, opened in zip(blocks.values(), providers_of(settings, open_provider), strict=True):
        with closing(block.provider()) as provider, closing(opened):  # type: ignore[attr-defined]
            assert provider.description == opened.description
            assert type(provider) is type(opened)
            assert getattr(provider, "_used_in", []) == getattr(opened, "_used_in", [])
    assert provider_references(settings) == [f"{block.get_block_type_slug()}/{name}" for name, block in blocks.items()]


def test_a_block_of_a_users_own_is_named_as_it_is(everything: pytest.MonkeyPatch) -> None:
    everything.setenv("BACKUP_SECRETS_PROVIDERS", "holdfast-aws-secrets-manager/mine,prefect")
    references = provider_references(Settings())
    assert references[1:] == ["holdfast-aws-secrets-manager/mine", "holdfast-prefect-secret-blocks/holdfast-secrets-prefect"]


@pytest.mark.parametrize("names", ["postgres-roles", "supabase", "supabase-vault", "keychain", "env-file"])
def test_what_is_refused_is_refused_alike(variables: pytest.MonkeyPatch, names: str) -> None:
    variables.setenv("BACKUP_SECRETS_PROVIDERS", names)
    said = set()
    for ask in (provider_blocks, provider_references, lambda settings: providers_of(settings, open_provider)):
        with pytest.raises(SettingsError) as refused:
            ask(Settings())  # type: ignore[operator]
        said.add(str(refused.value))
    assert len(said) == 1


def test_a_type_of_block_that_keeps_no_secrets_is_refused() -> None:
    with pytest.raises(SettingsError, match="secret-place"):
        open_provider("secret-place/mine")
