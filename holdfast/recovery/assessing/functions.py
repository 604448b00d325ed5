"""How the functions are: whether they are there, whether each answers, and whether deploying the backup would change anything.

A function that takes long is slow, and not failing. Where none is called, the files alone are judged, and that is said.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast import figures
from holdfast.errors import HoldfastError
from holdfast.recovery.assessing.connecting import looking
from holdfast.recovery.assessing.function_files import FunctionFiles, files_in_folder, files_in_project
from holdfast.recovery.assessing.reference import newest_reference
from holdfast.recovery.verdict import Verdict
from holdfast.sources.functions.calling import Answer, call_all
from holdfast.sources.truth import read_truth

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline
    from holdfast.recovery.world import World
    from holdfast.settings import Settings

Json = dict[str, Any]

_NAMED = 5
_FIRST = 4
"""So many are called first: where none of them is even connected to, no other is."""

_AT_ONCE, _LONGEST_CALL_SECONDS = 16, 10.0
"""Between so many it is seen whether there is time for more; a call takes so long at most."""

_ROOM = 10.0
"""For how many times as long as the slowest so far there must be time left: a look may be given a few seconds only."""

_PATIENCE_SECONDS = 10.0
"""For how long a thorough look calls again what does not answer."""

_OVERLOADED = frozenset({429, 504})
_UNKNOWN = frozenset({404})
_ANSWERS = "answers"
_RUNTIME = "it is what runs them that does not answer, which no file of a backup brings back"


@dataclass(slots=True)
class _Found:
    """What was found, by slug, and why."""

    files: FunctionFiles
    evidence: Json
    answers: list[Answer] | None = None
    silent: dict[str, str] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def assess(world: World, deadline: Deadline, *, thorough: bool) -> Verdict:
    """Look at the functions' files, and call each. Raises TimeLimitError, SettingsError, DamagedError."""
    settings = world.settings
    if settings.functions_path is None and settings.supabase_project is None:
        return Verdict("function", "unknown", "no functions are named; set BACKUP_FUNCTIONS_PATH or BACKUP_SUPABASE_PROJECT")
    reference = newest_reference(world, "function")
    truth = None if isinstance(reference, str) else read_truth(reference.repository, reference.manifest)
    if settings.functions_path is not None:
        files = files_in_folder(settings.functions_path, truth)
    else:
        files = files_in_project(settings, str(settings.supabase_project), truth)
    compared = {"notCompared": reference} if isinstance(reference, str) else {"backup": reference.document()}
    found = _Found(files, compared | _evidence(files))
    if files.is_gone and truth is not None:
        return Verdict("function", "lost", "none of the functions of the newest good backup is there", found.evidence)
    if files.is_gone or not (files.present or files.missing):
        return Verdict("function", "unknown", "; ".join(files.notes) or "there is no function", found.evidence)
    deadline.require()
    _call(found, settings, deadline, thorough=thorough)
    return _judged(found, world, deadline)


def _evidence(files: FunctionFiles) -> Json:
    found: Json = {"functions": files.present, "changed": files.changed}
    found |= {"sharedChanged": files.shared} if files.shared else {}
    return found | ({"notes": files.notes} if files.notes else {})


def _call(found: _Found, settings: Settings, deadline: Deadline, *, thorough: bool) -> None:
    """Call what is there, and sort what comes of it."""
    found.missing = dict.fromkeys(found.files.missing, "it is gone")
    address = settings.functions_url
    if address is None and settings.functions_path is None:
        address = f"https://{settings.supabase_project}.supabase.co/functions/v1"
    if address is None:
        found.evidence["notCalled"] = found.files.present
        return
    seconds = min(_PATIENCE_SECONDS, deadline.seconds_left / 4) if thorough else 0.0
    slugs = found.files.present
    answers: list[Answer] = []
    slowest_seconds = 0.0
    for some in (slugs[:_FIRST], *(slugs[at : at + _AT_ONCE] for at in range(_FIRST, len(slugs), _AT_ONCE))):
        enough = deadline.seconds_left >= min(_LONGEST_CALL_SECONDS, _ROOM * slowest_seconds)
        if answers and (not enough or all(answer.status is None for answer in answers)):
            found.evidence["notCalled"] = [slug for slug in slugs if slug not in {answer.slug for answer in answers}]
            break
        began = time.monotonic()
        answers += call_all(address, some, token=settings.functions_call_token, time_limit_seconds=seconds)
        slowest_seconds = max(slowest_seconds, time.monotonic() - began)
    found.answers = answers
    found.evidence["answers"] = [answer.to_json() for answer in answers]
    for answer in answers:
        if answer.outcome == "does not answer":
            _sort(answer, found)


def _sort(answer: Answer, found: _Found) -> None:
    reason = answer.reason or "it does not answer"
    if answer.status is None or answer.status in _OVERLOADED:
        found.silent[answer.slug] = reason
    elif answer.status in _UNKNOWN:
        found.missing[answer.slug] = reason
    else:
        found.failing[answer.slug] = reason


def _judged(found: _Found, world: World, deadline: Deadline) -> Verdict:
    if found.failing or found.silent:
        _see_database(found, world, deadline)
    if found.failing:
        return _failing(found)
    if found.missing:
        reason = f"not there: {_listed(found.missing)}"
        return Verdict("function", "incomplete", reason, found.evidence, tuple(sorted(found.missing)), _ask(found))
    if found.silent:
        return _silent(found)
    return _well(found)


def _failing(found: _Found) -> Verdict:
    """Say of functions that fail whether the backup is another than what is deployed: else deploying it changes nothing."""
    files = found.files
    same = [slug for slug in found.failing if files.is_as_in_backup(slug)]
    found.evidence["sameAsBackup"] = same
    reason = f"failing: {_listed(found.failing)}"
    if found.missing:
        reason += f"; not there: {_listed(found.missing)}"
    if same:
        reason += f"; deploying the backup changes nothing of {', '.join(figures.first(same, _NAMED))}: the files are the same"
    elsewhere = files.shared and any(slug not in files.changed for slug in found.failing)
    mendable = sorted({*found.failing, *found.missing} - {*same}) or same
    return Verdict(
        "function", "failing", reason, found.evidence, () if elsewhere else tuple(mendable), _ask(found, useless=mendable == same)
    )


def _ask(found: _Found, *, useless: bool = False) -> str | None:
    """Say why a person has to decide: it may be meant as it is, or the cause lies elsewhere."""
    asks = ["deploying the backup would change nothing: the files are the same"] if useless else []
    if found.files.removed:
        asks.append(f"whether {', '.join(figures.first(found.files.removed, _NAMED))} was removed on purpose can't be told")
    if found.failing and found.evidence.get("database", _ANSWERS) != _ANSWERS:
        asks.append("the database does not answer, and functions that need it can't be well before it does")
    return "; ".join(asks) or None


def _silent(found: _Found) -> Verdict:
    if found.answers and all(answer.status is None for answer in found.answers):
        reason = f"no function is reached: {next(iter(found.silent.values()))}"
        return Verdict("function", "unreachable", reason, found.evidence, (), _RUNTIME)
    return Verdict("function", "slow", f"no answer in time: {_listed(found.silent)}", found.evidence, tuple(found.silent))


def _well(found: _Found) -> Verdict:
    files, answers = found.files, found.answers
    if answers is None:
        said = [f"{figures.count(len(files.present), 'function')} are there, and were not called"]
    else:
        answering = sum(answer.outcome == "answers" for answer in answers)
        said = [f"{answering} of {figures.count(len(answers), 'function')} answer"]
        if untold := [answer.slug for answer in answers if answer.outcome == "can't be told"]:
            said.append(f"of {', '.join(figures.first(untold, _NAMED))} it can't be told")
        if not_called := found.evidence.get("notCalled"):
            said.append(f"not called, for want of time: {', '.join(figures.first(not_called, _NAMED))}")
    if changed := [*files.changed, *(["what they share"] if files.shared else [])]:
        said.append(f"changed since the newest good backup: {', '.join(figures.first(changed, _NAMED))}")
    return Verdict("function", "healthy", "; ".join([*said, *files.notes]), found.evidence)


def _see_database(found: _Found, world: World, deadline: Deadline) -> None:
    """Note where the database does not answer: functions that need it can't be well either."""
    if world.settings.database_url is None:
        return
    try:
        with looking(world.database(), deadline, statement_seconds=1):
            found.evidence["database"] = _ANSWERS
    except HoldfastError as error:
        found.evidence["database"] = f"does not answer: {error.reason or error.message}"


def _listed(reasons: dict[str, str]) -> str:
    return "; ".join(figures.first([f"{slug} ({reason})" for slug, reason in reasons.items()], _NAMED))
