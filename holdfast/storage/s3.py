"""The storage contract over S3 and what speaks its language: obstore for what is asked often, boto3 for what obstore has not.

Put-if-absent is the service's own (`If-None-Match: *`), also for objects sent in parts. Locks are Object Lock in compliance mode,
which nobody can shorten. A bucket with Object Lock keeps versions; so that what is deleted there is gone, and not only hidden,
every version is deleted, and the service itself refuses those that are locked.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from obstore.exceptions import BaseError
from obstore.store import S3Store

from holdfast.errors import (
    HoldfastError,
    ObjectLockedError,
    ObjectNotFoundError,
    SettingsError,
    StorageDeniedError,
    StorageUnreachableError,
)
from holdfast.storage.answer import Answer, denied
from holdfast.storage.bucket import (
    LARGE_BYTES,
    PART_BYTES,
    BucketStorage,
    checked_bucket,
    checked_endpoint,
    checked_prefix,
    manner,
)
from holdfast.storage.objectstore import checked_name
from holdfast.storage.s3_access import S3Access
from holdfast.storage.settings import StorageSettings, endpoint_of_the_environment

_log = logging.getLogger(__name__)


class S3Storage(BucketStorage):
    """Keep objects in an S3 bucket."""

    def __init__(
        self,
        settings: StorageSettings,
        *,
        credentials: object | None = None,
        large_bytes: int = LARGE_BYTES,
        part_bytes: int = PART_BYTES,
    ) -> None:
        bucket = checked_bucket(settings, "S3")
        endpoint = checked_endpoint(settings.endpoint or endpoint_of_the_environment("s3"))
        settings = settings.model_copy(update={"endpoint": endpoint})
        self._access = S3Access(settings, credentials)
        try:
            store = S3Store(
                bucket,
                prefix=checked_prefix(settings) or None,
                config={
                    "region": self._access.region,
                    "conditional_put": "etag",
                    "disable_bulk_delete": True,  # a request for one object is understood by more services
                    "skip_signature": False,
                    **({"endpoint": endpoint} if endpoint else {}),
                    # A bucket that locks all that is put there accepts nothing without one.
                    **({"checksum_algorithm": "SHA256"} if settings.immutable_days else {}),
                },
                credential_provider=self._access.provider,  # type: ignore[arg-type]
                **manner(endpoint),
            )
        except (BaseError, ValueError, TypeError) as error:
            raise SettingsError(f"{settings.location} can't be used", reason=Answer.of_obstore(error).words) from None
        super().__init__(store, settings, bucket, self._access.provider, large_bytes=large_bytes, part_bytes=part_bytes)

    @property
    def kind(self) -> str:
        return "s3"

    def lock(self, name: str, until: datetime) -> None:
        """Set the object's retention, in compliance mode. Two requests: not every service refuses to shorten one."""
        if not self._immutable_days:
            return
        found = self._lock_of(name)
        if found is not None and found >= until:
            return
        try:
            with self._errors(name, "lock"):
                self._access.client.put_object_retention(
                    Bucket=self._bucket, Key=self._key(name), Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until}
                )
        except StorageDeniedError:
            found = self._lock_of(name)
            if found is None or found < until:
                raise
        except SettingsError as error:
            raise SettingsError(
                f"{name!r} in {self._location} can't be locked",
                reason=error.reason,
                next_step="Use a bucket that was made with Object Lock, or set BACKUP_IMMUTABLE_DAYS=0",
            ) from None

    def locked_until(self, name: str) -> datetime | None:
        try:
            return self._lock_of(name)
        except ObjectNotFoundError:
            return None

    def tidy(self, before: datetime) -> int:
        """Give up uploads in parts that were begun before then: their parts are kept, and paid for, for ever.

        Only below a prefix. Without one, an upload that somebody else began in the bucket could not be told from ours.
        """
        removed = 0
        if not self._prefix:
            return removed
        try:
            with self._errors("uploads in parts", "tidy up"):
                for upload in self._uploads():
                    if upload["Initiated"] < before:
                        self._abort(upload["Key"], upload["UploadId"])
                        removed += 1
        except (StorageDeniedError, ObjectNotFoundError, SettingsError) as error:
            _log.info("what uploads in parts have left behind stays: %s", error)  # nothing depends on it
        return removed

    def close(self) -> None:
        self._access.close()

    def _lock_of(self, name: str) -> datetime | None:
        checked_name(name)
        try:
            with self._errors(name, "look up the lock of"):
                found = self._access.client.head_object(Bucket=self._bucket, Key=self._key(name))
        except (ObjectNotFoundError, SettingsError):
            self._present(name)  # tells what an answer to HEAD can't, for that has no words
            raise
        until: datetime | None = found.get("ObjectLockRetainUntilDate")
        return until.astimezone(UTC) if until else None

    def _put_in_parts(self, name: str, data: memoryview, replace: bool, storage_class: str | None) -> None:
        where = {"Bucket": self._bucket, "Key": self._key(name)}
        client = self._access.client
        chosen = {"StorageClass": storage_class} if storage_class else {}
        upload = {**where, "UploadId": client.create_multipart_upload(**where, **chosen)["UploadId"]}
        try:
            parts = []
            for number, at in enumerate(range(0, len(data), self._part_bytes), 1):
                body = bytes(data[at : at + self._part_bytes])
                sent = client.upload_part(**upload, PartNumber=number, Body=body)
                parts.append({"PartNumber": number, "ETag": sent["ETag"]})
            condition = {} if replace else {"IfNoneMatch": "*"}
            client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **condition)
        except BaseException as error:
            with suppress(Exception):  # what can't be given up now is tidied away later
                client.abort_multipart_upload(**upload)
            if isinstance(error, Exception) and _is_lost_upload(error):
                raise StorageUnreachableError(
                    f"could not store {name!r} in {self._location}", reason="the service lost the upload"
                ) from None
            raise

    def _uploads(self) -> Iterator[dict[str, Any]]:
        pages = self._access.client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self._bucket, Prefix=f"{self._prefix}/"):
            yield from page.get("Uploads", [])

    def _abort(self, key: str, upload_id: str) -> None:
        self._access.client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)

    def _delete_unless_locked(self, name: str) -> None:
        with self._errors(name, "delete"):
            versions = list(self._versions(name))
            if not versions or versions[0]["IsMarker"]:
                return  # there is no such object; versions below a marker are hidden already
            # The oldest first, so that nobody sees an old one when the newest is gone.
            doomed = [{"Key": self._key(name), "VersionId": version["VersionId"]} for version in reversed(versions)]
            for at in range(0, len(doomed), 1000):
                answer = self._access.client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": doomed[at : at + 1000], "Quiet": True}
                )
                if answer.get("Errors"):
                    raise self._not_deleted(name, answer["Errors"][0])

    def _versions(self, name: str) -> Iterator[dict[str, Any]]:
        """Tell the versions of an object, the newest first."""
        key = self._key(name)
        pages = self._access.client.get_paginator("list_object_versions")
        found = []
        for page in pages.paginate(Bucket=self._bucket, Prefix=key):
            of_page = [{**item, "IsMarker": False} for item in page.get("Versions", []) if item["Key"] == key]
            of_page += [{**item, "IsMarker": True} for item in page.get("DeleteMarkers", []) if item["Key"] == key]
            if not of_page:
                break  # names that begin with this one come after it
            found += of_page
        yield from sorted(found, key=lambda item: (not item["IsLatest"], -item["LastModified"].timestamp()))

    def _not_deleted(self, name: str, said: dict[str, Any]) -> HoldfastError:
        until = self._lock_in_force(name)
        if until is not None:
            return ObjectLockedError(
                f"{name!r} in {self._location} can't be deleted", reason=f"it is locked until {until:%Y-%m-%d %H:%M:%S} UTC"
            )
        reason = f"{said.get('Code', '')}: {said.get('Message', '')}"
        if said.get("Code") == "AccessDenied":
            return denied("delete", name, self._location, reason)
        return StorageUnreachableError(f"could not delete {name!r} in {self._location}", reason=reason)

    def _answer(self, error: Exception) -> Answer | None:
        if not type(error).__module__.startswith("botocore"):
            return None
        from botocore import exceptions

        passing = (exceptions.ConnectionError, exceptions.HTTPClientError, exceptions.MetadataRetrievalError)
        if isinstance(error, (exceptions.ClientError, *passing)):
            return Answer.of_boto(error)
        return Answer(401, type(error).__name__, Answer.of_boto(error).words)


def _is_lost_upload(error: Exception) -> bool:
    return Answer.of_boto(error).code == "NoSuchUpload"
