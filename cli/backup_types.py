"""What can be backed up, as a command's argument: the guide's four types."""

from __future__ import annotations

from enum import StrEnum


class BackupType(StrEnum):
    """One of the guide's types."""

    DATABASE = "database"
    FUNCTION = "function"
    CONFIG = "config"
    SECRETS = "secrets"
