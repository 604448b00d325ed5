"""What a command changes, in the audit log: who did it, to what, and how it ended. Nothing fails, and no server starts, for that.

A command that needs only the repository leaves its entry in the home where the catalog's address can't be known.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from holdfast.audit import Outcome
    from holdfast.audit.entry import Value
    from holdfast.settings import Settings


@dataclass
class Doing:
    """What is being done; what is only known later is added inside the block."""

    action: str
    subject: str | None = None
    details: dict[str, Value] = field(default_factory=dict)


@contextmanager
def audited(
    action: str, loaded: Settings, subject: str | None = None, *, announced: bool = False, **details: Value
) -> Iterator[Doing]:
    """Have what happens inside in the audit log, once it has ended; `announced`: and before it begins, for what runs long."""
    doing = Doing(action, subject, details)
    if announced:
        _write(loaded, doing, "accepted")
    try:
        yield doing
    except BaseException as error:
        _write(loaded, doing, _outcome(error), error)
        raise
    _write(loaded, doing, "done")


def note_if_set_up(action: str, subject: str, **details: Value) -> None:
    """Write down what was done, where there is an installation already: a first key is made before anything else."""
    from holdfast.errors import HoldfastError
    from holdfast.settings import load_settings

    try:
        loaded = load_settings()
    except HoldfastError:
        return
    if loaded.home.is_dir():
        _write(loaded, Doing(action, subject, details), "done")


def _write(loaded: Settings, doing: Doing, outcome: Outcome, error: BaseException | None = None) -> None:
    from cli import output
    from holdfast.audit import AuditBook, Entry
    from holdfast.audit.entry import code_of, this_host, this_user

    details = {name: output.masked(value) if isinstance(value, str) else value for name, value in doing.details.items()}
    entry = Entry(
        doing.action,
        this_user(),
        this_host(),
        outcome,
        None if doing.subject is None else output.masked(doing.subject),
        code_of(error),
        {name: value for name, value in details.items() if value is not None},
    )
    known, catalog_known = _whole(loaded)
    AuditBook(known, asks_catalog=catalog_known).write(entry)


def _whole(loaded: Settings) -> tuple[Settings, bool]:
    """Read all settings where only those of the repository were read; where the others are wrong, nobody knows the catalog."""
    from cli.repository_settings import RepositorySettings
    from holdfast.errors import HoldfastError
    from holdfast.settings import load_settings

    if not isinstance(loaded, RepositorySettings):
        return loaded, True
    try:
        return load_settings(), True
    except HoldfastError:
        return loaded, False


def _outcome(error: BaseException) -> Outcome:
    from holdfast.audit.entry import outcome_of

    if isinstance(error, typer.Exit):
        return "failed" if error.exit_code else "done"
    return "cancelled" if isinstance(error, typer.Abort) else outcome_of(error)
