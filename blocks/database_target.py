"""A PostgreSQL database, as a block: one that is backed up, or one that a restore makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr

from holdfast.errors import SettingsError
from holdfast.postgres.url import DatabaseUrl

if TYPE_CHECKING:
    from holdfast.settings import Settings


class DatabaseTarget(Block):
    """A PostgreSQL database.

    Examples:
        Name the database without its password.
        ```python
        from blocks import DatabaseTarget

        print(DatabaseTarget.load("holdfast-database").database_url().redacted)
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Database Target"
    _block_type_slug = "holdfast-database-target"
    _description = "A PostgreSQL database that Holdfast backs up or restores into."

    url: SecretStr = Field(
        ...,
        description="Address of the database with user and password: postgresql://user:password@host:5432/database. "
        "Special characters are percent-encoded.",
    )

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Make the block of the database that the settings protect; None where they name none."""
        return None if settings.database_url is None else cls(url=settings.database_url)

    def database_url(self) -> DatabaseUrl:
        """Read the address. Raises SettingsError, which shows nothing of it."""
        try:
            return DatabaseUrl.parse(self.url)
        except SettingsError as error:
            block = f"The block {self.get_block_type_slug()}/{self._block_document_name or '(not saved)'}"
            raise SettingsError(f"{block} can't be used", reason=error.reason, next_step=error.next_step) from None
