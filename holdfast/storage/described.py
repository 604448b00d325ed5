"""A storage as a person describes it: a URL, and what a URL can't say. Checked as the settings are."""

from __future__ import annotations

import re
from typing import Any

from pydantic import SecretStr

from holdfast.errors import SettingsError
from holdfast.storage.classes import checked_class
from holdfast.storage.settings import StorageSettings, endpoint_problem

_BLOCK = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def name_of_block(name: str) -> str:
    """Return the name where Prefect takes it for a block. Raises SettingsError."""
    if not _BLOCK.fullmatch(name):
        raise SettingsError(f"{name!r} can't be the name of a storage", reason="a name has small letters, digits and '-' between")
    return name


def described(
    url: str | None, *, access_key: str | None = None, storage_class: str | None = None, **others: Any
) -> StorageSettings:
    """Make the settings of a storage; without a URL they say only what stands beside it. Raises SettingsError."""
    if url is None and storage_class is not None:
        raise SettingsError("A storage class needs the storage's URL beside it", reason="each kind of storage has its own")
    base = StorageSettings() if url is None else StorageSettings.from_url(url)
    given = {name: value for name, value in others.items() if value is not None}
    if access_key is not None:
        given["access_key"] = SecretStr(access_key)
    if storage_class is not None:
        given["storage_class"] = checked_class(base.type, storage_class)
    if "endpoint" in given and (problem := endpoint_problem(given["endpoint"])):
        raise SettingsError("That endpoint can't be used", reason=f"it {problem}")
    settings = base.model_copy(update=given)
    _require_pair(settings)
    return settings


def _require_pair(settings: StorageSettings) -> None:
    if settings.secret_key is not None and settings.access_key is None:
        raise SettingsError("A secret key was given without its access key", next_step="Give --access-key too")
    if settings.type in {"s3", "gcs"} and settings.access_key is not None and settings.secret_key is None:
        raise SettingsError("An access key was given without its secret", next_step="Give --secret-key-file too")
