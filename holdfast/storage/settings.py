"""Where a storage is, and how it is to be used: what settings, blocks and URLs all come down to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from holdfast.errors import SettingsError

StorageType = Literal["local", "s3", "gcs", "azure"]

_ENDPOINTS = {"s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), "gcs": ("STORAGE_EMULATOR_HOST",)}
_FORMS = "file:///folder, s3://bucket/prefix, gs://bucket/prefix, az://account/container/prefix or s3+https://host/bucket/prefix"


class StorageSettings(BaseModel):
    """Where backups are kept. Fields that a type has no use for are ignored."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    type: StorageType = Field("local", description="Kind of storage")
    path: Path | None = Field(None, description="Folder of a local storage")
    bucket: str | None = Field(None, description="Bucket or container")
    region: str | None = Field(None, description="Region of the bucket (s3)")
    endpoint: str | None = Field(None, description="Address of the service where it is not the provider's own")
    prefix: str | None = Field(None, description="Folder in the bucket, so that one bucket can hold several repositories")
    access_key: SecretStr | None = Field(
        None, description="Access key id (s3), e-mail address of the service account (gcs), name of the account (azure)"
    )
    secret_key: SecretStr | None = Field(
        None, description="Secret access key (s3), private key of the service account (gcs), key of the account (azure)"
    )
    session_token: SecretStr | None = Field(None, description="Token of temporary credentials (s3)")
    credentials_file: Path | None = Field(None, description="JSON file of a service account (gcs)")
    connection_string: SecretStr | None = Field(None, description="Connection string (azure)")
    storage_class: str | None = Field(None, description="Storage class or access tier of what is many and seldom read: chunks")
    immutable_days: int = Field(0, description="Days for which what belongs to a backup can't be changed or deleted")
    bandwidth_limit: int | None = Field(None, description="Bytes per second, upload and download each, of all threads together")
    offsite: bool | None = Field(None, description="Whether it is somewhere else than the source; unset, its address decides")

    @classmethod
    def from_url(cls, text: str) -> Self:
        """Read a location as a person writes it; its credentials are found by the provider's default chain.

        Raises SettingsError, which never quotes a URL that may hold a credential.
        """
        try:
            url = urlsplit(text)
            port = url.port
        except ValueError:
            raise SettingsError("a location is no URL", next_step=f"Write {_FORMS}") from None
        if "@" in url.netloc or url.query or url.fragment:
            raise SettingsError(
                f"a location that begins with {url.scheme}:// holds more than a location",
                reason="credentials do not belong into it: they would be shown wherever it is",
                next_step="Save a block for that storage with 'holdfast storage add', and give the block's name",
            )
        folders = [unquote(part) for part in url.path.split("/") if part]
        if port is not None and not url.scheme.startswith("s3+"):
            raise _unknown(text)
        if url.scheme == "file" and url.netloc in {"", "localhost"} and folders:
            return cls(type="local", path=Path("/", *folders))
        if url.scheme in {"s3", "gs"} and url.netloc:
            return cls(type="s3" if url.scheme == "s3" else "gcs", bucket=url.netloc, prefix=_joined(folders))
        if url.scheme == "az" and url.netloc and folders:
            return cls(type="azure", access_key=SecretStr(url.netloc), bucket=folders[0], prefix=_joined(folders[1:]))
        if url.scheme in {"s3+https", "s3+http"} and url.netloc and folders:
            return cls(type="s3", endpoint=_endpoint(url), bucket=folders[0], prefix=_joined(folders[1:]))
        raise _unknown(text)

    @property
    def location(self) -> str:
        """Where this is, for a person to read, without credentials. `from_url` reads what has no endpoint, and S3 with one."""
        if self.type == "local":
            return self.path.expanduser().absolute().as_uri() if self.path else "file://"
        if self.type == "s3" and self.endpoint:
            start = f"s3+{_shown(self.endpoint)}"
        elif self.type == "azure":
            start = self._azure_start
        else:
            start = "s3:/" if self.type == "s3" else "gs:/"
        return "/".join(part for part in (start, self.bucket, (self.prefix or "").strip("/")) if part)

    @property
    def _azure_start(self) -> str:
        fields = connection_fields(self.connection_string.get_secret_value()) if self.connection_string else {}
        account = fields.get("AccountName") or (self.access_key.get_secret_value() if self.access_key else "")
        endpoint = _shown(self.endpoint or fields.get("BlobEndpoint") or "")
        if endpoint and endpoint != f"https://{account}.blob.core.windows.net":
            return f"az+{endpoint}"
        return f"az://{account}" if account else "az:/"


def endpoint_of_the_environment(kind: str) -> str | None:
    """Heed what each cloud's own tools heed. Azure's is a whole connection string, and is not asked for here."""
    return next((os.environ[name] for name in _ENDPOINTS.get(kind, ()) if os.environ.get(name)), None)


def endpoint_problem(endpoint: str) -> str | None:
    """Tell what keeps an endpoint from being used, as the rest of a sentence that repeats nothing of it."""
    try:
        url = urlsplit(endpoint)
        url.port  # noqa: B018  reading it is what checks it
    except ValueError:
        return "is not a URL"
    if url.scheme not in {"http", "https"} or not url.hostname:
        return "is not a URL of a server"
    if "@" in url.netloc:
        return "holds a user or a password; they belong in settings of their own"
    if url.query or url.fragment:
        return "has something after the path"
    return None


def account_in(endpoint: str) -> str:
    """Find Azure's account in an address: the first part of its path, as emulators have it, or of its host."""
    url = urlsplit(endpoint)
    return url.path.strip("/").split("/")[0] or (url.hostname or "").split(".")[0]


def connection_fields(text: str) -> dict[str, str]:
    """Take an Azure connection string apart."""
    parts = (part.strip().partition("=") for part in text.split(";"))
    return {name: value for name, _, value in parts if name and value}


def _shown(endpoint: str) -> str:
    """An endpoint without what may be a credential: a user, a password, a signature behind a question mark."""
    try:
        url = urlsplit(endpoint)
    except ValueError:
        return "(no URL)"
    return url._replace(netloc=url.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")


def _joined(folders: list[str]) -> str | None:
    return "/".join(folders) or None


def _endpoint(url: SplitResult) -> str:
    return f"{url.scheme.removeprefix('s3+')}://{url.netloc}"


def _unknown(text: str) -> SettingsError:
    return SettingsError(f"{text!r} is no location of a storage", next_step=f"Write {_FORMS}")
