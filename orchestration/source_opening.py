"""Open what a flow is told by name to back up or bring back to: functions, configuration, providers of secrets.

What the blocks hold is hidden from the logs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from blocks import ConfigurationFiles, EncryptionKey, FunctionsDirectory, SupabaseProject
from blocks.providers import load_provider, provider_references
from holdfast.errors import NotFoundError, RefusedError
from holdfast.opening import open_catalog
from holdfast.sources.configuration.plans import plans_document
from holdfast.sources.configuration.source import ConfigurationSource
from holdfast.sources.secrets.source import SecretsSource
from orchestration.masking import hide_all_of
from orchestration.opening import load
from orchestration.prefect_objects import read_prefect_objects

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

    from holdfast.repository import Repository
    from holdfast.settings import Settings
    from holdfast.sources.contract import Json, Source
    from holdfast.sources.secrets.contract import SecretProvider


def functions_block(name: str) -> FunctionsDirectory | SupabaseProject:
    """Load the block that holds functions: a folder's, else a project's. Raises NotFoundError."""
    try:
        return load(FunctionsDirectory, name)
    except NotFoundError:
        return load(SupabaseProject, name)


def open_functions(name: str) -> Source:
    """Open the functions of a block."""
    return functions_block(name).source()


def open_configuration(name: str, key: str, settings: Settings, repository: Repository) -> ConfigurationSource:
    """Open the configuration that a block names, with the catalog's and Prefect's own; the key of a block is never part of it.

    Raises RefusedError where secrets were asked for, and would be stored in clear.
    """
    options = load(ConfigurationFiles, name).options(settings)
    if options.include_secrets and not repository.encrypted:
        raise RefusedError(
            "secrets of the configuration were asked for, and the repository is not encrypted",
            reason="whoever can read the storage could read them",
            next_step="Set BACKUP_CONFIG_INCLUDE_SECRETS to false, or use an encrypted repository",
        )
    options = replace(options, never=options.never.and_key(*_key(key)))

    def stored() -> Json:
        with open_catalog(settings) as catalog:
            return catalog.config()

    def plans() -> Json:
        with open_catalog(settings) as catalog:
            return plans_document(catalog)

    return ConfigurationSource(
        options,
        backup_config=stored,
        recovery_plans=plans,
        prefect=lambda: read_prefect_objects(include_secrets=options.include_secrets),
    )


def _key(name: str) -> tuple[SecretStr | None, Path | None]:
    try:
        block = load(EncryptionKey, name)
    except NotFoundError:
        return None, None
    return block.key, block.key_file


def open_providers(names: Sequence[str] | None, settings: Settings) -> list[SecretProvider]:
    """Open the providers of these blocks (type/name), or those of the settings. Raises NotFoundError, SettingsError."""
    with ExitStack() as opened:
        found: list[SecretProvider] = []
        for name in provider_references(settings) if names is None else names:
            block = load_provider(name)
            hide_all_of(block)
            provider = block.provider()
            opened.callback(provider.close)
            found.append(provider)
        opened.pop_all()
        return found


def open_secrets(names: Sequence[str] | None, settings: Settings, repository: Repository) -> Source:
    """Open what is known of the secrets of these providers."""
    return SecretsSource(open_providers(names, settings), repository.secret_digest)
