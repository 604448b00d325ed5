"""`holdfast pin` and `holdfast unpin`: keep a backup whatever its age, with the engine alone."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import jobs, output
from cli.app import Commands
from cli.audited import audited
from cli.session import repository, repository_settings
from holdfast import documents
from holdfast.errors import NotFoundError

commands = Commands("")

JobId = Annotated[str, typer.Argument(metavar="JOB_ID", help="Which backup; 'holdfast list' shows them.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why it has to stay, for those who come after you.")]


@commands.command(rich_help_panel="Back up and bring back")
def pin(job_id: JobId, reason: Reason = "") -> None:
    """Keep a backup whatever its age, until it is unpinned. No clean-up deletes it, here or in a replica."""
    from contextlib import closing

    loaded = repository_settings()
    with audited("backup.pin", loaded, job_id, reason=reason or None), closing(repository(loaded)) as held:
        found = held.pin(job_id, reason)
    output.result(
        {"jobId": job_id, "pinned": documents.pinned(found)}, lambda: [jobs.headline(job_id, "is pinned: no clean-up deletes it")]
    )


@commands.command(rich_help_panel="Back up and bring back")
def unpin(job_id: JobId) -> None:
    """Let a backup go again when its time comes. Nothing is deleted by this."""
    from contextlib import closing

    loaded = repository_settings()
    with audited("backup.unpin", loaded, job_id), closing(repository(loaded)) as held:
        if not held.unpin(job_id):
            raise NotFoundError(f"{job_id} is not pinned", next_step="'holdfast list' marks what is")
    output.result({"jobId": job_id, "pinned": None}, lambda: [jobs.headline(job_id, "is not pinned any more")])
