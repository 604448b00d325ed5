"""The dashboard in the Prefect UI: one page of how things stand, what is wrong first. Each run puts it up to date.

A run leaves a page of its own, the newest few of which are kept. What only watches, and runs every few minutes, writes the newest
page again instead. A page that can't be written harms nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort

from holdfast import figures, history_picture
from holdfast.alarms import how_many, to_see_to
from holdfast.markup import plain
from orchestration.masking import masked

if TYPE_CHECKING:
    from prefect.client.schemas.objects import Artifact

    from holdfast.alarms import Alarm, Judgement
    from holdfast.overview import Overview, TypeOverview
    from orchestration.aftermath import Aftermath

KEPT_PAGES = 20
_DROPPED_AT_ONCE = 5
_WATCHES = "monitor"
Cell = Callable[["TypeOverview"], str]


def show_dashboard(after: Aftermath) -> None:
    """Show how things stand after a job."""
    key, title = dashboard_key(after.overview.target), masked(headline(after.overview, after.alarms))
    text = masked(page(after.overview, after.alarms))
    with get_client(sync_client=True) as client:
        if after.job.kind == _WATCHES and (newest := _pages(client, key, limit=1)):
            # The client's own way to update one would put the whole page into an event, too.
            body = ArtifactUpdate(data=text, description=title).model_dump(mode="json", exclude_unset=True)
            client.request("PATCH", "/artifacts/{id}", json=body, path_params={"id": newest[0].id})
            return
        create_markdown_artifact(markdown=text, key=key, description=title)
        for old in _pages(client, key, offset=KEPT_PAGES, limit=_DROPPED_AT_ONCE):
            client.delete_artifact(old.id)


def dashboard_key(target: str | None) -> str:
    """Name the artifact; each target of a fleet has its own."""
    return f"{target or 'holdfast'}-dashboard"


def headline(overview: Overview, judgement: Judgement) -> str:
    """Say in one line how things stand."""
    alarms = to_see_to(judgement)
    if alarms:
        return f"{_state(overview, alarms)}: {'; '.join(alarm.title for alarm in alarms)}"
    return _state(overview, alarms)


def page(overview: Overview, judgement: Judgement) -> str:
    """Write the page, in Markdown."""
    alarms = to_see_to(judgement)
    lines = [
        f"# {'Backups' if overview.target is None else f'Backups of {overview.target}'}",
        "",
        *_opening(overview, alarms),
        "",
    ]
    for alarm in alarms:
        lines += [*_alarm(alarm), ""]
    lines += [*_table(overview), ""]
    if any(one.history for one in overview.types):
        lines += ["## Size and duration", "", f"![Size and duration]({history_picture.data_uri(overview.types)})", ""]
    lines += [*_recovery(overview), "", *_storage(overview)]
    return "\n".join(lines)


def _state(overview: Overview, alarms: Sequence[Alarm]) -> str:
    if alarms:
        return how_many(alarms)
    if not overview.seen:
        return "The repository could not be looked at"
    return "All is well" if any(one.newest for one in overview.types if one.on) else "There is no backup yet"


def _opening(overview: Overview, alarms: Sequence[Alarm]) -> Iterator[str]:
    mark = "✗" if alarms or not overview.seen else "✓"
    yield f"{mark} **{_state(overview, alarms)}**, as of {figures.minute_utc(overview.at)}"
    if not overview.recorded:
        yield ""
        yield "The catalog does not answer: failures and copies are not known."


def _alarm(alarm: Alarm) -> Iterator[str]:
    since = f", since {figures.minute_utc(alarm.since)}" if alarm.since else ""
    yield f"### {plain(alarm.title)}{since}"
    yield ""
    yield f"{plain(alarm.what)}." + (f" Last good backup: `{alarm.last_good}`." if alarm.last_good else "")
    yield ""
    yield f"**Next:** {plain(alarm.next_step)}"


def _table(overview: Overview) -> Iterator[str]:
    """One column a type, one row a fact; a fact that nobody has is left out."""
    yield "| | " + " | ".join(one.type for one in overview.types) + " |"
    yield "| --- |" + " --- |" * len(overview.types)
    for name, cell in _cells(overview):
        values = [plain(cell(one)) for one in overview.types]
        if any(values):
            yield f"| **{name}** | " + " | ".join(value or "–" for value in values) + " |"


def _cells(overview: Overview) -> Iterator[tuple[str, Cell]]:
    now = overview.at
    yield "State", _type_state
    yield "Last backup", lambda one: figures.age(one.newest.snapshot_at, now=now) if one.newest else ""
    yield "Next run", lambda one: figures.until(one.next_run, now=now) if one.next_run else ""
    yield "Size", lambda one: figures.size(one.newest.size_bytes) if one.newest else ""
    yield "Added", lambda one: figures.size(one.newest.stored_bytes) if one.newest else ""
    yield "Took", lambda one: figures.duration(one.newest.seconds) if one.newest else ""
    yield "Proven to", lambda one: (one.newest.level or "nothing") if one.newest else ""
    yield "RPO (allowed)", lambda one: _rpo(one) if one.newest else ""
    yield "RTO", lambda one: _rto(one) if one.newest else ""
    yield "Copies", lambda one: "" if one.copies is None else str(one.copies)
    yield "Backups", lambda one: str(one.count) if one.count else ""
    yield "Last week", lambda one: _week(one, known=overview.recorded)


def _type_state(one: TypeOverview) -> str:
    if not one.on:
        return "off"
    if one.newest_is_bad:
        return "✗ the newest is bad"
    if one.failures.in_a_row:
        return f"✗ failed {one.failures.in_a_row} in a row"
    if one.newest is None:
        return "✗ none yet" if one.overdue else "none yet"
    if one.overdue:
        return "✗ overdue"
    return "✗ RPO missed" if one.rpo_missed else "✓ well"


def _rpo(one: TypeOverview) -> str:
    said = "none proven" if one.rpo is None else figures.span(one.rpo)
    return said if one.rpo_target is None or not one.on else f"{said} ({figures.span(one.rpo_target)})"


def _rto(one: TypeOverview) -> str:
    return "not measured yet" if one.rto_seconds is None else figures.duration(one.rto_seconds)


def _week(one: TypeOverview, *, known: bool) -> str:
    made, failed = one.failures.completed_in_week, one.failures.failed_in_week
    return f"{made} made, {failed} failed" if known and (made or failed) else ""


def _recovery(overview: Overview) -> Iterator[str]:
    """Say how long coming back would take, and what that was measured on."""
    yield "## Coming back"
    yield ""
    target = overview.rto_target_seconds
    whole = "not measured yet" if overview.rto_seconds is None else figures.duration(overview.rto_seconds)
    yield f"- RTO, all types one after the other: **{whole}**" + (f", allowed: {figures.duration(target)}" if target else "")
    for one in overview.types:
        if one.restore is not None:
            how = "a drill" if one.restore.drill else "a verification"
            yield (
                f"- {one.type}: {figures.duration(one.restore.seconds)} for {figures.size(one.restore.size_bytes)}, "
                f"measured by {how} at {figures.minute_utc(one.restore.at)}"
            )
    if overview.not_measured:
        yield f"- not measured yet: {', '.join(overview.not_measured)}"


def _storage(overview: Overview) -> Iterator[str]:
    storage = overview.storage
    if storage is None:
        return
    yield "## Storage"
    yield ""
    yield f"`{storage.location}`"
    yield ""
    if storage.used_percent is not None:
        blocks = round(storage.used_percent / 4)
        bar = "█" * blocks + "░" * (25 - blocks)
        yield f"- Space: `{bar}` {storage.used_percent:g} % of {figures.size(storage.capacity_bytes)} used"
    yield (
        f"- Dedup ratio: **{figures.ratio(storage.dedup_ratio)}** ({figures.size(storage.read_bytes)} read, "
        f"{figures.size(storage.stored_bytes)} added by the backups that are there)"
    )


def _pages(client: SyncPrefectClient, key: str, *, limit: int, offset: int = 0) -> list[Artifact]:
    """Return pages that there are, the newest first."""
    ours = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
    return client.read_artifacts(artifact_filter=ours, sort=ArtifactSort.CREATED_DESC, limit=limit, offset=offset)
