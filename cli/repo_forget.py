"""`holdfast repo forget`: give one backup up by hand, with the engine alone."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from cli import jobs, output
from cli.audited import audited
from cli.pins import JobId
from cli.session import repository, repository_settings

Yes = Annotated[bool, typer.Option("--yes", help="Do it: it can't be undone.")]
Force = Annotated[bool, typer.Option("--force", help="Also where nothing as good would be left.")]


def forget(job_id: JobId, *, yes: Yes = False, force: Force = False) -> None:
    """Give a backup up, whatever its age.

    Without --yes it only says what would be lost. The newest proven one of each source, the only good one, and what no newer good
    one replaces, go with --force only; what is pinned or locked does not go at all. Copies in replicas stay until a clean-up.
    """
    from holdfast.giving_up import give_up

    loaded = repository_settings()
    with audited("backup.forget", loaded, job_id, forced=force), closing(repository(loaded)) as held:
        loss = give_up(held, job_id, meant=yes, forced=force)
    known = loss.backup
    document = {
        "jobId": job_id,
        "type": known.type if known else None,
        "snapshotAt": known.at if known and known.damaged is None else None,
        "verifiedLevel": known.level if known else None,
        "forgotten": True,
    }
    text = "is forgotten; what only it needed goes with the next prune ('holdfast repo prune', or a clean-up)"
    output.result(document, lambda: [jobs.headline(job_id, text)])
