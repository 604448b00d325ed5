"""Prefect blocks: where backups are stored, with which key, what is protected. Flows are told names and load these."""

from blocks.backup_storage import BackupStorage
from blocks.database_target import DatabaseTarget
from blocks.encryption_key import EncryptionKey

__all__ = ["BackupStorage", "DatabaseTarget", "EncryptionKey"]
