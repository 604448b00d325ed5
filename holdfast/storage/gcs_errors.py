"""What Google's client says went wrong, in words of `holdfast.errors`.

A missing object and a missing bucket are both 404, so `NotFound` is left to the storage, which knows what was asked for.
"""

from __future__ import annotations

from typing import Any

from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError, TransportError
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from holdfast.errors import HoldfastError, ObjectLockedError, SettingsError, StorageDeniedError, StorageUnreachableError

FOREIGN = (GoogleAPICallError, GoogleAuthError, RequestException, HTTPError, OSError)
_BUSY = {"rateLimitExceeded", "userRateLimitExceeded", "backendError"}
_REASON_CHARACTERS = 300


def said(error: Exception) -> str:
    """Tell the service's own sentence, or the network's, without what libraries wrap around it: whole requests and addresses."""
    if isinstance(error, GoogleAPICallError):
        found = str(_details(error).get("message") or f"the service answered {int(error.code or 0)}")
    elif isinstance(error, GoogleAuthError):
        found = str(error.args[0] if error.args else error)
    else:
        found = str(_innermost(error))
    text = (found.splitlines() or [""])[0]
    return text[:_REASON_CHARACTERS].rstrip(". ") or type(error).__name__


def translated(error: Exception, what: str) -> HoldfastError:
    """Make our error of a foreign one; `what` says which action on which object of which storage."""
    if isinstance(error, GoogleAPICallError):
        return _refusal(error, what)
    if isinstance(error, GoogleAuthError) and not isinstance(error, TransportError) and not error.retryable:
        return _denied(what, said(error))
    return StorageUnreachableError(f"could not {what}", reason=said(error))


def _refusal(error: GoogleAPICallError, what: str) -> HoldfastError:
    code, reason, text = int(error.code or 0), str(_details(error).get("reason") or ""), said(error)
    if code == 401:
        return _denied(what, text)
    if code == 403 and reason not in _BUSY:
        if _is_locked(reason, text):
            return ObjectLockedError(f"could not {what}", reason=text, next_step="Wait until its lock has ended")
        return _denied(what, text)
    if 400 <= code < 500 and code not in {403, 408, 409, 410, 412, 429} and "crc32c" not in text.lower():
        return SettingsError(f"could not {what}", reason=text)
    return StorageUnreachableError(f"could not {what}", reason=text)


def _is_locked(reason: str, text: str) -> bool:
    """A lock and a missing right are both 403, and rights and accounts may have "retention" in their names."""
    said = text.lower()
    if "does not have" in said or "permission" in said:
        return False
    return "retention" in f"{reason.lower()} {said}" or "hold" in reason.lower()


def _denied(what: str, reason: str) -> StorageDeniedError:
    return StorageDeniedError(
        f"not allowed to {what}",
        reason=reason,
        next_step="Check that the credentials are right, have not expired, and may read, write, list and delete objects there",
    )


def _details(error: Exception) -> dict[str, Any]:
    """Find message and reason in the service's JSON; an answer that is none, as a proxy's, has neither."""
    response = getattr(error, "response", None)
    if response is None:
        return {}
    try:
        found = response.json()["error"]
        return {**found["errors"][0], "message": found.get("message")}
    except (ValueError, LookupError, TypeError, RuntimeError, OSError):
        return {}


def _innermost(error: BaseException) -> BaseException:
    """Find what began it. The errors around it quote the address, which for an upload in parts is as good as a credential."""
    while True:
        causes = [cause for cause in (getattr(error, "reason", None), *error.args) if isinstance(cause, BaseException)]
        if not causes:
            return error
        error = causes[0]
