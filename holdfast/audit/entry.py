"""One entry of the audit log: who did what, when, from where, with what outcome. It holds no secret and never changes.

An entry has an id of its own, so that one that is handed over twice gets one line. Its place in a chain comes later
(`holdfast.audit.chain`), for the catalog may be down when it is made.
"""

from __future__ import annotations

import getpass
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, get_args

from holdfast.errors import BusyError, HoldfastError, RefusedError
from holdfast.repository import canonical

Json = dict[str, Any]
Value = str | int | bool | None
ActorKind = Literal["token", "user", "schedule", "event", "page", "system"]
Outcome = Literal["accepted", "done", "failed", "refused", "cancelled"]
"""accepted: it was begun, and goes on elsewhere. The other four are ends."""

SCHEMA = 1
_LONGEST = 255
_LONGEST_DETAIL = 1000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: a token's name, a user of a host, a schedule, an event, somebody at the page, or Holdfast by itself."""

    kind: ActorKind
    name: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done. `action` is `<noun>.<verb>`; `subject` is what it was done to; `origin` an address or a host."""

    action: str
    actor: Actor
    origin: str
    outcome: Outcome
    subject: str | None = None
    code: str | None = None
    """The code of the error, where there was one."""
    details: Mapping[str, Value] = field(default_factory=dict)
    at: datetime = field(default_factory=canonical.now)
    id: str = field(default_factory=lambda: secrets.token_hex(16))

    def record(self) -> Json:
        """Describe it as its line does, without its place in a chain."""
        return {
            "schema": SCHEMA,
            "id": self.id,
            "at": canonical.time_text(self.at),
            "actor": {"kind": self.actor.kind, "name": _fit(self.actor.name)},
            "origin": _fit(self.origin),
            "action": _fit(self.action),
            "subject": None if self.subject is None else _fit(self.subject),
            "outcome": self.outcome,
            "code": self.code,
            "details": {_fit(name): _fit_value(value) for name, value in self.details.items()},
        }

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Entry:
        """Read what `record` describes; what a line says beyond it is not looked at. Raises ValueError saying what is wrong."""
        try:
            actor, outcome = Actor(record["actor"]["kind"], record["actor"]["name"]), record["outcome"]
            said = (record["subject"], record["code"], record["details"], canonical.time_from(record["at"]), record["id"])
            found = cls(record["action"], actor, record["origin"], outcome, *said)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a field is missing or wrong ({error})") from error
        if record["schema"] != SCHEMA or actor.kind not in get_args(ActorKind) or outcome not in get_args(Outcome):
            raise ValueError("it has a schema, an actor or an outcome that this Holdfast does not know")
        return found

    def ended(self, outcome: Outcome, error: BaseException | None = None) -> Entry:
        """Make the entry of how it ended, which is another one."""
        return replace(self, outcome=outcome, code=code_of(error), at=canonical.now(), id=secrets.token_hex(16))

    def document(self) -> Json:
        """Describe it as answers and `--json` do."""
        return {**self.record(), "at": self.at, "actor": {"kind": self.actor.kind, "name": self.actor.name}}


def this_user() -> Actor:
    """Name the user who runs this process."""
    try:
        return Actor("user", getpass.getuser())
    except (OSError, KeyError):  # a container's user may have no name
        return Actor("user", "unknown")


def this_host() -> str:
    return socket.gethostname()


def outcome_of(error: BaseException | None) -> Outcome:
    """Tell an outcome by what ended the work."""
    if error is None:
        return "done"
    if isinstance(error, RefusedError | BusyError):
        return "refused"
    return "failed" if isinstance(error, Exception) else "cancelled"


def code_of(error: BaseException | None) -> str | None:
    return error.code if isinstance(error, HoldfastError) else None


def _fit(text: str, longest: int = _LONGEST) -> str:
    """Make text what PostgreSQL and UTF-8 can hold, and no longer than an index takes."""
    sound = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return sound if len(sound) <= longest else sound[: longest - 1] + "…"


def _fit_value(value: object) -> Value:
    return value if value is None or isinstance(value, bool | int) else _fit(str(value), _LONGEST_DETAIL)
