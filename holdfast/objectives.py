"""What the settings ask of each type of backup: how often there is to be one, and how old the newest proven one may be."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.settings import Settings

LATE = 1.25
"""How many intervals may pass until a backup is overdue."""


def interval_of(kind: str, settings: Settings) -> timedelta:
    """How often a type is backed up."""
    return timedelta(hours=getattr(settings, f"{kind}_backup_interval"))


def rpo_target_of(kind: str, settings: Settings) -> timedelta | None:
    """How old the newest proven backup of a type may be: the target, but never less than a type's own interval allows for."""
    if settings.rpo_target_hours is None:
        return None
    target = timedelta(hours=settings.rpo_target_hours)
    return target if kind == "database" else max(target, interval_of(kind, settings) * LATE)


def rto_target_seconds(settings: Settings) -> float | None:
    """How long bringing everything back may take."""
    return None if settings.rto_target_minutes is None else settings.rto_target_minutes * 60
