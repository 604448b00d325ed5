"""What a restore is asked to do, and what it tells of what it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from holdfast.errors import NotProvenError, SettingsError
from holdfast.postgres.compare import ProofReport
from holdfast.postgres.globals import RolesMade
from holdfast.postgres.losses import LossReport

if TYPE_CHECKING:
    from holdfast.settings import Settings

Mode = Literal["new", "promote", "in_place"]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """How to restore. `tables` are names as in `selection.select`; none means all.

    `prove` false: a new database is not compared with the source's truth; what is live is never replaced so.
    `only_proven`: give it its name only where it is equal (promote always does).
    `analyze` false: leave the planner's statistics to the server, which gathers them in its own time.
    `owners` false: leave owners and grants out, so that no roles are needed.
    `any_locale`: let a similar locale stand in for one that the server lacks.
    `rehearsal`: the result is only looked at: roles are made without the right to log in, subscriptions are left out.
    """

    spool_dir: Path
    mode: Mode = "new"
    tables: Sequence[str] = ()
    jobs: int = 2
    time_limit_seconds: float | None = None
    lock_timeout_seconds: float = 30
    prove: bool = True
    only_proven: bool = False
    owners: bool = True
    any_locale: bool = False
    analyze: bool = True
    rehearsal: bool = False
    tools: Path | None = None

    def __post_init__(self) -> None:
        if not self.prove and (self.mode != "new" or self.only_proven):
            raise SettingsError(
                f"a restore with mode {self.mode} is always compared with the source",
                reason="it touches what is live" if self.mode != "new" else "only what is proven may have the name",
                next_step="Leave --unproven out, or restore with mode new",
            )

    @classmethod
    def of(cls, settings: Settings, mode: Mode, tables: Sequence[str]) -> Self:
        """Take from the settings what they say of a restore."""
        return cls(
            spool_dir=settings.home / "spool",
            mode=mode,
            tables=tuple(tables),
            jobs=settings.readers,
            time_limit_seconds=settings.restore_time_limit_minutes * 60,
            lock_timeout_seconds=settings.lock_timeout_seconds,
            tools=settings.postgres_tools,
        )


@dataclass(slots=True)
class RestoreReport:
    """What was done. `kept` is the name under which the former live database is kept; `seconds` are by phase."""

    mode: Mode
    database: str
    tables: int = 0
    rows: int = 0
    size_bytes: int = 0
    kept: str | None = None
    roles: RolesMade = field(default_factory=RolesMade)
    proof: ProofReport | None = None
    losses: LossReport | None = None
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def not_proven(database: str, problems: Sequence[str]) -> NotProvenError:
    """Say of a database that was restored and stays that it differs from the source."""
    return NotProvenError(
        f"the database {database!r} was restored, and is not what the source was",
        reason="; ".join(problems[:5]),
        next_step="Look at it before using it; it was left as it is",
    )
