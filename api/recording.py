"""Requests in the audit log: each that changes something, with what became of it, and each that its token does not allow.

Whoever shows no valid token is not in it, or a stranger could fill it: failed tries are in the API's own log.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from holdfast.audit import Actor, AuditBook, Entry, Outcome
from holdfast.audit.entry import code_of, outcome_of
from holdfast.errors import HoldfastError, ScopeMissingError
from orchestration.masking import masked

if TYPE_CHECKING:
    from api.action import Action, Asked
    from api.caller import Caller
    from holdfast.audit.entry import Value

Json = dict[str, Any]

REFUSED = "access.refuse"
"""The action of a request that only looks, and that its token does not allow."""

_SUBJECTS = ("jobId", "executionId", "planId", "event")
_DETAILS = ("type", "types", "mode", "level", "backup_id", "plan_id", "dry_run")
_ACCEPTED = 202
_SELDOM_SECONDS, _CHANGES_SELDOM_SECONDS = 3600.0, 60.0
_refused: dict[tuple[str, str], float] = {}
_lock = threading.Lock()
_log = logging.getLogger("holdfast.api")


@contextmanager
def recorded(action: Action[Any], asked: Asked[Any]) -> Iterator[Callable[[Json], Json]]:
    """Have what happens inside in the log; what the answer is given to returns it."""
    answers: list[Json] = []

    def answered(answer: Json) -> Json:
        answers.append(answer)
        return answer

    error: BaseException | None = None
    with _begun(action, asked) as entry_id:
        try:
            yield answered
        except BaseException as raised:
            error = raised
            raise
        finally:
            name = _action_to_record(action, asked, error)
            if name is not None:
                entry = _entry(name, action, asked, answers[0] if answers else {}, error)
                _write(asked, replace(entry, id=entry_id))


@contextmanager
def _begun(action: Action[Any], asked: Asked[Any]) -> Iterator[str]:
    """Keep what is changed here and now until it has its line; yield the line's id. A run writes lines of its own."""
    entry_id = secrets.token_hex(16)
    with ExitStack() as held:
        if action.audited is not None and action.status != _ACCEPTED and (book := _book(action.audited, asked)):
            held.enter_context(book.begun(replace(_entry(action.audited, action, asked, {}, None), id=entry_id)))
        yield entry_id


def actor_of(caller: Caller) -> Actor:
    """Name who asks: a token by its name, also at the page; where there are no tokens, somebody on this machine."""
    return Actor("user" if caller.via == "loopback" else caller.via, caller.name)


def _action_to_record(action: Action[Any], asked: Asked[Any], error: BaseException | None) -> str | None:
    """Name what goes into the log; None where nothing does. Who may nothing can't fill it by trying again and again."""
    name, seldom = (REFUSED, _SELDOM_SECONDS) if action.audited is None else (action.audited, _CHANGES_SELDOM_SECONDS)
    if isinstance(error, ScopeMissingError):
        return name if _is_new((asked.caller.name, action.name), seldom) else None
    return action.audited


def _write(asked: Asked[Any], entry: Entry) -> None:
    book = _book(entry.action, asked)
    if book is not None:
        book.write(entry)


def _entry(name: str, action: Action[Any], asked: Asked[Any], answer: Json, error: BaseException | None) -> Entry:
    outcome: Outcome = "accepted" if error is None and action.status == _ACCEPTED else outcome_of(error)
    subject = action.name if name == REFUSED else _subject(asked.said.model_dump(by_alias=True), answer)
    return Entry(
        name,
        actor_of(asked.caller),
        asked.caller.address,
        outcome,
        None if subject is None else masked(subject),
        code_of(error) or (HoldfastError.code if isinstance(error, Exception) else None),
        _details(asked.said),
    )


def _book(name: str, asked: Asked[Any]) -> AuditBook | None:
    try:
        return AuditBook(asked.parts.settings, asked.parts.catalog)
    except HoldfastError as problem:  # without settings nobody knows where; the request has its own answer
        _log.error("the audit log has no entry of %s by %s: %s", name, asked.caller.name, problem)
        return None


def _subject(said: Json, answer: Json) -> str | None:
    """Tell what it was done to: a job, an execution, a plan; of settings, the names of those that were changed."""
    named = next((str(one) for key in _SUBJECTS if (one := answer.get(key) or said.get(key))), None)
    if named is not None:
        return named
    if isinstance(plan := said.get("plan"), dict):
        return str(plan["id"]) if "id" in plan else None
    return ", ".join(sorted(updates)) if isinstance(updates := said.get("updates"), dict) else None


def _details(said: object) -> dict[str, Value]:
    """Tell what was asked for: choices and ids alone, never what somebody wrote freely."""
    found = {name: getattr(said, name, None) for name in _DETAILS}
    return {name: masked(_text(value)) for name, value in found.items() if value is not None}


def _text(value: object) -> str:
    return ", ".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)


def _is_new(refusal: tuple[str, str], seldom_seconds: float) -> bool:
    """Tell whether it is worth a line: what asks in vain every few seconds has one in that time."""
    with _lock:
        now = time.monotonic()
        if now < _refused.get(refusal, 0.0):
            return False
        _refused[refusal] = now + seldom_seconds
        return True
