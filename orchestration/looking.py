"""A look at how things stand, for whoever asks outside of a run: the API, and `holdfast report`. Nothing is started for it.

Prefect is not imported. What can't be asked is told as not seen, with why; only what is wrong with the settings is raised.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.alarms import Judgement, judge
from holdfast.errors import HoldfastError
from holdfast.opening import catalog_if_running, read_repository
from holdfast.overview import Overview, Recorded, look_over
from orchestration.next_runs import next_runs, over_http
from orchestration.server import prefect_address

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """How things stand, and what there is to be alarmed about. `unseen` is why the repository could not be looked at."""

    overview: Overview
    judgement: Judgement
    unseen: HoldfastError | None = None


def look(settings: Settings) -> Look:
    """Look at repository, catalog and schedules once; each of them may be down. It waits for a storage as long as that takes."""
    unseen: HoldfastError | None = None
    settings = in_force_if_known(settings)
    due = planned(settings)
    try:
        with closing(read_repository(settings)) as repository:
            overview = look_over(settings, repository, recorded_in(settings), due)
    except HoldfastError as error:
        _log.warning("the repository can't be looked at now: %s", error.what_and_why)
        overview, unseen = look_over(settings, None, recorded_in(settings), due), error
    return Look(overview, judge(overview, None, threshold=settings.failure_notification_threshold), unseen)


def in_force_if_known(settings: Settings) -> Settings:
    """Read the settings again with what the catalog has kept, where that runs and answers."""
    from holdfast.settings import load_settings

    try:
        with catalog_if_running(settings) as catalog:
            return settings if catalog is None else load_settings(catalog)
    except HoldfastError as error:
        _log.warning("the stored configuration can't be read now, so it has no effect: %s", error.what_and_why)
        return settings


def recorded_in(settings: Settings) -> Callable[[Sequence[str]], Recorded | None]:
    """Return what reads from the catalog, where that runs, what only the catalog knows."""

    def recorded(backup_ids: Sequence[str]) -> Recorded | None:
        try:
            with catalog_if_running(settings) as catalog:
                if catalog is None:
                    return None
                rows = {job_id: row for job_id in backup_ids if (row := catalog.job(job_id)) is not None}
                return Recorded.of(catalog.dashboard(), {job_id: row.metadata for job_id, row in rows.items()})
        except HoldfastError as error:
            _log.warning("the catalog can't be asked now: %s", error.what_and_why)
            return None

    return recorded


def planned(settings: Settings) -> dict[str, datetime]:
    """Tell when the next backup of each type is due, where a Prefect server answers."""
    address = prefect_address(settings)
    return {} if address is None else next_runs(over_http(address), settings.target)
