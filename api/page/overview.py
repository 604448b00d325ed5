"""The first page: one sentence about whether everything is protected, then what is wrong, what runs, and each type of backup."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from api.access import TheParts
from api.action import Json
from api.handlers.executions import EXECUTION
from api.handlers.status import STATUS
from api.page.asking import answer
from api.page.executions import at_stake
from api.page.person import Person, ThePerson
from api.page.showing import PageRoute, page
from api.parts import Parts
from holdfast import figures
from holdfast.errors import HoldfastError

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_STAKES_SHOWN, _LINES_SHOWN = 3, 6


@router.get("/")
def overview(request: Request, parts: TheParts, person: ThePerson) -> Response:
    """Show how things stand, by the latest look."""
    found = answer(parts, person, STATUS)
    good, said = sentence(found)
    waiting = [one for one in found["executions"] if one["waitingFor"] == "approval"]
    return page(
        request,
        person,
        "overview.html",
        section="Overview",
        status=found,
        good=good,
        said=said,
        down=parts_down(found),
        three_two_one={one["jobId"]: one["threeTwoOne"] for one in found["backups"]},
        waiting=waiting,
        stakes={one["executionId"]: _stakes(parts, person, one["executionId"]) for one in waiting[:_STAKES_SHOWN]},
        at_work=[one for one in found["executions"] if one["waitingFor"] != "approval"],
    )


def _stakes(parts: Parts, person: Person, execution_id: str) -> list[str]:
    """Tell the first of what would be lost; nothing where the execution is not known any more."""
    try:
        return figures.first(at_stake(answer(parts, person, EXECUTION, executionId=execution_id)), _LINES_SHOWN)
    except HoldfastError:
        return []


def sentence(status: Json) -> tuple[bool | None, str]:
    """Say in one sentence whether everything is protected, what is wrong first, and whether a person has to do something.

    None: nobody can tell now, or all is well but for what somebody has to decide.
    """
    good, said = _protected(status)
    if any(one["waitingFor"] == "approval" for one in status["executions"]):
        return None if good else good, f"{said} A recovery waits for a person."
    return good, said


def _protected(status: Json) -> tuple[bool | None, str]:
    if status["alarms"]:
        first, more = status["alarms"][0], len(status["alarms"]) - 1
        return False, f"Not everything is protected. {first['title']}" + (f", and {more} more" if more else "") + "."
    if not status["repository"]["ok"]:
        where = status["repository"]["readFrom"]
        held = f" The replica {where} does, and holds the backups below." if where else ""
        return None, f"Nobody can tell now whether everything is protected: the storage of the backups does not answer.{held}"
    on = [one for one in status["types"] if one["on"]]
    lacking = [one["type"] for one in on if one["lastGood"] is None]
    if not on:
        return False, "Nothing is protected: no type of backup is on."
    if lacking:
        return False, f"Not everything is protected: there is no backup of type {figures.either(lacking)} yet."
    stale = [one["type"] for one in on if one["overdue"] or one["bad"] or one["rpo"]["missed"]]
    if stale:
        return False, f"Not everything is protected: see {', '.join(stale)} below."
    silent = {name for name, part in status["parts"].items() if not part["ok"]}
    if "prefect" in silent:  # it keeps the alarms, too
        idle = "whether anything is in trouble nobody can tell, and nothing that is due will run"
        return None, f"Each type has its backup, but {idle}: no Prefect server answers."
    if failing := [one["type"] for one in on if one["failuresInARow"]]:
        return None, f"Everything is protected so far, but the last backup of type {', '.join(failing)} failed: see below."
    if "worker" in silent:
        return None, "Everything is protected so far, but nothing that is due will run: no worker takes runs."
    unproven = [one["type"] for one in on if one["rpo"]["provenBackup"] is None]
    if unproven:
        return True, f"Everything is backed up. No backup of type {figures.either(unproven)} is proven yet."
    return True, "Everything is protected."


def parts_down(status: Json) -> list[dict[str, Any]]:
    """Name the parts of the system that do not answer, with what to do."""
    return [{"name": name, **part} for name, part in status["parts"].items() if not part["ok"]]
