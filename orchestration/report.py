"""What the weekly report needs beside its flow: what happened, the page in Prefect's UI, and the message by the channels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from prefect.artifacts import create_markdown_artifact

from holdfast.errors import HoldfastError
from holdfast.messages import Message
from holdfast.opening import open_catalog
from holdfast.period import Logged, Period, kept_since, logged_since
from holdfast.period_document import document
from holdfast.period_report import markdown, text, title
from holdfast.repository import Repository
from orchestration.aftermath import Aftermath, ask_prefect
from orchestration.job import Job, time_text
from orchestration.masking import masked
from orchestration.next_runs import all_next_runs
from orchestration.notifying import send
from orchestration.rows import Json


@dataclass(frozen=True)
class Reporting:
    """A report on its way: a job, with the repository that it looks into."""

    job: Job
    repository: Repository
    days: int

    def look_back(self) -> Period:
        """Find out what happened in these days, and how things stand. Raises what the storage raises."""
        after = Aftermath(self.job, self.repository)
        since = after.overview.at - timedelta(days=self.days)
        due = all_next_runs(ask_prefect, self.job.settings.target)
        kept = kept_since(self.repository, since, after.overview)
        return Period(since, after.overview, after.alarms, kept, self._logged(since), due)

    def show(self, period: Period) -> None:
        """Leave it in Prefect's UI, where each report stays."""
        key = f"{period.overview.target or 'holdfast'}-report"
        create_markdown_artifact(markdown=masked(markdown(period)), key=key, description=masked(title(period)))

    def send(self, period: Period) -> list[Json]:
        """Send it by every channel, unless that is switched off, and say what each said. A channel that fails fails nothing."""
        settings = self.job.settings
        if not settings.enable_backup_notifications:
            return []
        try:
            answers = send(Message(masked(title(period)), masked(text(period))), settings)
        except HoldfastError as error:
            self.job.log.warning("the report could not be sent: %s", error)
            return []
        return [{"channel": one.channel, "ok": one.error is None, "error": one.error} for one in answers]

    def completed(self, period: Period, sent: list[Json]) -> Json:
        """Close the job, and return its document with all that was found."""
        found: Json = _with_texts(document(period))
        return self.job.completed({**found, "sent": sent})

    def _logged(self, since: datetime) -> Logged | None:
        try:
            with open_catalog(self.job.settings) as catalog:
                return logged_since(catalog, since)
        except HoldfastError as error:
            self.job.log.warning("the catalog can't be asked, so the report says less: %s", error)
            return None


def _with_texts(value: Any) -> Any:
    """Make what Prefect keeps of a document: times as text, and nothing that is secret."""
    match value:
        case datetime():
            return time_text(value)
        case str():
            return masked(value)
        case dict():
            return {name: _with_texts(one) for name, one in value.items()}
        case list():
            return [_with_texts(one) for one in value]
    return value
