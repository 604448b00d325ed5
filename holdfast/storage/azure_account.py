"""Which account of Azure, at which address, with which credentials: from settings, a connection string, or Azure's default chain.

A token is never sent over plain HTTP: anybody on the way could take it. A key is never sent at all, for it only signs.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from holdfast.errors import SettingsError
from holdfast.storage.bucket import Credentials, checked_endpoint
from holdfast.storage.settings import StorageSettings, account_in, connection_fields

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_SCOPE = "https://storage.azure.com/.default"
_SUFFIX = "core.windows.net"
_EMULATOR = "devstoreaccount1"
# Published by Microsoft, the same for every emulator; it opens nothing else.
_EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True, repr=False)
class AzureAccount:
    """An account: its name, its address, and one of a key, a shared access signature and a source of tokens."""

    name: str
    endpoint: str
    key: str | None = None
    signature: str | None = None
    tokens: TokenCredential | None = None
    close: Callable[[], None] = lambda: None

    def provider(self) -> Credentials:
        """Make what hands the credentials to obstore."""
        if self.key is not None:
            return Credentials(lambda: {"access_key": self.key, "expires_at": None})
        if self.signature is not None:
            return Credentials(lambda: {"sas_token": self.signature, "expires_at": None})
        return Credentials(self._token)

    def credential(self) -> Any:
        """Make the same for Azure's own client."""
        if self.key is not None:
            return {"account_name": self.name, "account_key": self.key}
        if self.signature is not None:
            from azure.core.credentials import AzureSasCredential

            return AzureSasCredential(self.signature)
        return self.tokens

    def located(self, settings: StorageSettings) -> StorageSettings:
        """Complete settings by what tells where this is, and by no secret."""
        is_usual = self.endpoint == _usual_endpoint(self.name, _SUFFIX)
        endpoint = None if is_usual else self.endpoint
        return settings.model_copy(
            update={"endpoint": endpoint, "access_key": SecretStr(self.name), "secret_key": None, "connection_string": None}
        )

    def _token(self) -> dict[str, object]:
        if self.tokens is None:
            raise SettingsError(f"there are no credentials for the storage account {self.name}")
        found = self.tokens.get_token(_SCOPE)
        return {"token": found.token, "expires_at": datetime.fromtimestamp(found.expires_on, UTC)}


def account_of(settings: StorageSettings, credentials: object | None = None) -> AzureAccount:
    """Find the account. Raises SettingsError."""
    text = settings.connection_string.get_secret_value() if settings.connection_string else _connection_of_environment(settings)
    if text and credentials is None:
        return _of_connection_string(text, settings)
    name = _name(settings)
    endpoint = checked_endpoint(settings.endpoint) or _usual_endpoint(name, _SUFFIX)
    if credentials is None and settings.secret_key is not None:
        return AzureAccount(name, endpoint, key=_checked_key(settings.secret_key.get_secret_value(), "BACKUP_STORAGE_SECRET_KEY"))
    if credentials is None and name == _name_of_environment():
        key, signature = os.environ.get("AZURE_STORAGE_KEY"), os.environ.get("AZURE_STORAGE_SAS_TOKEN")
        if key:
            return AzureAccount(name, endpoint, key=_checked_key(key, "AZURE_STORAGE_KEY"))
        if signature:
            return AzureAccount(name, endpoint, signature=signature.lstrip("?"))
    return _of_tokens(name, endpoint, credentials)


def _of_connection_string(text: str, settings: StorageSettings) -> AzureAccount:
    fields = connection_fields(text)
    if fields.get("UseDevelopmentStorage", "").lower() == "true":
        endpoint = f"http://127.0.0.1:10000/{_EMULATOR}"
        return AzureAccount(_EMULATOR, checked_endpoint(settings.endpoint) or endpoint, key=_EMULATOR_KEY)
    endpoint = settings.endpoint or fields.get("BlobEndpoint", "")
    name = fields.get("AccountName") or account_in(endpoint)
    key, signature = fields.get("AccountKey"), fields.get("SharedAccessSignature")
    if not name or not (key or signature):
        raise SettingsError(
            "BACKUP_STORAGE_CONNECTION_STRING is no connection string of a storage account",
            reason="it has AccountName and AccountKey, or BlobEndpoint and SharedAccessSignature",
            next_step="Copy it from the account's access keys",
        )
    scheme, suffix = fields.get("DefaultEndpointsProtocol", "https"), fields.get("EndpointSuffix", _SUFFIX)
    address = checked_endpoint(endpoint or _usual_endpoint(name, suffix, scheme)) or ""
    if key:
        return AzureAccount(name, address, key=_checked_key(key, "the AccountKey of BACKUP_STORAGE_CONNECTION_STRING"))
    return AzureAccount(name, address, signature=(signature or "").lstrip("?"))


def _name(settings: StorageSettings) -> str:
    given = settings.access_key.get_secret_value() if settings.access_key else ""
    name = given or _name_of_environment() or account_in(settings.endpoint or "")
    if not name:
        raise SettingsError(
            "BACKUP_STORAGE_ACCESS_KEY is not set",
            reason="for Azure it is the name of the storage account",
            next_step="Set it, or BACKUP_STORAGE_CONNECTION_STRING",
        )
    if not name.isascii() or not name.isalnum():
        raise SettingsError("BACKUP_STORAGE_ACCESS_KEY is no name of a storage account", reason="it has letters and digits only")
    return name


def _name_of_environment() -> str:
    return os.environ.get("AZURE_STORAGE_ACCOUNT") or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME") or ""


def _connection_of_environment(settings: StorageSettings) -> str | None:
    """Heed what Azure's own tools heed, where the settings name no account."""
    return None if settings.access_key or settings.endpoint else os.environ.get("AZURE_STORAGE_CONNECTION_STRING")


def _usual_endpoint(name: str, suffix: str, scheme: str = "https") -> str:
    return f"{scheme}://{name}.blob.{suffix}"


def _checked_key(key: str, what: str) -> str:
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError(f"{what} is no key of a storage account", reason="it is not base64") from None
    return key


def _of_tokens(name: str, endpoint: str, credentials: object | None) -> AzureAccount:
    if endpoint.startswith("http://"):
        raise SettingsError(
            "a token can't be sent to an endpoint without encryption",
            reason="BACKUP_STORAGE_ENDPOINT begins with http://",
            next_step="Use an https endpoint, or the account's key in BACKUP_STORAGE_SECRET_KEY",
        )
    if credentials is None:
        from azure.identity import DefaultAzureCredential

        found = DefaultAzureCredential()
        return AzureAccount(name, endpoint, tokens=found, close=found.close)
    if not hasattr(credentials, "get_token"):
        raise SettingsError(f"{type(credentials).__name__} is no credential for Azure", reason="one of azure.identity is")
    return AzureAccount(name, endpoint, tokens=credentials)  # its owner closes it
