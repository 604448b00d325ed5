"""Backups and jobs as text, from their documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli import figures, output
from holdfast.documents import Document

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_NAMES_SHOWN = 20
_STYLES = {
    "completed": "green",
    "failed": "red",
    "damaged": "red",
    "gone": "yellow",
    "cancelled": "yellow",
    "running": "cyan",
    "pending": "cyan",
}


def when(value: Any) -> datetime | None:
    """Read a time of a document: a flow's is text, the repository's is a time."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def table(documents: Sequence[Document]) -> RenderableType:
    """Show jobs as one table; the status of a backup is how far it is proven."""
    figures_of = ("Read", "Added", *(["Copies"] if any("copies" in job for job in documents) else []))
    names = ("Job", "Type", "Made (UTC)", "Status", *figures_of)
    shown = output.table(*names, right=figures_of, whole=("Job", "Type", "Status", *figures_of))
    for job in documents:
        word = job["verifiedLevel"] if job["status"] == "completed" and job["verifiedLevel"] else job["status"]
        word += ", pinned" if job.get("pinned") else ""
        made = figures.minute(when(job["startedAt"]))
        read, added = figures.size(job["sizeBytes"]), figures.size(job["storedBytes"])
        copies = [str(len(job["copies"]))] if "copies" in job else []
        shown.add_row(job["jobId"], job["type"], made, status(job["status"], word), read, added, *copies)
    return shown


def status(name: str, shown: str | None = None) -> Text:
    """Show a status, or another word for it, in its colour."""
    from rich.text import Text

    return Text(shown or name, style=_STYLES.get(name, ""))


def headline(word: str, rest: str, *, good: bool | None = True) -> Text:
    """Make the first line of an answer: a mark (None: neither good nor bad), what it is about, how it went."""
    from rich.text import Text

    mark = {True: ("✓ ", "green"), False: ("✗ ", "red"), None: ("– ", "dim")}[good]
    return Text.assemble(mark, (word, "bold"), f" {rest}")


def backup_text(job: Document) -> Iterator[RenderableType]:
    """Tell what a backup run made."""
    if job["status"] != "completed":
        yield headline(str(job["jobId"]), f"{job['type']} {job['status']}", good=False)
        yield f"  {job['error']}"
        return
    duration = took(job)
    yield headline(str(job["jobId"]), f"{job['type']} {job['status']}" + (f" in {duration}" if duration else ""))
    yield output.facts(*_backup_facts(job))


def _backup_facts(job: Document) -> Iterator[tuple[str, str | None]]:
    read, kept = job["sizeBytes"], job["storedBytes"]
    yield "  Read", figures.size(read)
    yield "  Added", f"{figures.size(kept)}  ({figures.share(kept, read)})" if kept else figures.size(kept)
    yield "  Proven to", job["verifiedLevel"]
    yield "  Pinned", _pinned_text(job.get("pinned"))
    yield "  Checksum", job["checksum"]
    yield "  Kept in", job["location"]
    for label, name in (("  Left out", "leftOut"), ("  Withheld", "withheld")):
        yield label, some(job.get(name))
    yield "  Copies", ", ".join(str(copy["storage"]) for copy in job["copies"]) if "copies" in job else None


def _pinned_text(pin: Document | None) -> str | None:
    if pin is None:
        return None
    if pin["damaged"]:
        return f"its pin is damaged: {pin['damaged']}; pin it again"
    return f"by {pin['by']} on {figures.minute(when(pin['at']))}" + (f": {pin['reason']}" if pin["reason"] else "")


def some(names: Sequence[str] | None) -> str | None:
    """Write names one a line, the first of them where they are many."""
    more = len(names or ()) - _NAMES_SHOWN
    return "\n".join([*(names or ())[:_NAMES_SHOWN], *([f"and {more:,} more; --json has all"] if more > 0 else [])]) or None


def took(job: Document) -> str | None:
    """Tell how long a job took, where that is known."""
    started, ended = when(job["startedAt"]), when(job["completedAt"])
    return figures.duration((ended - started).total_seconds()) if started and ended else None
