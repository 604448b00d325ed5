"""What can be backed up: the guide's four types, of which a version may have only some."""

from __future__ import annotations

from enum import StrEnum

from holdfast.errors import SettingsError


class BackupType(StrEnum):
    """One of the guide's types."""

    DATABASE = "database"
    FUNCTION = "function"
    CONFIG = "config"
    SECRETS = "secrets"


PRESENT = (BackupType.DATABASE,)


def require_present(kind: BackupType) -> None:
    """Raise SettingsError where this version can't back up or bring back this type."""
    if kind not in PRESENT:
        raise SettingsError(
            f"The type {kind.value!r} is not there yet",
            reason=f"this version knows {', '.join(repr(present.value) for present in PRESENT)} only",
            next_step="Leave it out, or use a later version",
        )
