"""What an assessment finds: how the thing stands that a plan is about, and whether anything has to be done about it.

Slow is not lost: only what is lost, damaged, failing or compromised is recovered, unless a person forces it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Subject = Literal["database", "function", "config", "secrets", "services"]
State = Literal["healthy", "slow", "failing", "incomplete", "lost", "damaged", "compromised", "unreachable", "unknown"]
"""`failing`: it answers, with errors. `incomplete`: a part that the newest backup has is gone. `lost`: all of it is gone.
`unreachable`: it does not answer, so that what is behind it can't be told. `unknown`: it could not be judged."""

CALLED: dict[Subject, str] = {
    "database": "the database",
    "function": "the functions",
    "config": "the configuration",
    "secrets": "the secrets",
    "services": "the services",
}
"""What people are told a subject is."""

LEFT_ALONE: frozenset[State] = frozenset({"healthy", "slow", "unknown"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one subject stands. `reason` is a sentence for people; it and the evidence hold no secret."""

    subject: Subject
    state: State
    reason: str
    evidence: Json = field(default_factory=dict)
    affected: tuple[str, ...] = ()
    """What of it is in trouble: tables as schema.table, slugs, paths of files, `provider/name` of secrets; empty: all of it."""
    ask: str | None = None
    """Why a person has to agree before it is recovered, whatever the plan says; None where nobody has to."""

    @property
    def is_to_be_recovered(self) -> bool:
        """Tell whether a plan has anything to do."""
        return self.state not in LEFT_ALONE

    def document(self) -> Json:
        """Describe it as an execution's record does."""
        return asdict(self) | {"affected": list(self.affected)}

    @classmethod
    def of(cls, document: Json) -> Verdict:
        """Read what `document` wrote. Raises TypeError for anything else."""
        return cls(**document | {"affected": tuple(document.get("affected", ()))})
