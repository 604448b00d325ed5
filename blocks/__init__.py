"""Prefect blocks: where backups are stored, with which key, what is protected. Flows are told names and load these.

Each is imported when it is first named: BackupStorage brings the collections of three clouds, which are slow to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blocks.aws_secrets import AwsSecretsManager
    from blocks.backup_storage import BackupStorage
    from blocks.configuration_files import ConfigurationFiles
    from blocks.database_target import DatabaseTarget
    from blocks.encryption_key import EncryptionKey
    from blocks.functions_directory import FunctionsDirectory
    from blocks.managed_service import ManagedService
    from blocks.notifications import EmailMessage
    from blocks.pagerduty import PagerDutyMessage
    from blocks.secret_providers import EnvFileSecrets, PostgresRoleSecrets, PrefectSecretBlocks, SupabaseVaultSecrets
    from blocks.supabase_project import SupabaseProject
    from blocks.webhook import WebhookMessage

__all__ = [
    "AwsSecretsManager",
    "BackupStorage",
    "ConfigurationFiles",
    "DatabaseTarget",
    "EmailMessage",
    "EncryptionKey",
    "EnvFileSecrets",
    "FunctionsDirectory",
    "ManagedService",
    "PagerDutyMessage",
    "PostgresRoleSecrets",
    "PrefectSecretBlocks",
    "SupabaseProject",
    "SupabaseVaultSecrets",
    "WebhookMessage",
]

_MODULES = {
    "AwsSecretsManager": "blocks.aws_secrets",
    "BackupStorage": "blocks.backup_storage",
    "ConfigurationFiles": "blocks.configuration_files",
    "DatabaseTarget": "blocks.database_target",
    "EmailMessage": "blocks.notifications",
    "EncryptionKey": "blocks.encryption_key",
    "EnvFileSecrets": "blocks.secret_providers",
    "FunctionsDirectory": "blocks.functions_directory",
    "ManagedService": "blocks.managed_service",
    "PagerDutyMessage": "blocks.pagerduty",
    "PostgresRoleSecrets": "blocks.secret_providers",
    "PrefectSecretBlocks": "blocks.secret_providers",
    "SupabaseProject": "blocks.supabase_project",
    "SupabaseVaultSecrets": "blocks.secret_providers",
    "WebhookMessage": "blocks.webhook",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'blocks' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
