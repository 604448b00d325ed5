"""Clean up: what the rules of retention let go is planned, written down, forgotten and deleted, here and in the replicas."""

from __future__ import annotations

from prefect import flow
from prefect.utilities.annotations import quote

from holdfast.replica_cleanup import ReplicaOutcome
from orchestration.cleanup import Cleaning, completed
from orchestration.job import Job
from orchestration.run_names import named
from orchestration.tasks import outcomes, readers, second_net, step
from orchestration.working import at_work, replicate_from


@flow(
    name="cleanup",
    flow_run_name=named("clean up", "cleanup"),
    task_runner=readers(),
    timeout_seconds=second_net("dump_time_limit_minutes"),
    persist_result=False,
)
def cleanup(
    *,
    dry_run: bool = False,
    yes: bool = False,
    replicas: list[str] | None = None,
    job_id: str | None = None,
    storage: str = "holdfast-storage",
    key: str = "holdfast-key",
) -> quote:
    """Forget the backups that the rules let go, delete what nobody needs then, and old rows of the catalog.

    The same rules go for the replicas of the settings, or for these. `dry_run` tells the plan and changes nothing.
    `yes` lets go at once what would otherwise wait for a day, because it is most of the good backups of a type.
    The document is quoted: it names every backup, and Prefect would look for a future in each word of it.
    """
    job = Job("cleanup", "cleanup", job_id, recorded=not dry_run)
    with at_work(job, replicate_from(storage, key)) as (_, source):
        work = Cleaning(job, source, replicas, dry_run=dry_run, yes=yes)
        with work.turn():
            with work.deciding():
                plan(work)
                if not dry_run:
                    write_plan(work)
                    forget(work)
            if not dry_run:
                prune(work)
            done = outcomes({name: clean_replica.submit(work, name) for name in work.replicas})
            if not dry_run:
                drop_rows(work)
            return quote(completed(work, done))


@step("judge every backup")
def plan(work: Cleaning) -> int:
    """Decide what goes and what stays, and return how many go."""
    return len(work.cleanup.plan().doomed)


@step("write the plan down")
def write_plan(work: Cleaning) -> None:
    """Write into the repository what is about to be forgotten, and why."""
    work.cleanup.write_plan()


@step("forget what the plan names")
def forget(work: Cleaning) -> int:
    """Look at each backup once more and forget it, and return how many were."""
    return work.forget()


@step("delete what nobody needs")
def prune(work: Cleaning) -> int:
    """Delete the chunks that no backup needs any more, and return their size in bytes."""
    return work.prune()


@step("clean up {name}")
def clean_replica(work: Cleaning, name: str) -> ReplicaOutcome:
    """Apply the same rules to one replica."""
    return work.clean_replica(name)


@step("delete old rows")
def drop_rows(work: Cleaning) -> None:
    """Delete the catalog's rows of work that ended long ago."""
    work.drop_rows()
