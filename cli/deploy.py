"""`holdfast deploy`: what prefect.yaml declares, on any Prefect server; for the one installation, or for a target of a fleet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import figures, jobs, logs, output, progress
from cli.app import Commands
from cli.audited import audited
from cli.session import settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from holdfast.settings import Settings
    from orchestration.registering import Place, Registered

commands = Commands("")

Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="Deploy for one of many databases: a set of its own, under this name.",
        show_default=False,
    ),
]
Pool = Annotated[
    str | None,
    typer.Option(
        "--pool", metavar="POOL", help="Work pool, of any type; 'holdfast', of processes, otherwise.", show_default=False
    ),
]
JobVariables = Annotated[
    list[str] | None,
    typer.Option(
        "--job-variable", metavar="KEY=VALUE", help="What the pool's infrastructure is told: image=registry/holdfast:1.",
        show_default=False,
    ),
]  # fmt: skip
Code = Annotated[
    Path | None,
    typer.Option("--code", metavar="DIR", help="The project's folder on the workers, or in the image.", show_default=False),
]
Remove = Annotated[bool, typer.Option("--remove", help="Take these deployments off the server; blocks and backups stay.")]


@commands.command(rich_help_panel="Run")
def deploy(
    target: Target = None, pool: Pool = None, job_variable: JobVariables = None, code: Code = None, *, remove: Remove = False
) -> None:
    """Register everything that runs by itself, with its schedules.

    It goes onto the Prefect server of PREFECT_API_URL, else onto the home's own. What is missing is made as 'init' makes it.
    Running it again renews it.
    """
    base = settings()
    from orchestration.server import ensure_prefect

    with progress.waiting("Waiting for the Prefect server"):
        address = ensure_prefect(base)
    logs.keep_prefect_quiet()
    from orchestration.fleet import of_target

    with of_target(base, target):
        loaded = settings()
        document = {"prefect": {"url": address}, "target": loaded.target}
        with audited("installation.undeploy" if remove else "installation.deploy", loaded, loaded.target, pool=pool):
            document |= _removed(loaded) if remove else _deployed(loaded, pool, job_variable or [], code)
        if remove:
            output.result(document, lambda: _removed_text(document))
        else:
            output.result(document, lambda: _text(document))


def _deployed(loaded: Settings, pool: str | None, job_variables: list[str], code: Path | None) -> dict[str, Any]:
    from orchestration.fleet import install
    from orchestration.work_pool import pool_has_worker

    with progress.waiting("Registering the deployments"):
        place = _place(loaded, pool, job_variables, code)
        made = install(loaded, place)
    return {
        "home": loaded.home,
        "pool": place.pool,
        "workerOnline": pool_has_worker(place.pool),
        "repository": {"location": made.location, "created": made.created},
        "blocks": made.blocks,
        "deployments": [_document(one) for one in made.deployments],
    }


def _place(loaded: Settings, pool: str | None, job_variables: list[str], code: Path | None) -> Place:
    from orchestration.declared import ROOT
    from orchestration.deployments import template_of
    from orchestration.fleet import code_folder, environment
    from orchestration.fleet import job_variables as read
    from orchestration.registering import Place
    from orchestration.work_pool import WORK_POOL

    name = pool or WORK_POOL
    return Place(
        pool=name,
        job_variables=read(job_variables, template_of(name)),
        environment=environment(loaded) if loaded.target else None,
        code=code_folder(code, ROOT),
    )


def _document(one: Registered) -> dict[str, Any]:
    return {
        "name": one.name,
        "id": str(one.id),
        "created": one.is_new,
        "intervalHours": one.interval_hours,
        "cron": one.cron,
        "active": one.active,
    }


def _removed(loaded: Settings) -> dict[str, Any]:
    from orchestration.deployments import remove

    with progress.waiting("Removing the deployments"):
        return {"removed": remove(loaded.target)}


def _removed_text(document: dict[str, Any]) -> Iterator[RenderableType]:
    names = document["removed"]
    yield jobs.headline("Removed" if names else "Nothing was there", f"on {document['prefect']['url'].removesuffix('/api')}")
    yield output.facts(
        ("  Deployments", ", ".join(names) or None), ("  Still there", "the blocks, the repository, the catalog, and past runs")
    )


def _text(document: dict[str, Any]) -> Iterator[RenderableType]:
    repository = document["repository"]
    yield jobs.headline("Deployed", f"on {document['prefect']['url'].removesuffix('/api')}")
    yield output.facts(
        ("  Target", document["target"]),
        ("  Work pool", document["pool"]),
        ("  Repository", f"{repository['location']} ({'made now' if repository['created'] else 'was there'})"),
        ("  Blocks", ", ".join(document["blocks"])),
    )
    shown = output.table("Deployment", "Every", "Now", whole=("Deployment",))
    for one in document["deployments"]:
        shown.add_row(one["name"], _every(one), {True: "on", False: "off", None: "on demand"}[one["active"]])
    yield shown
    if not document["workerOnline"]:
        yield output.facts(
            ("Next", f"prefect worker start --pool {document['pool']}, for no worker takes runs from this pool yet")
        )


def _every(one: dict[str, Any]) -> str:
    """Tell an interval in one unit; a schedule by the calendar as it is written."""
    hours = one["intervalHours"]
    return figures.span(timedelta(hours=hours)) if hours else one["cron"] or "–"
