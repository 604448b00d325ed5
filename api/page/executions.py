"""Executions of plans: their steps as they go, and the question that a person is asked before what is live is changed."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.access import TheParts
from api.action import Json
from api.handlers.approvals import APPROVE, DENY
from api.handlers.executions import EXECUTION, EXECUTIONS, RESUME, ROLL_BACK
from api.handlers.jobs import JOB
from api.page.asking import answer, answer_or_error
from api.page.jobs import PAGE
from api.page.person import TheForm, ThePerson, text_in
from api.page.showing import PageRoute, go_to, page
from api.waiting import OPEN
from holdfast.errors import NotFoundError, RequestInvalidError
from holdfast.recovery.stakes import stakes_text

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_ANSWERS = {"yes": APPROVE, "no": DENY}


@router.get("/executions")
def list_executions(request: Request, parts: TheParts, person: ThePerson) -> Response:
    """List executions, the newest first."""
    cursor = request.query_params.get("cursor", "")
    found, wrong = answer_or_error(parts, person, EXECUTIONS, cursor=cursor, limit=str(PAGE))
    following = found and found["nextCursor"]
    return page(
        request,
        person,
        "executions.html",
        section="Recoveries",
        cursor=cursor,
        executions=found["executions"] if found else [],
        next_page={"cursor": following} if following else None,
        wrong=wrong,
    )


@router.get("/executions/{execution_id}")
def show_execution(request: Request, parts: TheParts, person: ThePerson, execution_id: str) -> Response:
    """Show an execution, live until it has ended, and what would be lost where it waits for a person.

    One that has not begun yet, and one that only looks, is known as a job alone.
    """
    try:
        found = answer(parts, person, EXECUTION, executionId=execution_id)
    except NotFoundError:
        job = answer(parts, person, JOB, jobId=execution_id)
        return page(request, person, "job.html", section="Recoveries", job=job, is_open=job["status"] in OPEN)
    said = request.query_params.get("said", "")
    return page(request, person, "execution.html", section="Recoveries", execution=found, stakes=at_stake(found), said=said)


@router.post("/executions/{execution_id}/approval")
def decide(request: Request, parts: TheParts, person: ThePerson, execution_id: str, form: TheForm) -> Response:
    """Agree to an execution that waits, or refuse it."""
    action = _ANSWERS.get(text_in(form, "approve"))
    if action is None:
        raise RequestInvalidError("neither yes nor no was said", next_step="Press one of the two buttons")
    said = {"executionId": execution_id, "approve": action is APPROVE, "comment": text_in(form, "comment")}
    answer(parts, person, action, text_in(form, "key"), **said)
    return go_to(request, f"/executions/{execution_id}", said=text_in(form, "approve"))


@router.post("/executions/{execution_id}/resumption")
def go_on(request: Request, parts: TheParts, person: ThePerson, execution_id: str, form: TheForm) -> Response:
    """Go on with an execution where it stopped."""
    answer(parts, person, RESUME, text_in(form, "key"), executionId=execution_id)
    return go_to(request, f"/executions/{execution_id}")


@router.post("/executions/{execution_id}/roll-back")
def undo(request: Request, parts: TheParts, person: ThePerson, execution_id: str, form: TheForm) -> Response:
    """Undo what an execution did, the last step first."""
    answer(parts, person, ROLL_BACK, text_in(form, "key"), executionId=execution_id)
    return go_to(request, f"/executions/{execution_id}")


def at_stake(execution: Json) -> list[str]:
    """Tell line by line what a person is asked about; nothing where it is not known yet."""
    stakes = (execution.get("metadata") or {}).get("stakes")
    return list(stakes_text(stakes)) if stakes else []
