"""The settings of what is backed up besides the database: functions, configuration, and what is known of secrets."""

from __future__ import annotations

from pydantic import BaseModel, Field

from holdfast.settings.kinds import Address, LockSeconds, OptionalPath, Patterns, ProjectRef, Providers, ServiceAddress, Token


class SourceSettings(BaseModel):
    """What holds for every source."""

    allow_empty: bool = Field(
        False,
        validation_alias="BACKUP_ALLOW_EMPTY",
        description="Make a backup of a source that holds nothing, too; otherwise that is refused, for it may be a slip",
    )


class FunctionSettings(BaseModel):
    """Where Edge Functions are."""

    functions_path: OptionalPath = Field(
        None,
        validation_alias="BACKUP_FUNCTIONS_PATH",
        description="Folder that holds config.toml and functions/; unset, those of the Supabase project are backed up, if any",
    )
    functions_url: ServiceAddress = Field(
        None,
        validation_alias="BACKUP_FUNCTIONS_URL",
        description="Address below which deployed functions are called to see that they answer",
    )
    functions_call_token: Token = Field(
        None,
        validation_alias="BACKUP_FUNCTIONS_CALL_TOKEN",
        description="Token that functions which verify one are called with",
    )
    functions_call_seconds: LockSeconds = Field(
        60,
        validation_alias="BACKUP_FUNCTIONS_CALL_SECONDS",
        description="Seconds within which all functions that were brought back must answer",
    )
    supabase_project: ProjectRef = Field(
        None,
        validation_alias="BACKUP_SUPABASE_PROJECT",
        description="Reference of the Supabase project: the first part of its address",
    )
    supabase_access_token: Token = Field(
        None,
        validation_alias="BACKUP_SUPABASE_ACCESS_TOKEN",
        description="Access token of Supabase's Management API",
    )
    supabase_api_url: Address = Field(
        "https://api.supabase.com",
        validate_default=False,
        validation_alias="BACKUP_SUPABASE_API_URL",
        description="Address of Supabase's Management API",
    )


class ConfigurationSettings(BaseModel):
    """What of the configuration is backed up."""

    config_files: Patterns = Field(
        [],
        validation_alias="BACKUP_CONFIG_FILES",
        description="Configuration files, as globs; relative ones begin in the working directory, '**' goes through folders",
    )
    config_env: Patterns = Field(
        [], validation_alias="BACKUP_CONFIG_ENV", description="Environment variables to back up, as patterns such as APP_*"
    )
    config_env_deny: Patterns = Field(
        [],
        validation_alias="BACKUP_CONFIG_ENV_DENY",
        description="Environment variables to leave out, as patterns; they go before",
    )
    config_include_secrets: bool = Field(
        False,
        validation_alias="BACKUP_CONFIG_INCLUDE_SECRETS",
        description="Back up values and files that look like secrets, too; otherwise they are left out and listed by name",
    )


class SecretsSettings(BaseModel):
    """Where secrets are; what is known of them is backed up, and never a value."""

    secrets_env_file: OptionalPath = Field(
        None, validation_alias="BACKUP_SECRETS_ENV_FILE", description="An .env file that holds secrets"
    )
    secrets_providers: Providers = Field(
        [],
        validation_alias="BACKUP_SECRETS_PROVIDERS",
        description="Further places of secrets",
    )


SOURCES: tuple[type[BaseModel], ...] = (SourceSettings, FunctionSettings, ConfigurationSettings, SecretsSettings)
