"""The backups that the repository holds, the newest first: what there is to bring back, and how far each is proven."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.action import Action, Asked, Body, Json
from holdfast import documents
from holdfast.repository import BackupType, Repository


class HeldWanted(Body):
    """Which of them, page by page."""

    type: BackupType | None = None
    page: Annotated[int, Field(ge=1, strict=False)] = 1
    limit: Annotated[int, Field(ge=1, le=200, strict=False)] = 50


def _held(asked: Asked[HeldWanted]) -> Json:
    """Describe one page, and tell whether there are more. Raises UnreachableError where the repository does not answer."""
    said = asked.said
    after = said.limit * (said.page - 1)

    def read(repository: Repository) -> Json:
        summaries, pins = [one for one in repository.backups() if said.type in (None, one.type)], repository.pins()
        shown = summaries[after : after + said.limit]
        described = [documents.of_backup(repository, one) | {"pinned": documents.pinned(pins.get(one.id))} for one in shown]
        return {"backups": described, "more": len(summaries) > after + said.limit}

    return asked.parts.ask_repository(read)


HELD = Action("held-backups", "GET", "read", HeldWanted, _held)
