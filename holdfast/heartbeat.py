"""Tell somebody outside that a run has begun and how it ended, in the way of healthchecks.io, so that silence is noticed there.

The receiver may hang, refuse or be gone: telling takes a few seconds at most and raises nothing. Its address is a secret, for
whoever knows it can send beats, too; only its host is ever named.
"""

from __future__ import annotations

import base64
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, quote, unquote, urlsplit
from uuid import UUID

from holdfast.alarms import Alarm, Judgement

if TYPE_CHECKING:
    from holdfast.settings import Settings

Beat = Literal["start", "success", "fail"]

KEY = "heartbeat"
"""The key of the alarm that beats don't get out."""

LASTING = timedelta(hours=1)
"""How long beats may fail to get out before that is an alarm."""

ATTEMPTS = 2
ATTEMPT_SECONDS = 2.5
LIMIT_SECONDS = 6.0
"""How long all attempts may take: name servers and slow answers know no time limit of ours."""

_LONGEST_BYTES = 5_000
_PLACE = "{type}"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Where the beats of one type of backup go, or those of the health monitor."""

    address: str = field(repr=False)
    own: bool
    """Whether this type has an address of its own, which then tells of it alone."""

    @classmethod
    def of(cls, settings: Settings, type: str) -> Heartbeat | None:  # noqa: A002  the field's own word
        """Return the heartbeat of a type, or of `monitor`; None where none is set."""
        if settings.heartbeat_url is None:
            return None
        address = settings.heartbeat_url.get_secret_value()
        return cls(address.replace(_PLACE, quote(type)), _PLACE in address)

    @property
    def host(self) -> str:
        """Name the receiver without what is secret in its address."""
        try:
            parts = urlsplit(self.address)
        except ValueError:
            return "BACKUP_HEARTBEAT_URL"
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def tell(self, beat: Beat, rid: UUID, text: str) -> str | None:
        """Send a beat, with a second try, and return what went wrong, None where nothing did; `rid` joins start and end."""
        answer = _Answer()
        sending = threading.Thread(target=self._try, args=(beat, rid, text, answer), name="holdfast-heartbeat", daemon=True)
        sending.start()
        sending.join(LIMIT_SECONDS)
        return answer.problem if not sending.is_alive() else f"no answer within {LIMIT_SECONDS:g} seconds"

    def _try(self, beat: Beat, rid: UUID, text: str, answer: _Answer) -> None:
        for _ in range(ATTEMPTS):
            answer.problem = self._send(beat, rid, text)
            if answer.problem is None:
                return

    def _send(self, beat: Beat, rid: UUID, text: str) -> str | None:
        body = text.encode()[:_LONGEST_BYTES]
        try:
            address, headers = self._request(beat, rid)
            request = urllib.request.Request(address, data=body, headers=headers, method="POST")  # noqa: S310  settings take http only
            with urllib.request.build_opener().open(request, timeout=ATTEMPT_SECONDS):
                return None
        except urllib.error.HTTPError as error:
            error.close()
            return f"it answers {error.code}"
        except urllib.error.URLError as error:
            return f"it can't be reached: {_reason(error.reason)}"
        except OSError as error:
            return f"it can't be reached: {_reason(error)}"
        except Exception as error:  # noqa: BLE001  an address that makes no sense; what is said of it might hold it
            return f"its address can't be used: {type(error).__name__}"

    def _request(self, beat: Beat, rid: UUID) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.address)
        path = parts.path if beat == "success" else f"{parts.path.rstrip('/')}/{beat}"
        query = f"{parts.query}&rid={rid}" if parts.query else f"rid={rid}"
        host = parts.netloc.rpartition("@")[2]
        headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "Holdfast", **_login(parts)}
        return parts._replace(netloc=host, path=path, query=query, fragment="").geturl(), headers


class _Answer:
    """What came of the attempts so far; a thread that hangs may write into it when nobody asks any more."""

    problem: str | None = "it was not tried"


@dataclass(frozen=True, slots=True)
class Failing:
    """Since when no beat of anybody has got out, and why the last one did not."""

    since: datetime
    problem: str


def judge_heartbeat(host: str | None, failing: Failing | None, now: datetime) -> Judgement:
    """Judge whether beats get out. `host` is where they go, None where nowhere; for the first hour nothing is judged."""
    if host is None or failing is None:
        return {KEY: None}
    if now - failing.since < LASTING:
        return {}
    alarm = Alarm(
        KEY,
        "The heartbeat does not get out",
        f"{host} takes no beats: {failing.problem}. So nobody outside would notice if all of this stopped",
        "See that it can be reached from here, and that BACKUP_HEARTBEAT_URL is right",
        since=failing.since,
    )
    return {KEY: alarm}


def _login(parts: SplitResult) -> dict[str, str]:
    if parts.username is None and parts.password is None:
        return {}
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {ATTEMPT_SECONDS:g} seconds"
    return str(getattr(error, "strerror", None) or type(error).__name__)
