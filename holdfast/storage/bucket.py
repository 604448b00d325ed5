"""What S3 and Azure have in common: a bucket, perhaps a prefix in it, and a service that answers over HTTP.

One request is one try: the libraries' own retries are off, for `RetryingStorage` decides on them. An answer that says a bucket is
missing, or credentials are refused, is never taken for a missing object: where a service says too little, it is asked again.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

from obstore.exceptions import BaseError, InvalidPathError, NotSupportedError
from obstore.store import ObjectStore

from holdfast.errors import HoldfastError, ObjectNotFoundError, SettingsError, StorageUnreachableError
from holdfast.storage.answer import Answer, denied
from holdfast.storage.classes import checked_class
from holdfast.storage.contract import ObjectInfo
from holdfast.storage.objectstore import ObstoreStorage, checked_name
from holdfast.storage.settings import StorageSettings, endpoint_problem

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

LARGE_BYTES = 32 << 20  # above this an object is sent in parts
PART_BYTES = 8 << 20
CONNECT_SECONDS = 10
REQUEST_SECONDS = 60  # for a whole request, its body included


class _Manner(TypedDict):
    client_options: ClientConfig
    retry_config: RetryConfig


class BucketStorage(ObstoreStorage):
    """Keep objects in a bucket. A kind adds its credentials, large objects and locks."""

    def __init__(
        self,
        store: ObjectStore,
        settings: StorageSettings,
        bucket: str,
        provider: Credentials,
        *,
        large_bytes: int,
        part_bytes: int,
    ) -> None:
        super().__init__(store, settings.location)
        self._bucket = bucket
        self._provider = provider
        self._prefix = checked_prefix(settings)
        self._immutable_days = settings.immutable_days
        self._class = checked_class(settings.type, settings.storage_class)
        self._large_bytes, self._part_bytes = large_bytes, part_bytes

    @property
    def immutable_days(self) -> int:
        return self._immutable_days

    def put(self, name: str, data: bytes | bytearray | memoryview, *, replace: bool = False, bulk: bool = False) -> None:
        """Store an object. One that is locked and is replaced stays, as a version, until its lock ends."""
        chosen = self._class if bulk else None
        with self._errors(name, "store"):
            if len(data) > self._large_bytes:
                self._put_in_parts(checked_name(name), memoryview(data), replace, chosen)
            else:
                self._store.put(
                    checked_name(name),
                    data,
                    mode="overwrite" if replace else "create",
                    attributes={"Storage-Class": chosen} if chosen else None,
                    use_multipart=False,
                )

    def get_range(self, name: str, start: int, length: int) -> bytes:
        if length <= 0:
            self._present(name)
            return b""
        with self._errors(name, "read"):
            try:
                found = self._store.get(checked_name(name), options={"range": (start, start + length)})
                data = found.bytes().to_bytes()
            except BaseError as error:
                if _is_behind_the_end(error):
                    return b""
                raise
            first, end = found.range
            if first != start or end != min(start + length, found.meta["size"]):
                reason = f"bytes {start} to {start + length} were asked for, and {first} to {end} came"
                raise StorageUnreachableError(f"could not read {name!r} in {self._location}", reason=reason)
            self._check_length(name, len(data), end - first)
            return data

    def head(self, name: str) -> ObjectInfo | None:
        try:
            return self._present(name)
        except ObjectNotFoundError:
            return None

    def delete(self, name: str) -> None:
        if self._immutable_days:
            self._delete_unless_locked(checked_name(name))
        else:
            self._delete(name)

    def close(self) -> None:
        """Release what the service's own client holds open."""

    @abstractmethod
    def _put_in_parts(self, name: str, data: memoryview, replace: bool, storage_class: str | None) -> None:
        """Store a large object, all or nothing too; what is left of a try that failed is no object."""

    @abstractmethod
    def _delete_unless_locked(self, name: str) -> None:
        """Delete an object in a bucket with locks. Raises ObjectLockedError."""

    @abstractmethod
    def _answer(self, error: Exception) -> Answer | None:
        """Read an error of the service's own client; None where it is of somebody else."""

    def _delete(self, name: str) -> None:
        super().delete(name)

    def _key(self, name: str) -> str:
        """The name within the bucket, for who knows nothing of the prefix."""
        return f"{self._prefix}/{name}" if self._prefix else name

    def _lock_in_force(self, name: str) -> datetime | None:
        until = self.locked_until(name)
        return until if until is not None and until > datetime.now(UTC) else None

    def _present(self, name: str) -> ObjectInfo:
        checked_name(name)
        try:
            with self._errors(name, "look up"):
                meta = self._store.head(name)
        except (ObjectNotFoundError, SettingsError):
            # An answer to HEAD has no words, so it can't tell a missing bucket, or an expired token (S3: 400); one to GET can.
            with self._errors(name, "look up"):
                meta = self._store.get(name).meta
        return ObjectInfo(name, meta["size"], meta["last_modified"])

    @contextmanager
    def _errors(self, name: str, action: str) -> Iterator[None]:
        try:
            yield
        except HoldfastError:
            raise
        except Exception as error:
            found = self._failure(error, name, action)
            if found is None:
                raise
            raise found from None

    def _failure(self, error: Exception, name: str, action: str) -> HoldfastError | None:
        if isinstance(error, InvalidPathError):
            return SettingsError(
                f"could not {action} {name!r} in {self._location}",
                reason="an object that is not ours has a name that can't be read: with empty parts, '.' or '..'",
                next_step="Remove that object, or keep backups below a prefix of their own",
            )
        if isinstance(error, BaseError | FileNotFoundError | NotSupportedError):
            if "credential provider" in str(error) and self._provider.failure is not None:
                return self._without_credentials(self._provider.failure, name, action)
            answer: Answer | None = Answer.of_obstore(error)
        else:
            answer = self._answer(error)
        return None if answer is None else self._judged(answer, name, action)

    def _judged(self, answer: Answer, name: str, action: str) -> HoldfastError:
        if answer.status == 404 and action == "list":  # which asks for no object
            answer = Answer(404, "NoSuchBucket", answer.words)
        return answer.as_error(action, name, self._location, self._bucket)

    def _without_credentials(self, failure: Exception, name: str, action: str) -> HoldfastError:
        answer = self._answer(failure) or Answer(None, "", "")
        if answer.status is None and answer.words:
            return answer.as_error(action, name, self._location, self._bucket)
        return denied(action, name, self._location, answer.words or f"there are no credentials ({type(failure).__name__})")


class Credentials:
    """Hands credentials to obstore, and keeps what went wrong: obstore makes one text of every failure."""

    def __init__(self, fetch: Callable[[], dict[str, object]]) -> None:
        self._fetch = fetch
        self.failure: Exception | None = None

    def __call__(self) -> dict[str, object]:
        try:
            return self._fetch()
        except Exception as error:
            self.failure = error
            raise


def manner(endpoint: str | None) -> _Manner:
    """How obstore asks: with patience for one try, and over plain HTTP only where the endpoint says so."""
    return {
        "client_options": {
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "timeout": timedelta(seconds=REQUEST_SECONDS),
        },
        "retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=REQUEST_SECONDS)},
    }


def checked_prefix(settings: StorageSettings) -> str:
    """Return the prefix without slashes around it; "" for none. Raises SettingsError."""
    prefix = (settings.prefix or "").strip("/")
    try:
        return checked_name(prefix) if prefix else ""
    except SettingsError as error:
        raise SettingsError(f"BACKUP_STORAGE_PREFIX can't be {prefix!r}", reason=error.reason) from None


def checked_endpoint(endpoint: str | None) -> str | None:
    """Return an endpoint without a slash at its end. Raises SettingsError, which shows nothing that may be a credential."""
    if not endpoint:
        return None
    if endpoint_problem(endpoint):
        raise SettingsError(
            "BACKUP_STORAGE_ENDPOINT is no address of a service",
            reason="it is written https://host or https://host:port, without credentials",
        )
    return endpoint.rstrip("/")


def checked_bucket(settings: StorageSettings, what: str) -> str:
    """Return the bucket's name. Raises SettingsError."""
    if not settings.bucket:
        raise SettingsError("BACKUP_STORAGE_BUCKET is not set", reason=f"{what} keeps objects in one")
    if "/" in settings.bucket or "?" in settings.bucket or settings.bucket != settings.bucket.strip():
        raise SettingsError(
            f"BACKUP_STORAGE_BUCKET can't be {settings.bucket!r}",
            next_step="Set it to the name alone, and BACKUP_STORAGE_PREFIX to the folder in it",
        )
    return settings.bucket


def _is_behind_the_end(error: BaseError) -> bool:
    return Answer.of_obstore(error).status == 416 or "Wanted range starting at" in str(error)
