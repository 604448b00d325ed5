"""Another place that holds a copy of the repository: what it is called, and how it is opened when it is needed."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import SecretStr

from holdfast.storage.contract import Storage
from holdfast.storage.opening import open_storage
from holdfast.storage.settings import StorageSettings


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica: its name is that of a block, or a URL. Nothing is opened before `open`."""

    name: str
    settings: StorageSettings
    credentials: object | None = field(default=None, repr=False, compare=False)  # what the settings can't hold of a block's
    secrets: tuple[SecretStr, ...] = field(default=(), repr=False, compare=False)  # of a block, to be hidden from logs

    def open(self) -> Storage:
        """Open it; every call opens anew. Raises SettingsError, StorageDeniedError, StorageUnreachableError."""
        return open_storage(self.settings, credentials=self.credentials)
