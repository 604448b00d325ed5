"""Calls functions where they are deployed: one that does not answer was not brought back, whatever its files say.

A function is called with GET, which by its meaning changes nothing. What the gateway before the functions says (Supabase's, by
its error codes) is no function's answer, and neither is what is said of a function that can't exist: that is asked for, too, so
that an address that answers to every name shows nothing. No answer is quoted, for it could hold anything.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from threading import Lock
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from holdfast.errors import SettingsError, SourceFailedError
from holdfast.sources.supabase.address import is_loopback

Outcome = Literal["answers", "does not answer", "can't be told"]

_AT_ONCE = 4
_SHORTEST_TRY_SECONDS = 10.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 3.0
_MOST_BYTES_READ = 16 << 10
_TOKEN = re.compile(r"[!-~]+")
# https://supabase.com/docs/guides/functions/error-codes; the header's name differs between Supabase's services.
_CODE = re.compile(
    r"\b(NOT_FOUND|NOT_FOUND_FUNCTION_BLOB|UNAUTHORIZED_[A-Z_]+|BOOT_ERROR|EDGE_FUNCTION_ERROR|WORKER_[A-Z_]+|LOAD_FUNCTION_[A-Z_]+"
    r"|IDLE_TIMEOUT|INVALID_RESPONSE_STATUS_CODE|RATE_LIMIT_EXCEEDED|INVALID_URL)\b"
)
_CODE_HEADERS = ("sb-error-code", "x-sb-error-code")
# What gateways without that header say: Supabase's earlier one, and `supabase functions serve`.
_SAYS_UNKNOWN = re.compile(r"function (was )?not found", re.IGNORECASE)
_SAYS_UNAUTHORIZED = re.compile(r"missing authorization header|auth header is not|invalid (jwt|token)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of calling one function; `reason` says why it does not answer, or why that can't be told."""

    slug: str
    outcome: Outcome
    status: int | None = None
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.slug}: {self.outcome}" + (f" ({self.reason})" if self.reason else "")

    def to_json(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self)


def call_all(
    address: str, slugs: Iterable[str], *, token: SecretStr | None = None, time_limit_seconds: float = 60.0
) -> list[Answer]:
    """Call functions, several at once, each until it answers or the time of all is up; answers are in the order of the slugs.

    `address` is where functions are, such as `https://<project>.supabase.co/functions/v1`. Raises SettingsError for an address or
    a token that can't be used; what comes of the calls themselves is in the answers. Each function is called at least once.
    """
    url = _checked(address, token)
    headers = {"User-Agent": "holdfast", "Accept-Encoding": "identity"} | _authorization(token)
    with (
        httpx.Client(headers=headers, trust_env=not is_loopback(url)) as client,
        ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="calling") as threads,
    ):
        gateway = _Gateway(client, url, with_token=token is not None)
        deadline = time.monotonic() + time_limit_seconds
        return list(threads.map(lambda slug: gateway.call_until(deadline, slug), slugs))


def call_function(address: str, slug: str, *, token: SecretStr | None = None, time_limit_seconds: float = 60.0) -> Answer:
    """Call one function; see `call_all`."""
    return call_all(address, [slug], token=token, time_limit_seconds=time_limit_seconds)[0]


def refuse_silence(answers: Sequence[Answer]) -> None:
    """Raise SourceFailedError where a function does not answer; it names each."""
    silent = [answer for answer in answers if answer.outcome == "does not answer"]
    if silent:
        raise SourceFailedError(
            f"{len(silent)} of {len(answers)} functions do not answer",
            reason="; ".join(f"{answer.slug}: {answer.reason}" for answer in silent),
            next_step="Look at the functions' logs where they are deployed",
        )


@dataclass(frozen=True, slots=True)
class _Reply:
    """What is looked at of an HTTP answer: of a good one only that it came; `status` 0: none came, and `text` says why."""

    status: int
    text: str = ""
    code: str | None = None


class _Gateway:
    """Where functions are called; used by several threads."""

    def __init__(self, client: httpx.Client, address: httpx.URL, *, with_token: bool) -> None:
        self._client = client
        self._address = str(address).rstrip("/")
        self._with_token = with_token
        self._asking = Lock()

    def call_until(self, deadline: float, slug: str) -> Answer:
        """Call a function until it answers, that can't be told, or the time is up."""
        pause_seconds = _FIRST_PAUSE_SECONDS
        while True:
            answer = self._call(slug, max(deadline - time.monotonic(), _SHORTEST_TRY_SECONDS))
            if answer.outcome != "does not answer" or time.monotonic() + pause_seconds > deadline:
                return answer
            time.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)

    def _call(self, slug: str, timeout_seconds: float) -> Answer:
        reply = self._ask(slug, timeout_seconds)
        outcome, reason = self._judged(reply)
        return Answer(slug, outcome, reply.status or None, reason)

    def _ask(self, slug: str, timeout_seconds: float) -> _Reply:
        until = time.monotonic() + timeout_seconds
        try:
            with self._client.stream("GET", f"{self._address}/{quote(slug, safe='')}", timeout=timeout_seconds) as response:
                return _reply(response, until)
        except httpx.TimeoutException:
            return _Reply(0, f"nothing came within {timeout_seconds:.0f} s")
        except httpx.ConnectError:
            return _Reply(0, "the address can't be connected to")
        except httpx.HTTPError as error:
            return _Reply(0, f"the connection broke ({type(error).__name__})")

    def _judged(self, reply: _Reply) -> tuple[Outcome, str | None]:
        if reply.status == 0:
            return "does not answer", reply.text
        if reply.status >= 500 or reply.code == "RATE_LIMIT_EXCEEDED":
            return "does not answer", f"HTTP {reply.status}" + (f", {reply.code}" if reply.code else "")
        if _is_unknown(reply):
            return "does not answer", "no function of that name is deployed"
        if _is_unauthorized(reply):
            return "can't be told", "the token was refused" if self._with_token else "it wants a token, and there is none"
        return self._told_apart(reply)

    def _told_apart(self, reply: _Reply) -> tuple[Outcome, str | None]:
        """Say whether it is a function that spoke: not where the same is said of a function that does not exist."""
        with self._asking:
            nobody = self._nobody
        if 0 < nobody.status < 400:
            return "can't be told", "the address answers to every name"
        if reply.status == nobody.status and not _is_unknown(nobody):
            return "can't be told", f"HTTP {reply.status}, as for a function that does not exist"
        return "answers", None

    @cached_property
    def _nobody(self) -> _Reply:
        return self._ask(f"holdfast-{secrets.token_hex(8)}", _SHORTEST_TRY_SECONDS)


def _reply(response: httpx.Response, until: float) -> _Reply:
    if response.status_code < 400:
        return _Reply(response.status_code)
    text = b""
    for piece in response.iter_raw():
        text += piece
        if len(text) > _MOST_BYTES_READ or time.monotonic() > until:
            break
    said = text[:_MOST_BYTES_READ].decode("utf-8", "replace")
    header = next((response.headers[name] for name in _CODE_HEADERS if name in response.headers), None)
    found = _CODE.search(said if header is None else header)
    return _Reply(response.status_code, said, found[1] if found else None)


def _is_unknown(reply: _Reply) -> bool:
    return reply.status == 404 and bool((reply.code or "").startswith("NOT_FOUND") or _SAYS_UNKNOWN.search(reply.text))


def _is_unauthorized(reply: _Reply) -> bool:
    return reply.status == 401 and bool((reply.code or "").startswith("UNAUTHORIZED") or _SAYS_UNAUTHORIZED.search(reply.text))


def _checked(address: str, token: SecretStr | None) -> httpx.URL:
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, TypeError) as error:
        raise _wrong_address("it is no URL") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise _wrong_address("it must begin with https:// and name a host")
    if url.userinfo or url.query or url.fragment:
        raise _wrong_address("it may hold no user, password, query or fragment")
    if token is not None and url.scheme == "http" and not is_loopback(url):
        raise _wrong_address("it must be https: the token would travel in clear; http is for this machine only")
    return url


def _wrong_address(reason: str) -> SettingsError:
    return SettingsError(
        "The address of the functions can't be used",
        reason=reason,
        next_step="Set BACKUP_FUNCTIONS_URL to an address such as https://<project>.supabase.co/functions/v1",
    )


def _authorization(token: SecretStr | None) -> dict[str, str]:
    if token is None:
        return {}
    text = token.get_secret_value().strip()
    if not _TOKEN.fullmatch(text):
        raise SettingsError(
            "The token for calling functions can't be used",
            reason="it is empty, or has characters that no token has",
            next_step="Set BACKUP_FUNCTIONS_CALL_TOKEN to a key or token that the functions accept, or leave it out",
        )
    return {"Authorization": f"Bearer {text}"}
