"""Every setting: one small model a topic, one field a variable.

The name of the variable stands beside its field, and nowhere else. The guide's names and defaults are a contract.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from holdfast.errors import SettingsError
from holdfast.settings.api import ApiSettings
from holdfast.settings.kinds import (
    AtLeastOne,
    Bandwidth,
    Bucket,
    Count,
    DatabaseAddress,
    Days,
    EncryptionKeyText,
    Endpoint,
    GraceHours,
    Home,
    Hours,
    ImmutableDays,
    LeaseSeconds,
    Level,
    LockSeconds,
    Minutes,
    OptionalPath,
    OptionalTruth,
    Places,
    Prefix,
    ReadDays,
    Region,
    SizeBytes,
    StorageClass,
    StorageSecret,
    TargetName,
    Workers,
)
from holdfast.settings.placeholder import is_placeholder
from holdfast.settings.recovery import RecoverySettings
from holdfast.settings.sources import SOURCES
from holdfast.settings.watching import MonitoringSettings, NotificationSettings, ObjectiveSettings

LEVELS = {"gzip": range(1, 10), "zstd": range(1, 20)}
DEFAULT_LEVELS = {"gzip": 6, "zstd": 1}


class PlaceSettings(BaseModel):
    """Where Holdfast keeps what is its own."""

    home: Home = Field(
        Path(".holdfast"),
        validation_alias="HOLDFAST_HOME",
        validate_default=True,
        description="Folder of everything local: the embedded PostgreSQL, the local repository, Prefect's database, logs",
    )
    catalog_url: DatabaseAddress = Field(
        None,
        validation_alias="BACKUP_CATALOG_URL",
        description="PostgreSQL database of the catalog; unset, it lives in the embedded server",
    )
    scratch_url: DatabaseAddress = Field(
        None,
        validation_alias="BACKUP_SCRATCH_URL",
        description="PostgreSQL server where verification makes and drops scratch databases; unset, the embedded server",
    )
    target: TargetName = Field(
        None,
        validation_alias="HOLDFAST_TARGET",
        description="Name of what is protected here, where one Prefect server serves several; 'holdfast deploy --target' sets it",
    )
    postgres_tools: OptionalPath = Field(
        None,
        validation_alias="BACKUP_POSTGRES_TOOLS",
        description="Folder of pg_dump, pg_restore and psql; unset, they are looked for in the usual places",
    )


class BackupTypeSettings(BaseModel):
    """What is backed up."""

    enable_database_backup: bool = Field(
        True, validation_alias="BACKUP_ENABLE_DATABASE_BACKUP", description="Back up the database"
    )
    enable_function_backup: bool = Field(
        True, validation_alias="BACKUP_ENABLE_FUNCTION_BACKUP", description="Back up Edge Functions"
    )
    enable_config_backup: bool = Field(
        True, validation_alias="BACKUP_ENABLE_CONFIG_BACKUP", description="Back up configuration files and variables"
    )
    enable_secrets_backup: bool = Field(
        True, validation_alias="BACKUP_ENABLE_SECRETS_BACKUP", description="Back up what is known of secrets, never the secrets"
    )
    database_url: DatabaseAddress = Field(
        None, validation_alias="BACKUP_DATABASE_URL", description="PostgreSQL database to back up; unset, none is"
    )


class ScheduleSettings(BaseModel):
    """How often each type is backed up."""

    database_backup_interval: Hours = Field(
        24, validation_alias="BACKUP_DATABASE_INTERVAL", description="Hours between two backups of the database"
    )
    function_backup_interval: Hours = Field(
        168, validation_alias="BACKUP_FUNCTION_INTERVAL", description="Hours between two backups of Edge Functions"
    )
    config_backup_interval: Hours = Field(
        24, validation_alias="BACKUP_CONFIG_INTERVAL", description="Hours between two backups of the configuration"
    )
    secrets_backup_interval: Hours = Field(
        168, validation_alias="BACKUP_SECRETS_INTERVAL", description="Hours between two backups of secrets metadata"
    )


class RetentionSettings(BaseModel):
    """How long backups are kept."""

    database_backup_retention: Days = Field(
        30, validation_alias="BACKUP_DATABASE_RETENTION", description="Days that a backup of the database is kept"
    )
    function_backup_retention: Days = Field(
        90, validation_alias="BACKUP_FUNCTION_RETENTION", description="Days that a backup of Edge Functions is kept"
    )
    config_backup_retention: Days = Field(
        365, validation_alias="BACKUP_CONFIG_RETENTION", description="Days that a backup of the configuration is kept"
    )
    secrets_backup_retention: Days = Field(
        365, validation_alias="BACKUP_SECRETS_RETENTION", description="Days that a backup of secrets metadata is kept"
    )
    keep_last: AtLeastOne = Field(
        3, validation_alias="BACKUP_KEEP_LAST", description="Newest good backups of each source that are kept, however old"
    )
    keep_daily: Count = Field(
        0, validation_alias="BACKUP_KEEP_DAILY", description="Days, the newest first, of which the last good backup is kept"
    )
    keep_weekly: Count = Field(
        0, validation_alias="BACKUP_KEEP_WEEKLY", description="Weeks, the newest first, of which the last good backup is kept"
    )
    keep_monthly: Count = Field(
        0, validation_alias="BACKUP_KEEP_MONTHLY", description="Months, the newest first, of which the last good backup is kept"
    )
    keep_yearly: Count = Field(
        0, validation_alias="BACKUP_KEEP_YEARLY", description="Years, the newest first, of which the last good backup is kept"
    )
    prune_grace_hours: GraceHours = Field(
        24, validation_alias="BACKUP_PRUNE_GRACE_HOURS", description="Hours that data which no backup needs is spared by prune"
    )


class RepositorySettings(BaseModel):
    """Where backups are stored."""

    storage_type: Literal["local", "s3", "gcs", "azure"] = Field(
        "local", validation_alias="BACKUP_STORAGE_TYPE", description="Kind of storage"
    )
    storage_path: OptionalPath = Field(
        None,
        validation_alias="BACKUP_STORAGE_PATH",
        description="Folder of a local storage; unset, 'repository' in HOLDFAST_HOME",
    )
    storage_bucket: Bucket = Field(
        "backups", validation_alias="BACKUP_STORAGE_BUCKET", description="Bucket or container (s3, gcs, azure)"
    )
    storage_region: Region = Field("us-east-1", validation_alias="BACKUP_STORAGE_REGION", description="Region of the bucket (s3)")
    storage_endpoint: Endpoint = Field(
        None,
        validation_alias="BACKUP_STORAGE_ENDPOINT",
        description="Address of the storage where it is not the provider's own",
    )
    storage_prefix: Prefix = Field(
        None,
        validation_alias="BACKUP_STORAGE_PREFIX",
        description="Folder in the bucket, so that one bucket can hold several repositories",
    )
    storage_credentials_file: OptionalPath = Field(
        None,
        validation_alias="BACKUP_STORAGE_CREDENTIALS_FILE",
        description="JSON file of a service account (gcs)",
    )
    storage_connection_string: StorageSecret = Field(
        None,
        validation_alias="BACKUP_STORAGE_CONNECTION_STRING",
        validate_default=True,
        description="Connection string (azure); it goes before the account's name and key",
    )
    storage_access_key: StorageSecret = Field(
        None,
        validation_alias="BACKUP_STORAGE_ACCESS_KEY",
        validate_default=True,
        description="Access key id (s3), e-mail address of the service account (gcs), name of the account (azure); "
        "unset, the provider's own ways of finding credentials are tried",
    )
    storage_secret_key: StorageSecret = Field(
        None,
        validation_alias="BACKUP_STORAGE_SECRET_KEY",
        validate_default=True,
        description="Secret access key (s3), private key of the service account (gcs), key of the account (azure)",
    )
    storage_session_token: StorageSecret = Field(
        None,
        validation_alias="BACKUP_STORAGE_SESSION_TOKEN",
        validate_default=True,
        description="Token that belongs to a temporary access key (s3)",
    )
    storage_class: StorageClass = Field(
        None,
        validation_alias="BACKUP_STORAGE_CLASS",
        description="Storage class or access tier of chunks, such as STANDARD_IA (s3), NEARLINE (gcs), Cool (azure); "
        "unset, the bucket's own",
    )
    storage_offsite: OptionalTruth = Field(
        None,
        validation_alias="BACKUP_STORAGE_OFFSITE",
        description="Whether the storage is somewhere else than what is backed up; unset, its address decides",
    )

    @field_validator("storage_connection_string", "storage_access_key", "storage_secret_key", "storage_session_token")
    @classmethod
    def _usable_there(cls, value: StorageSecret, info: ValidationInfo) -> StorageSecret:
        """Refuse half a credential and an example's value, but only where credentials are used at all."""
        if info.data.get("storage_type", "local") == "local":
            return value
        if value is not None and is_placeholder(value):
            raise ValueError("is an example, not a credential")
        return value

    @field_validator("storage_secret_key")
    @classmethod
    def _with_its_name(cls, value: StorageSecret, info: ValidationInfo) -> StorageSecret:
        """Refuse a secret without the name it belongs to, and the name alone, but for azure, where others prove who we are."""
        kind = info.data.get("storage_type", "local")
        if kind == "local" or "storage_access_key" not in info.data or info.data.get("storage_connection_string") is not None:
            return value
        access_key = info.data["storage_access_key"]
        if value is None and access_key is not None and kind != "azure":
            raise ValueError("is not set, although BACKUP_STORAGE_ACCESS_KEY is")
        if value is not None and access_key is None:
            raise ValueError("is set, although BACKUP_STORAGE_ACCESS_KEY is not")
        return value

    @field_validator("storage_session_token")
    @classmethod
    def _with_its_key(cls, value: StorageSecret, info: ValidationInfo) -> StorageSecret:
        if value is not None and info.data.get("storage_type") == "s3" and info.data.get("storage_access_key", value) is None:
            raise ValueError("is set, although BACKUP_STORAGE_ACCESS_KEY is not")
        return value

    @field_validator("storage_class")
    @classmethod
    def _of_the_type(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Refuse a class that the storage has not, or from which nothing can be read at once."""
        if value is None or "storage_type" not in info.data:
            return value
        from holdfast.storage.classes import checked_class

        try:
            return checked_class(info.data["storage_type"], value)
        except SettingsError as error:
            raise ValueError(f"can't be used: {error.reason}") from None


class ReplicaSettings(BaseModel):
    """Where further copies are kept, and how they travel."""

    replicas: Places = Field(
        [],
        validation_alias="BACKUP_REPLICAS",
        description="Storages that are to hold a copy of every backup",
    )
    bandwidth_limit: Bandwidth = Field(
        None,
        validation_alias="BACKUP_BANDWIDTH_LIMIT",
        description="Bytes per second for upload, and as many for download, of all threads of a run together; unset, no limit",
    )
    immutable_days: ImmutableDays = Field(
        0,
        validation_alias="BACKUP_IMMUTABLE_DAYS",
        description="Days for which what belongs to a backup can't be changed or deleted, as well as the storage can see to that",
    )


class EncryptionSettings(BaseModel):
    """Who can read backups."""

    enable_encryption: bool = Field(
        True, validation_alias="BACKUP_ENABLE_ENCRYPTION", description="Encrypt everything that is stored (AES-256-GCM)"
    )
    encryption_key: EncryptionKeyText = Field(
        None,
        validation_alias="BACKUP_ENCRYPTION_KEY",
        description="Key that opens the repository; 'holdfast keys generate' makes one",
    )
    encryption_key_file: OptionalPath = Field(
        None,
        validation_alias="BACKUP_ENCRYPTION_KEY_FILE",
        description="File that holds the key; BACKUP_ENCRYPTION_KEY, where set, goes before it",
    )


class CompressionSettings(BaseModel):
    """How backups are made smaller."""

    enable_compression: bool = Field(True, validation_alias="BACKUP_ENABLE_COMPRESSION", description="Compress what is stored")
    compression_algorithm: Literal["gzip", "zstd"] = Field(
        "gzip",
        validation_alias="BACKUP_COMPRESSION_ALGORITHM",
        description="How to compress: gzip, or zstd, which is several times quicker",
    )
    compression_level: Level = Field(
        None,
        validation_alias="BACKUP_COMPRESSION_LEVEL",
        validate_default=True,
        examples=[6],
        description="Level of it, higher is smaller and slower; unset, 6 with gzip and 1 with zstd (6 for what little is new)",
    )

    @field_validator("compression_level")
    @classmethod
    def _of_the_algorithm(cls, value: int | None, info: ValidationInfo) -> int | None:
        """Take the algorithm's default where nobody set a level, and refuse a level that the algorithm has not."""
        algorithm = info.data.get("compression_algorithm")
        if algorithm is None:  # wrong itself, which is told already
            return value
        if value is None:
            return DEFAULT_LEVELS[algorithm]
        if value not in LEVELS[algorithm]:
            step = ". To store without compression set BACKUP_ENABLE_COMPRESSION=false" if value == 0 else ""
            raise ValueError(f"is not a level of {algorithm}{step}")
        return value


class VerificationSettings(BaseModel):
    """How backups are proven."""

    enable_backup_verification: bool = Field(
        True, validation_alias="BACKUP_ENABLE_VERIFICATION", description="Verify backups by schedule"
    )
    verification_interval: Hours = Field(
        24, validation_alias="BACKUP_VERIFICATION_INTERVAL", description="Hours between two verifications"
    )
    read_within_days: ReadDays = Field(
        7, validation_alias="BACKUP_READ_WITHIN_DAYS", description="Days within which every stored byte is read once"
    )
    proof: Literal["counts", "content"] = Field(
        "counts",
        validation_alias="BACKUP_PROOF",
        description="How a restored database is compared: by row counts, or by the content of each row too (reads tables twice)",
    )


class WorkSettings(BaseModel):
    """How hard it works, and when it gives up."""

    readers: Workers = Field(2, validation_alias="BACKUP_READERS", description="Tables that are read from the source at once")
    writer_threads: Workers = Field(2, validation_alias="BACKUP_WRITER_THREADS", description="Threads that compress and encrypt")
    table_stream_threshold_bytes: SizeBytes = Field(
        8 << 20,
        validation_alias="BACKUP_TABLE_STREAM_THRESHOLD_BYTES",
        description="Size in bytes from which a table is read as a stream of its own, beside the others",
    )
    lock_timeout_seconds: LockSeconds = Field(
        30,
        validation_alias="BACKUP_LOCK_TIMEOUT_SECONDS",
        description="Seconds to wait for a table that another session has locked",
    )
    dump_time_limit_minutes: Minutes = Field(
        360, validation_alias="BACKUP_DUMP_TIME_LIMIT_MINUTES", description="Minutes after which a backup is stopped"
    )
    restore_time_limit_minutes: Minutes = Field(
        720, validation_alias="BACKUP_RESTORE_TIME_LIMIT_MINUTES", description="Minutes after which a restore is stopped"
    )
    verify_time_limit_minutes: Minutes = Field(
        720, validation_alias="BACKUP_VERIFY_TIME_LIMIT_MINUTES", description="Minutes after which a verification is stopped"
    )
    lease_ttl_seconds: LeaseSeconds = Field(
        120,
        validation_alias="BACKUP_LEASE_TTL_SECONDS",
        description="Seconds after which the lease of a run that died ends by itself",
    )


TOPICS: tuple[type[BaseModel], ...] = (
    PlaceSettings,
    BackupTypeSettings,
    *SOURCES,
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
)
