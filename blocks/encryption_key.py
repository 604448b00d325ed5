"""The key that opens the repository, as a block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr

from holdfast.settings.keyfile import read_user_key

if TYPE_CHECKING:
    from holdfast.repository import UserKey
    from holdfast.settings import Settings


class EncryptionKey(Block):
    """The key that opens a repository: itself, or the file on the worker's host that holds it. With neither there is no key.

    Examples:
        Open a repository.
        ```python
        from blocks import BackupStorage, EncryptionKey
        from holdfast.repository import Repository

        key = EncryptionKey.load("holdfast-key").user_key()
        repository = Repository.open(BackupStorage.load("holdfast-storage").open(), key=key)
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Encryption Key"
    _block_type_slug = "holdfast-encryption-key"
    _description = "The key that opens a Holdfast repository: 32 random bytes, a passphrase, or the path of a file with either."

    key: SecretStr | None = Field(
        None, description="The key: 32 bytes in base64 or hex, or a passphrase of 12 characters or more. Goes before the file."
    )
    key_file: Path | None = Field(None, description="File that holds the key, as an absolute path on the worker's host.")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make the block that says what the settings say; a key in a file stays in its file."""
        if settings.encryption_key is not None:
            return cls(key=settings.encryption_key)
        return cls(key_file=settings.encryption_key_file)

    def user_key(self) -> UserKey | None:
        """Read the key; None where there is none. Raises SettingsError where the file can't be read or holds no key."""
        block = f"The block {self.get_block_type_slug()}/{self._block_document_name or '(not saved)'}"
        return read_user_key(self.key, self.key_file, key_name=f"{block}: its key", file_name=f"{block}: its key_file")
