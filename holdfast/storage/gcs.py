"""The storage contract over Google Cloud Storage, through Google's own client and its JSON API.

Put-if-absent is the service's own (`ifGenerationMatch=0`), for small objects and large ones alike. Every upload names its
CRC32C, so that the service refuses what changed on the way; every read is held to the length and the CRC32C that the service
announces.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import google_crc32c
from google.api_core.exceptions import GoogleAPICallError, NotFound, PreconditionFailed

from holdfast.errors import (
    DamagedError,
    HoldfastError,
    ObjectExistsError,
    ObjectNotFoundError,
    SettingsError,
    StorageUnreachableError,
)
from holdfast.storage.bucket import checked_bucket, checked_prefix
from holdfast.storage.classes import checked_class
from holdfast.storage.contract import ObjectInfo, Storage
from holdfast.storage.gcs_client import TIMEOUT, open_client
from holdfast.storage.gcs_download import Download, encoded
from holdfast.storage.gcs_errors import FOREIGN, said, translated
from holdfast.storage.objectstore import checked_name
from holdfast.storage.settings import StorageSettings

if TYPE_CHECKING:
    from google.cloud.storage import Blob

_UPLOAD_PART_BYTES = 32 << 20  # of a resumable upload, which the library makes of what is larger than 8 MiB
_PART_BYTES = 1 << 20
_PAGE = 1000
_FIELDS = "items(name,size,timeCreated),nextPageToken"


class GcsStorage(Storage):
    """Keep objects in a bucket of Google Cloud Storage, below a prefix where one is set."""

    def __init__(self, settings: StorageSettings, *, credentials: object | None = None) -> None:
        bucket = checked_bucket(settings, "Google Cloud Storage")
        prefix = checked_prefix(settings)
        self._prefix = f"{prefix}/" if prefix else ""
        self._location = settings.location
        self._storage_class = checked_class("gcs", settings.storage_class)
        self._immutable_days = settings.immutable_days
        self._client, self._session = open_client(settings, credentials)
        try:
            self._bucket = self._client.bucket(bucket)
        except ValueError as error:
            self._client.close()
            raise SettingsError(f"BACKUP_STORAGE_BUCKET can't be {bucket!r}", reason=str(error)) from error

    @property
    def location(self) -> str:
        return self._location

    @property
    def kind(self) -> str:
        return "gcs"

    @property
    def immutable_days(self) -> int:
        return self._immutable_days

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        blob = self._blob(name, chunk_size=_UPLOAD_PART_BYTES)
        content = bytes(data)
        blob.crc32c = announced = encoded(google_crc32c.value(content))
        if bulk and self._storage_class:
            blob.storage_class = self._storage_class
        with self._errors(name, "store"):
            try:
                blob.upload_from_file(
                    io.BytesIO(content),
                    size=len(content),
                    if_generation_match=None if replace else 0,
                    checksum=None,  # the library's deletes the object when it differs; the one announced above prevents it
                    timeout=TIMEOUT,
                    retry=None,
                )
            except PreconditionFailed as error:
                if replace:
                    raise
                raise ObjectExistsError(f"{self._location} already has an object {name!r}") from error
            except NotFound as error:
                raise self._lost_upload(name, error) from error
        if blob.crc32c != announced:
            raise StorageUnreachableError(f"could not store {name!r} in {self._location}", reason="it changed on its way there")

    def get(self, name: str) -> bytes:
        with self._errors(name, "read"), self._download(name) as download:
            content = b"".join(download.parts(_PART_BYTES))
            if not download.is_unchanged(google_crc32c.value(content)):
                raise StorageUnreachableError(f"could not read {name!r} in {self._location}", reason="it changed on its way here")
            return content

    def get_range(self, name: str, start: int, length: int) -> bytes:
        if length <= 0:
            self._present(name)
            return b""
        with self._errors(name, "read"):
            try:
                with self._download(name, (start, start + length - 1)) as download:
                    return b"".join(download.parts(_PART_BYTES))
            except GoogleAPICallError as error:
                if error.code == 416:  # it begins at or behind the end
                    return b""
                raise

    def stream(self, name: str, *, part_bytes: int = 1 << 20) -> Iterator[bytes]:
        with self._errors(name, "read"), self._download(name) as download:
            checksum = 0
            for part in download.parts(part_bytes):
                checksum = google_crc32c.extend(checksum, part)
                yield part
            if not download.is_unchanged(checksum):
                # No StorageUnreachableError: what was handed out already can't be mended by reading on.
                raise DamagedError(f"{name!r} in {self._location} changed on its way here", next_step="Try again")

    def head(self, name: str) -> ObjectInfo | None:
        try:
            return self._present(name)
        except ObjectNotFoundError:
            return None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        folder = f"{self._prefix}{checked_name(prefix)}/" if prefix else self._prefix
        with self._errors(prefix or "all objects", "list"):
            found = self._client.list_blobs(
                self._bucket, prefix=folder or None, page_size=_PAGE, fields=_FIELDS, timeout=TIMEOUT, retry=None
            )
            for blob in found:
                name = blob.name.removeprefix(self._prefix)
                if _is_ours(name):
                    yield self._info(name, blob)

    def delete(self, name: str) -> None:
        blob = self._blob(name)
        try:
            with self._errors(name, "delete"):
                blob.delete(timeout=TIMEOUT, retry=None)
        except ObjectNotFoundError:
            return

    def sync(self) -> None:
        """Do nothing: what the service has accepted is durable."""

    def lock(self, name: str, until: datetime) -> None:
        """Set the object's retention, in locked mode: from then on nobody can shorten it or take it away."""
        if not self._immutable_days:
            return
        blob = self._loaded(name)
        mode, end = blob.retention.mode, blob.retention.retain_until_time
        if mode == "Locked" and end is not None and end >= until:
            return
        blob.retention.mode = "Locked"
        blob.retention.retain_until_time = until if end is None else max(until, end)
        try:
            with self._errors(name, "lock"):
                blob.patch(override_unlocked_retention=True if mode == "Unlocked" else None, timeout=TIMEOUT, retry=None)
        except HoldfastError as error:
            locked = self.locked_until(name)
            if locked is not None and locked >= until:
                return  # another run locked it meanwhile, for longer, and the service refused to shorten that
            if type(error) is not SettingsError:
                raise
            raise SettingsError(
                f"{name!r} in {self._location} can't be locked",
                reason=error.reason,
                next_step="Use a bucket that was made with object retention enabled, or set BACKUP_IMMUTABLE_DAYS=0",
            ) from error

    def locked_until(self, name: str) -> datetime | None:
        try:
            blob = self._loaded(name)
        except ObjectNotFoundError:
            return None
        ends = (blob.retention.retain_until_time, blob.retention_expiration_time)  # its own, and the bucket's policy
        return max((end for end in ends if end is not None), default=None)

    def close(self) -> None:
        self._client.close()

    def _blob(self, name: str, chunk_size: int | None = None) -> Blob:
        return self._bucket.blob(self._prefix + checked_name(name), chunk_size=chunk_size)

    def _loaded(self, name: str) -> Blob:
        blob = self._blob(name)
        with self._errors(name, "look up"):
            blob.reload(timeout=TIMEOUT, retry=None)
        return blob

    def _present(self, name: str) -> ObjectInfo:
        return self._info(name, self._loaded(name))

    def _info(self, name: str, blob: Blob) -> ObjectInfo:
        if blob.size is None or blob.time_created is None:
            raise StorageUnreachableError(f"could not look up {name!r} in {self._location}", reason="the answer tells too little")
        # Not `updated`: that changes with the lock too, and the object does not.
        return ObjectInfo(name, int(blob.size), blob.time_created.astimezone(UTC))

    def _download(self, name: str, wanted: tuple[int, int] | None = None) -> Download:
        path = self._prefix + checked_name(name)
        what = f"read {name!r} in {self._location}"
        return Download(self._session, self._client.api_endpoint, self._bucket.name, path, what=what, wanted=wanted)

    @contextmanager
    def _errors(self, name: str, action: str) -> Iterator[None]:
        try:
            yield
        except HoldfastError:
            raise
        except NotFound as error:
            raise self._missing(name, error) from error
        except FOREIGN as error:
            raise translated(error, f"{action} {name!r} in {self._location}") from error

    def _missing(self, name: str, error: NotFound) -> HoldfastError:
        """Tell what a 404 is about; where its words don't, a listing does, for it needs the bucket and no object."""
        words = said(error)
        if words.startswith("No such object"):
            return ObjectNotFoundError(f"{self._location} has no object {name!r}")
        if "bucket does not exist" not in words:
            try:
                for _ in self._client.list_blobs(self._bucket, max_results=1, timeout=TIMEOUT, retry=None):
                    pass
                return ObjectNotFoundError(f"{self._location} has no object {name!r}")
            except NotFound:
                pass
            except FOREIGN as second:
                return translated(second, f"find {name!r} in {self._location}")
        return SettingsError(
            f"{self._location} can't be used",
            reason=f"there is no bucket {self._bucket.name!r}",
            next_step="Make the bucket, or correct BACKUP_STORAGE_BUCKET",
        )

    def _lost_upload(self, name: str, error: NotFound) -> HoldfastError:
        """Judge a 404 of an upload: no bucket, or an upload in parts that the service has forgotten, which can begin anew."""
        found = self._missing(name, error)
        if not isinstance(found, ObjectNotFoundError):
            return found
        return StorageUnreachableError(f"could not store {name!r} in {self._location}", reason="the service lost the upload")


def _is_ours(name: str) -> bool:
    try:
        return bool(checked_name(name))
    except SettingsError:
        return False  # whoever put it there, it was not this
