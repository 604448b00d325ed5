"""A look at how things stand, for whoever asks outside of a run: the API, and `holdfast report`. Nothing is started for it.

Prefect is not imported. What can't be asked is told as not seen, with why; only what is wrong with the settings is raised.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from holdfast.alarms import Judgement, judge
from holdfast.errors import HoldfastError
from holdfast.look import AskRecorded, look_over
from holdfast.open_alarms import PREFIX, alarms_in, still_open
from holdfast.opening import catalog_if_running, read_repository
from holdfast.overview import Overview, Recorded
from holdfast.period import Logged, Period, kept_since, logged_since
from holdfast.recovery.untested import judge_tests
from orchestration.next_runs import Ask, all_next_runs, next_runs, over_http
from orchestration.server import prefect_address

if TYPE_CHECKING:
    from holdfast.repository import Repository
    from holdfast.settings import Settings

T = TypeVar("T")
_MOST_VARIABLES = 200
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """How things stand, and what there is to be alarmed about. `unseen` is why the repository could not be looked at."""

    overview: Overview
    judgement: Judgement
    unseen: HoldfastError | None = None


def look(settings: Settings) -> Look:
    """Look at repository, catalog and schedules once; each of them may be down. It waits for a storage as long as that takes."""
    return _look(in_force_if_known(settings), lambda _repository, _overview: None)[0]


def look_back(settings: Settings, days: int) -> Period:
    """Look in the same way at what happened in the last days, too."""
    settings = in_force_if_known(settings)
    before = timedelta(days=days)
    found, kept = _look(settings, lambda repository, overview: kept_since(repository, overview.at - before, overview))
    since, ask = found.overview.at - before, prefect_to_ask(settings)
    return Period(
        since,
        found.overview,
        found.judgement,
        kept,
        _logged(settings, since),
        {} if ask is None else all_next_runs(ask, settings.target),
    )


def _look(settings: Settings, more: Callable[[Repository, Overview], T]) -> tuple[Look, T | None]:
    """Look, and let `more` look into the open repository; it does not where that can't be opened."""
    ask = prefect_to_ask(settings)
    due = {} if ask is None else next_runs(ask, settings.target)
    unseen, found = None, None
    try:
        with closing(read_repository(settings)) as repository:
            overview = look_over(settings, repository, recorded_in(settings), due)
            found = more(repository, overview)
    except HoldfastError as error:
        _log.warning("the repository can't be looked at now: %s", error.what_and_why)
        overview, unseen = look_over(settings, None, recorded_in(settings), due), error
    return Look(overview, with_open(judged(overview, settings), remembered(ask, settings.target)), unseen), found


def _logged(settings: Settings, since: datetime) -> Logged | None:
    try:
        with catalog_if_running(settings) as catalog:
            return None if catalog is None else logged_since(catalog, since)
    except HoldfastError as error:
        _log.warning("the catalog can't be asked now: %s", error.what_and_why)
        return None


def judged(overview: Overview, settings: Settings) -> Judgement:
    """Judge a look that no job led to."""
    threshold, full = settings.failure_notification_threshold, settings.storage_full_percent
    return judge(overview, None, threshold=threshold, full_percent=full) | judge_tests(overview)


def in_force_if_known(settings: Settings) -> Settings:
    """Read the settings again with what the catalog has kept, where that runs and answers."""
    from holdfast.settings import load_settings

    try:
        with catalog_if_running(settings) as catalog:
            return settings if catalog is None else load_settings(catalog)
    except HoldfastError as error:
        _log.warning("the stored configuration can't be read now, so it has no effect: %s", error.what_and_why)
        return settings


def recorded_in(settings: Settings) -> AskRecorded:
    """Return what reads from the catalog, where that runs, what only the catalog knows."""

    def recorded(backup_ids: Sequence[str]) -> Recorded | None:
        try:
            with catalog_if_running(settings) as catalog:
                if catalog is None:
                    return None
                rows = {job_id: row for job_id in backup_ids if (row := catalog.job(job_id)) is not None}
                known = {job_id: row.metadata for job_id, row in rows.items()}
                return Recorded.of(catalog.dashboard(), known, catalog.plans.tests(settings.plan_test_days))
        except HoldfastError as error:
            _log.warning("the catalog can't be asked now: %s", error.what_and_why)
            return None

    return recorded


def remembered(ask: Ask | None, target: str | None) -> Judgement:
    """Return the alarms that are open, which the Prefect server keeps; none where it can't be asked."""
    if ask is None:
        return {}
    try:
        found = ask("/variables/filter", {"variables": {"name": {"like_": PREFIX}}, "limit": _MOST_VARIABLES})
        opened, _ = alarms_in(found, target)
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.info("the open alarms can't be asked now: %s", type(error).__name__)
        return {}
    return {one.alarm.key: one.alarm for one in still_open(opened)}


def with_open(judgement: Judgement, opened: Judgement) -> Judgement:
    """Join what was judged now with the alarms that are open: what was not judged now is still so, and began when it did."""
    judged = {key: alarm and (opened.get(key) or alarm) for key, alarm in judgement.items()}
    return {**opened, **judged}


def prefect_to_ask(settings: Settings) -> Ask | None:
    """Return what asks the Prefect server that answers now; None where none does."""
    address = prefect_address(settings)
    return None if address is None else over_http(address)
