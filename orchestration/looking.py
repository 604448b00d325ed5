"""A look back at the last days, for whoever asks outside of a run, and the parts of a look that others take, too.

Nothing is started, and Prefect is not imported. What can't be asked is told as not seen, with why; only what is wrong with the
settings is raised.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

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
    from holdfast.settings import Settings

_MOST_VARIABLES = 200
_log = logging.getLogger(__name__)


def look_back(settings: Settings, days: int) -> Period:
    """Look at how things stand, and at what happened in the last days. Each part of the system may be down."""
    settings = in_force_if_known(settings)
    before, ask = timedelta(days=days), prefect_to_ask(settings)
    due = {} if ask is None else next_runs(ask, settings.target)
    kept = None
    try:
        with closing(read_repository(settings)) as repository:
            overview = look_over(settings, repository, recorded_in(settings), due)
            kept = kept_since(repository, overview.at - before, overview)
    except HoldfastError as error:
        _log.warning("the repository can't be looked at now: %s", error.what_and_why)
        overview = look_over(settings, None, recorded_in(settings), due)
    since, judgement = overview.at - before, with_open(judged(overview, settings), remembered(ask, settings.target))
    planned = {} if ask is None else all_next_runs(ask, settings.target)
    return Period(since, overview, judgement, kept, _logged(settings, since), planned)


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
