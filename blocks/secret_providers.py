"""Places of secrets whose metadata is backed up, as blocks: each makes a provider of the engine's contract."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr

if TYPE_CHECKING:
    from holdfast.sources.secrets.contract import SecretProvider


class EnvFileSecrets(Block):
    """An .env file that holds secrets.

    Examples:
        See what the file is called among the providers.
        ```python
        from blocks import EnvFileSecrets

        print(EnvFileSecrets.load("holdfast-secrets-env-file").provider().description)
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Env File Secrets"
    _block_type_slug = "holdfast-env-file-secrets"
    _description = "An .env file of whose secrets Holdfast backs the metadata up."

    path: Path = Field(..., description="The file, as an absolute path on the worker's host.")
    used_in: list[Path] = Field(default_factory=list, description="Folders that are searched for where its names are used.")

    def provider(self) -> SecretProvider:
        """Open it as a provider."""
        from holdfast.sources.secrets.env_file import EnvFile

        return EnvFile(self.path, used_in=self.used_in)


class PostgresRoleSecrets(Block):
    """The login roles of a PostgreSQL server.

    Examples:
        See what the server is called among the providers.
        ```python
        from blocks import PostgresRoleSecrets

        print(PostgresRoleSecrets.load("holdfast-secrets-postgres-roles").provider().description)
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Postgres Role Secrets"
    _block_type_slug = "holdfast-postgres-role-secrets"
    _description = "A PostgreSQL server of whose login roles Holdfast backs the metadata up."

    url: SecretStr = Field(..., description="Address of any database of the server, with user and password.")

    def provider(self) -> SecretProvider:
        """Open it as a provider."""
        from holdfast.postgres.url import DatabaseUrl
        from holdfast.sources.secrets.postgres_roles import PostgresRoles

        return PostgresRoles(DatabaseUrl.parse(self.url))


class SupabaseVaultSecrets(Block):
    """The secrets in a database's Supabase Vault.

    Examples:
        See what the vault is called among the providers.
        ```python
        from blocks import SupabaseVaultSecrets

        print(SupabaseVaultSecrets.load("holdfast-secrets-supabase-vault").provider().description)
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Supabase Vault Secrets"
    _block_type_slug = "holdfast-supabase-vault-secrets"
    _description = "A database with a Supabase Vault of whose secrets Holdfast backs the metadata up."

    url: SecretStr = Field(..., description="Address of the database, with user and password.")

    def provider(self) -> SecretProvider:
        """Open it as a provider."""
        from holdfast.postgres.url import DatabaseUrl
        from holdfast.sources.secrets.vault import SupabaseVault

        return SupabaseVault(DatabaseUrl.parse(self.url))


class PrefectSecretBlocks(Block):
    """The Secret blocks of the Prefect server itself.

    Examples:
        See what they are called among the providers.
        ```python
        from blocks import PrefectSecretBlocks

        print(PrefectSecretBlocks.load("holdfast-secrets-prefect").provider().description)
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Secret Blocks of Prefect"
    _block_type_slug = "holdfast-prefect-secret-blocks"
    _description = "The Secret blocks of this Prefect server, of which Holdfast backs the metadata up."

    label: str = Field("prefect", description="What they are called among the providers.")

    def provider(self) -> SecretProvider:
        """Open them as a provider."""
        from blocks.prefect_secrets import PrefectSecrets

        return PrefectSecrets(name=self.label)
