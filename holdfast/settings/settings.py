"""All settings as one flat object that does not change once it was read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from holdfast.settings.api import ApiSettings
from holdfast.settings.recovery import RecoverySettings
from holdfast.settings.sources import ConfigurationSettings, FunctionSettings, SecretsSettings, SourceSettings
from holdfast.settings.topics import (
    BackupTypeSettings,
    CompressionSettings,
    EncryptionSettings,
    PlaceSettings,
    ReplicaSettings,
    RepositorySettings,
    RetentionSettings,
    ScheduleSettings,
    VerificationSettings,
    WorkSettings,
)
from holdfast.settings.watching import MonitoringSettings, NotificationSettings, ObjectiveSettings

if TYPE_CHECKING:
    from holdfast.repository import Compression, UserKey
    from holdfast.storage import StorageSettings


class Settings(
    PlaceSettings,
    BackupTypeSettings,
    SourceSettings,
    FunctionSettings,
    ConfigurationSettings,
    SecretsSettings,
    ScheduleSettings,
    RetentionSettings,
    RepositorySettings,
    ReplicaSettings,
    EncryptionSettings,
    CompressionSettings,
    VerificationSettings,
    ObjectiveSettings,
    NotificationSettings,
    MonitoringSettings,
    RecoverySettings,
    ApiSettings,
    WorkSettings,
    BaseSettings,
):
    """What holds for this process: environment, then `.env`, then stored configuration, then defaults.

    Read it with `load_settings`, which says what is wrong in our words. What is passed by name is the stored configuration.
    """

    model_config = SettingsConfigDict(
        env_file_encoding="utf-8-sig",  # some editors begin a file with a byte order mark
        env_ignore_empty=True,
        case_sensitive=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put what the operator set by hand before what the catalog has stored."""
        del cls, settings_cls, file_secret_settings
        return env_settings, dotenv_settings, init_settings

    @property
    def storage_settings(self) -> StorageSettings:
        """Where the repository is."""
        from holdfast.storage.settings import StorageSettings

        return StorageSettings(
            type=self.storage_type,
            path=self.storage_path or self.home / "repository",
            bucket=self.storage_bucket,
            region=self.storage_region if "storage_region" in self.model_fields_set else None,  # what nobody set, sets nothing
            endpoint=self.storage_endpoint,
            prefix=self.storage_prefix,
            access_key=self.storage_access_key,
            secret_key=self.storage_secret_key,
            session_token=self.storage_session_token,
            credentials_file=self.storage_credentials_file,
            connection_string=self.storage_connection_string,
            storage_class=self.storage_class,
            immutable_days=self.immutable_days,
            bandwidth_limit=self.bandwidth_limit,
            offsite=self.storage_offsite,
        )

    @property
    def compression(self) -> Compression:
        """How new chunks are compressed."""
        from holdfast.repository.compression import Compression

        if not self.enable_compression:
            return Compression("none")
        asked_for = "compression_level" in self.model_fields_set
        return Compression(self.compression_algorithm, self.compression_level if asked_for else None)

    def user_key(self) -> UserKey | None:
        """Read the key from the variable, else from the key file; None where neither is set.

        Raises SettingsError where the file can't be read or holds no key.
        """
        from holdfast.settings.keyfile import read_user_key

        return read_user_key(
            self.encryption_key,
            self.encryption_key_file,
            key_name="BACKUP_ENCRYPTION_KEY",
            file_name="BACKUP_ENCRYPTION_KEY_FILE",
        )
