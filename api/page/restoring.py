"""Bringing a backup back, in three steps: what and where, what would happen, and then it is done.

Beside what is live is what is offered first. What touches what is live takes a look before, and its name, typed.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from api.access import TheParts
from api.action import Json
from api.handlers.backups import BACKUP
from api.handlers.jobs import JOB
from api.handlers.restores import RESTORE
from api.page.asking import answer, answer_or_error
from api.page.person import Person, TheForm, ThePerson, text_in, texts_in
from api.page.showing import PageRoute, database_in, go_to, page, when
from api.parts import Parts
from api.problems import status_of
from api.waiting import OPEN
from holdfast import figures
from holdfast.errors import HoldfastError

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_FIELDS = ("backup", "type", "mode", "target", "database", "tables", "only", "replica")
_Way = tuple[str, str, str]
_BESIDE = "Beside what is live"
_AT_ONCE = "In the place of what is live, which is kept"
_INTO = "Into what is live itself"
_FOLDER: _Way = ("new", _BESIDE, "A new folder on the host is filled. What is live stays as it is.")
_WAYS: dict[str, tuple[_Way, ...]] = {
    "database": (
        ("new", _BESIDE, "A new database is made. What is live stays as it is, and people go on working with it."),
        (
            "promote",
            _AT_ONCE,
            "A new database is made and compared, then it takes the live one's name. The live one is kept under another name. "
            "Whoever is connected is disconnected, and what was written since the backup is only in the one that is kept.",
        ),
        (
            "in_place",
            _INTO,
            "What the live database holds is replaced, all of it or nothing. None of it is kept, so that this can't be undone: "
            "what was written since the backup is gone.",
        ),
    ),
    "function": (
        _FOLDER,
        ("promote", _AT_ONCE, "The functions take the place of the live ones, all at once. The live ones are kept."),
    ),
    "config": (_FOLDER, ("in_place", _INTO, "Each file is put back where it lay. What that replaces is kept.")),
    "secrets": (
        _FOLDER,
        (
            "in_place",
            _INTO,
            "Names that are gone are made again, without their values, which no backup has. Those that are there "
            "stay as they are.",
        ),
    ),
}
"""How a backup of each type may meet what is live, in plain words; the first is what is offered first."""


@router.get("/restore")
def choose(request: Request, parts: TheParts, person: ThePerson) -> Response:
    """Step 1: ask what is to be brought back, and to where."""
    person.caller.require(BACKUP.scope)
    chosen = {name: request.query_params.get(name, "") for name in _FIELDS}
    return _choosing(request, parts, person, chosen)


@router.post("/restore/look")
def look(request: Request, parts: TheParts, person: ThePerson, form: TheForm) -> Response:
    """Step 2: have looked what would happen. Nothing is changed."""
    chosen = {name: text_in(form, name) for name in _FIELDS}
    try:
        begun = _begin(parts, person, form, dry_run=True)
    except HoldfastError as error:
        return _choosing(request, parts, person, chosen, error)
    return go_to(request, f"/restore/{begun['jobId']}", **chosen)


@router.get("/restore/{job_id}")
def show_look(request: Request, parts: TheParts, person: ThePerson, job_id: str) -> Response:
    """Show what would happen as soon as that is known, and offer step 3."""
    chosen = {name: request.query_params.get(name, "") for name in _FIELDS}
    return _looking(request, parts, person, chosen, job_id)


@router.post("/restore")
def restore(request: Request, parts: TheParts, person: ThePerson, form: TheForm) -> Response:
    """Step 3: do it. What is live is touched only by somebody who has typed its name."""
    chosen = {name: text_in(form, name) for name in _FIELDS}
    job_id = text_in(form, "looked")
    name = live_name(answer(parts, person, JOB, jobId=job_id), chosen["type"])
    if chosen["mode"] != "new" and text_in(form, "confirm") != name:
        return _looking(request, parts, person, chosen, job_id, wrong=True)
    begun = _begin(parts, person, form, dry_run=False)
    return go_to(request, f"/jobs/{begun['jobId']}")


def live_name(looked: Json, kind: str) -> str:
    """Name what is live and would be replaced: the database of the look's target, or what the type protects."""
    return (database_in(looked.get("target")) if kind == "database" else "") or kind


def ways_of(kind: str) -> tuple[_Way, ...]:
    """Say in plain words what each way of restoring does to what is live."""
    return _WAYS.get(kind, _WAYS["database"])


def _choosing(
    request: Request, parts: Parts, person: Person, chosen: dict[str, str], wrong: HoldfastError | None = None
) -> Response:
    chosen = _sensible(chosen)
    backup, _ = answer_or_error(parts, person, BACKUP, jobId=chosen["backup"])
    at = backup and (when(backup["snapshotAt"]) or when(backup["startedAt"]))
    return page(
        request,
        person,
        "restore.html",
        status_of(wrong) if wrong else 200,
        section="Backups",
        step=1,
        chosen=chosen,
        made_at=figures.minute_utc(at) if at else chosen["backup"],
        ways=ways_of(chosen["type"]),
        wrong=wrong,
    )


def _looking(
    request: Request, parts: Parts, person: Person, chosen: dict[str, str], job_id: str, *, wrong: bool = False
) -> Response:
    chosen = _sensible(chosen)
    job = answer(parts, person, JOB, jobId=job_id)
    return page(
        request,
        person,
        "restore_look.html",
        400 if wrong else 200,
        section="Backups",
        chosen=chosen,
        job=job,
        is_open=job["status"] in OPEN,
        mode_text=next(what for mode, _, what in ways_of(chosen["type"]) if mode == chosen["mode"]),
        live_name=live_name(job, chosen["type"]),
        wrong=wrong,
    )


def _sensible(chosen: dict[str, str]) -> dict[str, str]:
    """Take what an address may say wrongly as what is offered first."""
    kind = chosen["type"] if chosen["type"] in _WAYS else "database"
    modes = [mode for mode, _, _ in ways_of(kind)]
    return {**chosen, "type": kind, "mode": chosen["mode"] if chosen["mode"] in modes else modes[0]}


def _begin(parts: Parts, person: Person, form: FormData, *, dry_run: bool) -> Json:
    """Start the restore that a form describes, or the look before it."""
    mode = text_in(form, "mode")
    live = "" if mode == "new" else "live"
    said = {
        "backupId": text_in(form, "backup"),
        "type": text_in(form, "type"),
        "mode": mode,
        "target": text_in(form, "target") or live,
        "database": text_in(form, "database") if mode == "new" else "",
        "tables": texts_in(form, "tables"),
        "only": texts_in(form, "only"),
        "fromReplica": text_in(form, "replica"),
        "dryRun": dry_run,
    }
    return answer(parts, person, RESTORE, text_in(form, "key"), **said)
