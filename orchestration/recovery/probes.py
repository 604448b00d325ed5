"""The probes of the health monitor: a look at each subject, and the event that tells of its trouble.

Looks cost little and change nothing. What is in trouble is looked at again, within the same run, and only what each look finds
is told. No subject waits for another, and none for the repository, which is opened when a look first asks for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefect.client.orchestration import get_client

from blocks.server import asked
from holdfast.errors import StorageUnreachableError, TimeLimitError
from holdfast.recovery.assessing import assess
from holdfast.recovery.deadline import Deadline
from holdfast.recovery.triggers import trigger_of
from holdfast.recovery.trouble import Trouble, carried_on
from holdfast.recovery.verdict import Subject, Verdict
from orchestration.events import bounded
from orchestration.masking import masked, masked_all
from orchestration.opening import repository_to_read
from orchestration.recovery.triggers import listening, open_executions, send_trigger
from orchestration.recovery.trouble_book import TroubleBook, subjects_on
from orchestration.recovery.world import LiveWorld

if TYPE_CHECKING:
    from holdfast.recovery.world import World
    from holdfast.repository import Repository
    from holdfast.settings import Settings

Json = dict[str, Any]

LONGEST_LOOK_SECONDS = 20.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often what is in trouble is looked at in one run, and how long a look and the wait between two may take."""

    looks: int
    wait_seconds: float
    look_seconds: float

    @classmethod
    def of(cls, settings: Settings, seconds: float) -> Pace:
        """Take the settings' pace, made quicker where the looks would not fit into this time."""
        each = seconds / settings.probe_failures
        wait = min(float(settings.probe_wait_seconds), each / 2)
        return cls(settings.probe_failures, wait, min(LONGEST_LOOK_SECONDS, each - wait))

    @property
    def seconds(self) -> float:
        """How long all looks take at most."""
        return self.looks * self.look_seconds + (self.looks - 1) * self.wait_seconds


def probe(settings: Settings, storage: str, key: str, seconds: float) -> Json:
    """Look at every subject that is on, within this time, and emit the event of a trouble that is new.

    Returns the troubles that there are, by subject. Raises PrefectUnreachableError.
    """
    pace, begun = Pace.of(settings, seconds), datetime.now(UTC)
    with ExitStack() as held:
        opening = _Opening(lambda: held.enter_context(repository_to_read(storage, key, settings)), pace.look_seconds / 2)
        looks = look_at(subjects_on(settings), LiveWorld(settings, opening), pace)
    return {subject: one.to_json() for subject, one in note(looks, settings, begun).items()}


def look_at(subjects: Sequence[Subject], world: World, pace: Pace) -> dict[Subject, list[Verdict]]:
    """Look at subjects, all at once, and again at each that is in trouble, until a look finds it otherwise.

    One whose looks hang is left behind: it could not be judged.
    """
    looks: dict[Subject, list[Verdict]] = {subject: [] for subject in subjects}
    threads = [threading.Thread(target=_look_again, args=(one, world, pace, looks[one]), daemon=True) for one in subjects]
    for thread in threads:
        thread.start()
    end = time.monotonic() + pace.seconds + 1
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return {subject: list(found) for subject, found in looks.items()}


def note(looks: Mapping[Subject, Sequence[Verdict]], settings: Settings, begun: datetime) -> dict[Subject, Trouble]:
    """Carry the troubles on by the looks of a run that were begun then, emit what is to be told, and return the troubles."""
    book, at = TroubleBook(settings.target), datetime.now(UTC)
    before = book.read()
    after: dict[Subject, Trouble] = {}
    for subject, found in looks.items():
        trouble = carried_on(before.get(subject), found, begun, needed=settings.probe_failures)
        if trouble is None:
            continue
        now = bool(found) and trigger_of(found[-1]) == trouble.event  # else this run could not judge it
        due = now and settings.enable_recovery and trouble.is_to_be_emitted(at)
        after[subject] = _emitted(trouble, found[-1], settings, at) if due else trouble
    if before != after:
        book.write(before, after)
    return after


def facts_of(trouble: Trouble, verdict: Verdict, at: datetime) -> Json:
    """Say what an event tells a plan: subject, state, reason, what is affected, when it was seen, the gist of the evidence."""
    said: Json = bounded(
        {
            "subject": trouble.subject,
            "state": verdict.state,
            "reason": verdict.reason,
            "affected": list(verdict.affected),
            "detectedAt": at.isoformat(),
            "firstSeenAt": trouble.first_seen_at.isoformat(),
            "evidence": verdict.evidence,
        }
    )
    return dict(masked_all(said))


def _look_again(subject: Subject, world: World, pace: Pace, found: list[Verdict]) -> None:
    for _ in range(pace.looks):
        if found:
            time.sleep(pace.wait_seconds)
        found.append(_look(subject, world, pace.look_seconds))
        if trigger_of(found[-1]) is None or trigger_of(found[-1]) != trigger_of(found[0]):
            return


def _look(subject: Subject, world: World, seconds: float) -> Verdict:
    try:
        return assess(subject, world, Deadline(seconds, f"The look at {subject}"), thorough=False)
    except TimeLimitError as error:
        return Verdict(subject, "unknown", error.what_and_why)
    except Exception as error:  # noqa: BLE001  a look that breaks must not end the others
        _log.warning("%s could not be looked at: %s", subject, masked(f"{type(error).__name__}: {error}"))
        return Verdict(subject, "unknown", f"the look at it failed: {type(error).__name__}")


def _emitted(trouble: Trouble, verdict: Verdict, settings: Settings, at: datetime) -> Trouble:
    """Emit the event, unless a plan that listens is at work already; then it is due in the next run."""
    with asked("it is to have the event of a trouble"), get_client(sync_client=True) as client:
        plans = [one.plan_id for one in listening(client, settings.target, trouble.event) if one.on]
        if plans and (runs := open_executions(client, plans, settings.target)):
            _log.info("%s is not emitted: the run %s sees to it", trouble.event, runs[0].name)
            return trouble
        send_trigger(client, settings.target, trouble.event, facts_of(trouble, verdict, at))
    _log.warning("%s was emitted, for %s is %s: %s", trouble.event, trouble.subject, verdict.state, masked(verdict.reason))
    return trouble.emitted(at, plans)


class _Opening:
    """The repository, opened once, when a look first asks for it; who asks waits for so long, and no longer."""

    def __init__(self, open_it: Callable[[], Repository], seconds: float) -> None:
        self._open = open_it
        self._seconds = seconds
        self._lock = threading.Lock()
        self._found: Future[Repository] | None = None

    def __call__(self) -> Repository:
        """Return it. Raises what hinders the opening, StorageUnreachableError where it takes too long."""
        with self._lock:
            if self._found is None:
                self._found = Future()
                threading.Thread(target=self._run, args=(self._found,), daemon=True).start()
        try:
            return self._found.result(self._seconds)
        except TimeoutError:
            if self._found.done():
                raise
            raise StorageUnreachableError(f"The repository was not opened within {self._seconds:g} s") from None

    def _run(self, found: Future[Repository]) -> None:
        try:
            found.set_result(self._open())
        except BaseException as error:  # noqa: BLE001  it is raised where the repository is asked for
            found.set_exception(error)
