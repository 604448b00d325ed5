"""What a step of the type `backup_restore` is asked for, in the guide's words."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from holdfast.errors import SettingsError
from holdfast.postgres.url import DatabaseUrl
from holdfast.recovery.step_type import Parameters

Mode = Literal["new", "promote", "in_place"]


class BackupRestoreParameters(Parameters):
    """What to bring back. `backup_id` names a backup, else the newest good one is taken.

    `mode` is that of the restore, where it is not to follow from what is in trouble. `target` is another place than the live
    one: a DatabaseTarget block or a URL without password, or a folder.
    """

    backup_type: Literal["database", "function", "config", "secrets"]
    use_latest: bool = True
    backup_id: str | None = None
    mode: Mode | None = None
    target: str | None = None

    @model_validator(mode="after")
    def _names_a_backup(self) -> Self:
        if not self.use_latest and self.backup_id is None:
            raise ValueError("where useLatest is false, backupId has to name a backup")
        return self

    @model_validator(mode="after")
    def _holds_no_password(self) -> Self:
        if self.backup_type == "database" and self.target is not None:
            refuse_password(self.target)
        return self


def refuse_password(database: str) -> None:
    """Raise ValueError for a URL with a password, or one that can't be read; names of blocks are let through."""
    if "://" not in database:
        return
    try:
        password = DatabaseUrl.parse(database).password
    except SettingsError as error:
        raise ValueError(error.what_and_why) from None
    if password is not None:
        raise ValueError("a URL in a plan may hold no password: save it as a DatabaseTarget block, and give the block's name")
