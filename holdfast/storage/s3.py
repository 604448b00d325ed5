"""The storage contract over S3 and what speaks its language: obstore for what is asked often, boto3 for what obstore has not.

Put-if-absent is the service's own (`If-None-Match: *`), also for objects sent in parts. Locks are Object Lock in compliance mode,
which nobody can shorten. A bucket with Object Lock keeps versions; so that what is deleted there is gone, and not only hidden,
every version is deleted, and the service itself refuses those that are locked.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

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
    CONNECT_SECONDS,
    LARGE_BYTES,
    PART_BYTES,
    REQUEST_SECONDS,
    BucketStorage,
    Credentials,
    checked_bucket,
    checked_endpoint,
    checked_prefix,
    manner,
)
from holdfast.storage.objectstore import checked_name
from holdfast.storage.settings import StorageSettings

if TYPE_CHECKING:
    from boto3 import Session

_log = logging.getLogger(__name__)

_REGION = "us-east-1"
_CONNECTIONS = 32
_LAST = timedelta(minutes=8)  # botocore renews what ends in less than ten


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
        endpoint = checked_endpoint(settings.endpoint or _endpoint_of_the_environment())
        settings = settings.model_copy(update={"endpoint": endpoint})
        self._access = _Access(settings, credentials)
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


class _Access:
    """Who we are to S3: keys of the settings, a session that was handed in, or whatever AWS's default chain finds."""

    def __init__(self, settings: StorageSettings, credentials: object | None) -> None:
        self._settings = settings
        self._session: Session | None = None
        self._client: Any = None
        self._making = threading.Lock()
        keys = _keys(settings)
        if credentials is None and keys is not None:
            self.provider = Credentials(lambda: {**keys, "expires_at": None})
            self.region = settings.region or _REGION
            return
        with _boto_errors("there are no usable AWS credentials"):
            self._session = _session(credentials)
            found = self._session.get_credentials()
            if found is None:
                raise SettingsError(
                    "there are no AWS credentials",
                    reason="none are set, and neither the environment, nor a profile, nor this machine's role has any",
                    next_step="Set BACKUP_STORAGE_ACCESS_KEY and BACKUP_STORAGE_SECRET_KEY, or AWS_PROFILE, or log in with 'aws'",
                )
            self.region = settings.region or self._session.region_name or _REGION

        def fetch() -> dict[str, object]:
            frozen = found.get_frozen_credentials()
            keys = {"access_key_id": frozen.access_key, "secret_access_key": frozen.secret_key, "token": frozen.token}
            return {**keys, "expires_at": datetime.now(UTC) + _LAST}

        self.provider = Credentials(fetch)

    @property
    def client(self) -> Any:
        """boto3's client, made when it is first needed: it is slow to import."""
        with self._making:
            if self._client is None:
                with _boto_errors(f"{self._settings.location} can't be used"):
                    self._client = self._new_client()
            return self._client

    def close(self) -> None:
        with self._making:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _new_client(self) -> Any:
        from botocore.config import Config

        session = self._session or _session(None, _keys(self._settings))
        return session.client(
            "s3",
            region_name=self.region,
            endpoint_url=self._settings.endpoint,
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=REQUEST_SECONDS,
                retries={"total_max_attempts": 1},
                max_pool_connections=_CONNECTIONS,
                s3={"addressing_style": "path"},
                response_checksum_validation="when_required",
                request_checksum_calculation="when_required",
            ),
        )


def _session(credentials: object | None, keys: dict[str, object] | None = None) -> Session:
    from boto3 import Session

    if credentials is None:
        names = {"access_key_id": "aws_access_key_id", "secret_access_key": "aws_secret_access_key", "token": "aws_session_token"}
        return Session(**{names[name]: value for name, value in (keys or {}).items()})
    if not isinstance(credentials, Session):
        raise SettingsError(f"{type(credentials).__name__} is no credential for S3", reason="a boto3 session is")
    return credentials


def _keys(settings: StorageSettings) -> dict[str, object] | None:
    """Take the keys of the settings; None where they have none. Raises SettingsError (one without the other)."""
    access, secret, token = settings.access_key, settings.secret_key, settings.session_token
    if not access and not secret:
        return None
    if not access or not secret:
        raise SettingsError(
            f"BACKUP_STORAGE_{'SECRET' if access else 'ACCESS'}_KEY is not set",
            reason="S3 needs an access key and its secret key",
            next_step="Set both, or neither of them to use the default credentials of AWS",
        )
    return {
        "access_key_id": access.get_secret_value(),
        "secret_access_key": secret.get_secret_value(),
        "token": token.get_secret_value() if token else None,
    }


def _endpoint_of_the_environment() -> str | None:
    """Heed what AWS's own tools heed."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def _is_lost_upload(error: Exception) -> bool:
    return Answer.of_boto(error).code == "NoSuchUpload"


@contextmanager
def _boto_errors(what: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError

    try:
        yield
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(what, reason=Answer.of_boto(error).words) from None
