"""What follows every job: one look at how things stand, told to everybody who wants to know it.

Nothing here harms the job, which has ended already: what can't be told is logged, and the next job tells it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from holdfast.alarms import Ended, Judgement, judge
from holdfast.overview import Overview, Recorded, look_over
from holdfast.repository import Repository
from orchestration.job import Job

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Aftermath:
    """A job that has ended, and how things stand after it. `repository` is None where it could not be opened."""

    job: Job
    repository: Repository | None
    error: BaseException | None = None

    @cached_property
    def overview(self) -> Overview:
        """Look at everything, once. A replica that stands in for the primary says nothing of the primary."""
        repository = self.repository
        if repository is not None and repository.standing_in is not None:
            repository = None
        return look_over(self.job.settings, repository, self._recorded)

    @cached_property
    def judgement(self) -> Judgement:
        """Judge what there is to be alarmed about."""
        ended = Ended(self.job.kind, self.job.type, self.error)
        return judge(self.overview, ended, threshold=self.job.settings.failure_notification_threshold)

    def _recorded(self, backup_ids: Sequence[str]) -> Recorded | None:
        rows = self.job.mirror.dashboard()
        return None if rows is None else Recorded.of(rows, self.job.mirror.metadata(backup_ids))


TELLERS: tuple[Callable[[Aftermath], None], ...] = ()
"""Who tells of it, in this order."""


def tell_how_things_stand(job: Job, repository: Repository | None, error: BaseException | None = None) -> None:
    """Tell everybody; who fails at it hinders nobody else."""
    after = Aftermath(job, repository, error)
    for tell in TELLERS:
        try:
            tell(after)
        except Exception as failure:  # noqa: BLE001  the job has ended, and whatever happens here must not change how
            _log.warning("%s could not be done: %s", tell.__name__, failure)
