"""What follows every job: one look at how things stand, told to everybody who wants to know it.

Nothing here harms the job, which has ended already: what can't be told is logged, and the next job tells it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError

from holdfast.alarms import Ended, Judgement, judge
from holdfast.audit import AuditBook
from holdfast.look import look_over
from holdfast.overview import Overview, Recorded
from holdfast.reachability import judge_reachability
from holdfast.recovery.untested import judge_tests
from holdfast.repository import Repository
from orchestration.dashboard import show_dashboard
from orchestration.heartbeat import heartbeat_judgement, tell_heartbeat
from orchestration.job import Job
from orchestration.looking import remembered, with_open
from orchestration.metrics_file import write_metrics
from orchestration.next_runs import Json, next_runs
from orchestration.notifying import tell_alarms
from orchestration.recovery.trouble_book import trouble_judgement

if TYPE_CHECKING:
    from prefect.client.orchestration.routes import ServerRoutes

_OPENED_BY_LOOKING = frozenset({"key", "repository"})
"""The alarms that a job which only looks may open when it fails, and so has to show as mended when it does not."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Aftermath:
    """A job that has ended, and how things stand after it. `repository` is None where it could not be opened.

    `closed` is the dead work that it found and closed.
    """

    job: Job
    repository: Repository | None
    error: BaseException | None = None
    closed: Sequence[str] = ()

    @cached_property
    def has_news(self) -> bool:
        """Whether things may stand otherwise than before. After a job that only looked they do so seldom."""
        return not self._only_looked or bool(self.closed) or not _OPENED_BY_LOOKING.isdisjoint(self._opened)

    @cached_property
    def overview(self) -> Overview:
        """Look at everything, once. A replica that stands in for the primary says nothing of the primary."""
        repository = self.repository
        if repository is not None and repository.standing_in is not None:
            repository = None
        return look_over(self.job.settings, repository, self._recorded, next_runs(ask_prefect, self.job.settings.target))

    @cached_property
    def judgement(self) -> Judgement:
        """Judge what there is to be alarmed about."""
        ended = None if self._only_looked else Ended(self.job.kind, self.job.type, self.error)  # a plan mends nothing
        threshold, full = self.job.settings.failure_notification_threshold, self.job.settings.storage_full_percent
        found = judge(self.overview, ended, threshold=threshold, full_percent=full)
        if self.job.kind == "monitor":
            found |= judge_reachability(self.overview, self.error) | trouble_judgement(self.job.settings)
        return found | judge_tests(self.overview, self._opened) | heartbeat_judgement(self.job.settings)

    @cached_property
    def alarms(self) -> Judgement:
        """Join what was judged now with the alarms that are open: what could not be judged now is still so."""
        return with_open(self.judgement, self._opened)

    @property
    def _only_looked(self) -> bool:
        return self.job.only_looks and self.error is None

    @cached_property
    def _opened(self) -> Judgement:
        return remembered(ask_prefect, self.job.settings.target)

    def _recorded(self, backup_ids: Sequence[str]) -> Recorded | None:
        rows = self.job.mirror.dashboard()
        if rows is None:
            return None
        mirror, days = self.job.mirror, self.job.settings.plan_test_days
        return Recorded.of(rows, mirror.metadata(backup_ids), mirror.plan_tests(days))


def ask_prefect(path: str, body: Json) -> Any:
    """Ask as the run itself does, with whatever login and certificates Prefect is set to. Raises OSError."""
    try:
        with get_client(sync_client=True) as client:
            return client.request("POST", cast("ServerRoutes", path), json=body).json()
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        raise OSError(f"the Prefect server can't be asked: {type(error).__name__}") from error


def mirror_audit(after: Aftermath) -> None:
    """Give the repository the lines of the audit log that it lacks, and the log what waits."""
    book = AuditBook(after.job.settings)
    book.take_in()
    if after.repository is not None and after.repository.standing_in is None:
        book.mirror(after.repository)


TELLERS: tuple[Callable[[Aftermath], None], ...] = (mirror_audit, write_metrics, show_dashboard, tell_alarms, tell_heartbeat)
"""Who tells of it, in this order."""


def tell_how_things_stand(
    job: Job, repository: Repository | None, error: BaseException | None = None, closed: Sequence[str] = ()
) -> None:
    """Tell everybody; who fails at it hinders nobody else. Where there is no news, only the audit log is seen to."""
    after = Aftermath(job, repository, error, closed)
    for tell in TELLERS:
        try:
            if tell is mirror_audit or after.has_news:
                tell(after)
        except Exception as failure:  # noqa: BLE001  the job has ended, and whatever happens here must not change how
            _log.warning("%s could not be done: %s", tell.__name__, failure)
