"""Backups: how far each is proven, where it lies, and the way to bring it back; and making or proving one now."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.access import TheParts
from api.action import Json
from api.handlers.backups import BACK_UP, BACKUP, BACKUPS
from api.handlers.held_backups import HELD
from api.handlers.maintenance import VERIFY
from api.handlers.status import STATUS
from api.page.asking import answer, answer_or_error
from api.page.jobs import PAGE
from api.page.person import Person, TheForm, ThePerson, text_in
from api.page.showing import PageRoute, go_to, page
from api.parts import Parts
from holdfast.backup_types import TYPES
from holdfast.errors import NotFoundError

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_LONGEST_NUMBER = 9


@router.get("/backups")
def list_backups(request: Request, parts: TheParts, person: ThePerson) -> Response:
    """List what there is to bring back, the newest first: by the repository, or where that does not answer by the catalog."""
    kind = request.query_params.get("type", "")
    number = _number(request.query_params.get("page", ""))
    found: Json | None = None
    try:
        found, wrong = answer_or_error(parts, person, HELD, type=kind, page=number, limit=PAGE)
    except NotFoundError as error:  # no repository is there: a disk that is not mounted
        wrong = error
    if found is None:
        found, _ = answer_or_error(parts, person, BACKUPS, type=kind, status="completed", limit=PAGE)
    return page(
        request,
        person,
        "backups.html",
        section="Backups",
        types=TYPES,
        chosen={"type": kind},
        first=number == 1,
        backups=found["backups"] if found else [],
        copies=_placed(parts, person),
        next_page={"type": kind, "page": number + 1} if found and found.get("more") else None,
        wrong=wrong,
    )


@router.get("/backups/{backup_id}")
def show_backup(request: Request, parts: TheParts, person: ThePerson, backup_id: str) -> Response:
    """Show one backup in full."""
    backup = answer(parts, person, BACKUP, jobId=backup_id)
    placed = _placed(parts, person).get(backup_id)
    return page(request, person, "backup.html", section="Backups", backup=backup, placed=placed)


@router.post("/backups")
def back_up(request: Request, parts: TheParts, person: ThePerson, form: TheForm) -> Response:
    """Make a backup now, of one type or of all."""
    begun = answer(parts, person, BACK_UP, text_in(form, "key"), type=text_in(form, "type"))
    return go_to(request, f"/jobs/{begun['jobId']}")


@router.post("/verifications")
def prove(request: Request, parts: TheParts, person: ThePerson, form: TheForm) -> Response:
    """Prove a backup to the highest level."""
    said = {"backupId": text_in(form, "backup"), "type": text_in(form, "type"), "level": "proven"}
    begun = answer(parts, person, VERIFY, text_in(form, "key"), **said)
    return go_to(request, f"/jobs/{begun['jobId']}")


def _number(said: str) -> int:
    """Read the number of a page of the list; whatever is none is the first."""
    return max(1, int(said[:_LONGEST_NUMBER])) if said.isdecimal() else 1


def _placed(parts: Parts, person: Person) -> dict[str, Json]:
    """Tell where the newest backups lie, by their id, as the latest look saw it; nothing where there was none."""
    found, _ = answer_or_error(parts, person, STATUS)
    return {one["jobId"]: one for one in found["backups"]} if found else {}
