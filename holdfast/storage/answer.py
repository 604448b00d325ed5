"""What a service answered instead of doing what it was asked, and which of our errors that is.

S3 and Azure are asked through obstore, boto3 and Azure's own client. Whatever came back through whichever of them is an `Answer`
first, so that all are judged alike. Of a service's words only its one sentence is kept: the rest may quote what it was sent, and
that may be a token. For the same reason our errors leave without the error that caused them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from holdfast.errors import (
    HoldfastError,
    ObjectExistsError,
    ObjectLockedError,
    ObjectNotFoundError,
    SettingsError,
    StorageDeniedError,
    StorageFullError,
    StorageUnreachableError,
)

_STATUS = re.compile(r"status code: (\d{3})(?: ([\w -]+))?")
_PART_STATUS = re.compile(r"failed for key \S+: (.*) \(code: (\d{3})\)")  # of a request that held several
_CODE = re.compile(r"<Code>\s*([\w.-]+)\s*</Code>")
_MESSAGE = re.compile(r"<Message>([^<\n]*)")
_KIND = re.compile(r"kind: (Connect|Timeout)\b")
_SYSTEM = re.compile(r'message: "([^"]+)"|error: "([^"]+)"')
_HTTP = re.compile(r"HTTP error: ([^\n]+)")
_ADDRESS = re.compile(r"\S+://\S+")
_WORDS = 300

_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
_EXISTS = {"BlobAlreadyExists", "PreconditionFailed", "ConditionNotMet"}
_LOCKED = {"BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold"}
_ALWAYS_DENIED = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "ExpiredTokenException", "AccountIsDisabled"}
# Answers of 400 that are about one request, and not about what was asked.
_PASSING = {"RequestTimeout", "BadDigest", "Md5Mismatch", "Crc64Mismatch", "IncompleteBody", "XAmzContentSHA256Mismatch"}
_FULL = {"XMinioStorageFull", "InsufficientCapacity", "QuotaExceeded"}
_ARCHIVED = {"InvalidObjectState", "BlobArchived"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the HTTP status (None where no answer came), the service's own code, and its sentence."""

    status: int | None
    code: str
    words: str

    @classmethod
    def of_obstore(cls, error: BaseException) -> Answer:
        """Read obstore's text, which is all that it tells."""
        text = str(error)
        part = _PART_STATUS.search(text)
        if part:
            return cls(int(part[2]), "", _short(part[1]))
        status = _STATUS.search(text)
        if status is None:
            return cls(None, "", _what_broke(text))
        code, message = _CODE.search(text), _MESSAGE.search(text)
        words = message[1] if message and message[1].strip() else status[2] or ""
        return cls(int(status[1]), code[1] if code else "", _short(words))

    @classmethod
    def of_boto(cls, error: Exception) -> Answer:
        """Read an error of botocore's; only a ClientError holds an answer."""
        response: dict[str, Any] | None = getattr(error, "response", None)
        if response is None:
            return cls(None, "", _short(_ADDRESS.sub("the service", str(error))))
        said = response.get("Error", {})
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) or None
        return cls(status, str(said.get("Code", "")), _short(str(said.get("Message", ""))))

    @classmethod
    def of_azure(cls, error: Exception) -> Answer:
        """Read an error of Azure's client."""
        code = getattr(error, "error_code", None)
        reason = getattr(error, "reason", None)  # the service's sentence, where there was an answer
        words = reason or _ADDRESS.sub("the service", str(getattr(error, "message", error)))
        return cls(getattr(error, "status_code", None), str(getattr(code, "value", code) or ""), _short(str(words)))

    @property
    def reason(self) -> str:
        """The same for a person to read."""
        if self.status is None:
            return self.words
        said = ": ".join(part for part in (self.code, self.words.rstrip(".")) if part)
        return f"{self.status} {said}".rstrip()

    @property
    def is_no_bucket(self) -> bool:
        return self.code in _NO_BUCKET or (self.status == 404 and "container does not exist" in self.words)

    @property
    def is_exists(self) -> bool:
        """Whether a condition of the request did not hold. A conflict with another request is none: that one may fail."""
        return self.status == 412 or (self.status == 409 and self.code in _EXISTS)

    def as_error(self, action: str, name: str, location: str, bucket: str) -> HoldfastError:
        """Tell which of our errors this is, when `action` was asked for on an object."""
        could_not = f"could not {action} {name!r} in {location}"
        if self.is_no_bucket:
            return SettingsError(
                f"{location} can't be used",
                reason=f"there is no bucket {bucket!r}",
                next_step="Make the bucket, or correct BACKUP_STORAGE_BUCKET",
            )
        if self.status == 404:
            return ObjectNotFoundError(f"{location} has no object {name!r}")
        if self.is_exists:
            return ObjectExistsError(f"{location} already has an object {name!r}")
        if self.code in _LOCKED:
            return ObjectLockedError(could_not, reason=self.reason, next_step="Wait until its lock has ended")
        if self.status == 507 or self.code in _FULL:
            return StorageFullError(
                f"no space is left in {location} to {action} {name!r}",
                reason=self.reason,
                next_step="Earlier backups are intact: free some space, or run 'holdfast repo prune', then try again",
            )
        if self.code in _ARCHIVED:
            return StorageDeniedError(
                could_not, reason=f"{self.reason}; it was moved to an archive", next_step="Have the service bring it back first"
            )
        if self.status in {401, 403} or self.code in _ALWAYS_DENIED:
            return denied(action, name, location, self.reason)
        if self._will_pass:
            return StorageUnreachableError(could_not, reason=self.reason)
        return SettingsError(could_not, reason=self.reason, next_step=self._advice)

    @property
    def _will_pass(self) -> bool:
        if self.status is None or self.status in {408, 409, 425, 429} or self.code in _PASSING:
            return True
        return self.status >= 500 and self.status != 501

    @property
    def _advice(self) -> str | None:
        if self.status in {301, 307, 308} or self.code == "AuthorizationHeaderMalformed":
            return "Set BACKUP_STORAGE_REGION to the region of the bucket"
        return None


def denied(action: str, name: str, location: str, reason: str) -> StorageDeniedError:
    """Make the error for credentials that are refused, or that can't be had."""
    return StorageDeniedError(
        f"not allowed to {action} {name!r} in {location}",
        reason=reason,
        next_step="Check that the credentials are right, have not expired, and may read, write, list and delete objects there",
    )


def _what_broke(text: str) -> str:
    """Say in few words why no answer came."""
    kind = _KIND.search(text)
    if kind and kind[1] == "Timeout":
        return "no answer came in time"
    if kind:
        cause = _SYSTEM.search(text)
        return _short(f"no connection: {cause[1] or cause[2]}" if cause else "no connection")
    said = _HTTP.search(text)
    return _short(said[1] if said else _ADDRESS.sub("the service", text))


def _short(words: str) -> str:
    return (words.strip().splitlines() or [""])[0].strip()[:_WORDS]
