"""A database server that does not answer is started before anything is restored: what is behind it may be whole."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from holdfast.errors import DatabaseUnreachableError, HoldfastError, ServiceFailedError
from holdfast.postgres.connection import connect_to_server
from holdfast.recovery.assessing.connecting import COMING_UP

if TYPE_CHECKING:
    from holdfast.postgres.url import DatabaseUrl
    from holdfast.recovery.deadline import Deadline
    from holdfast.recovery.step_type import Work

_ANSWER_SECONDS = 60.0
"""How long a server that was started may be silent; one that says that it is coming up may take as long as the step."""
_PAUSE_SECONDS = 0.2


def start_server(work: Work, why: str) -> list[str]:
    """Start the database's service and wait until the server answers; return what was done. One that is coming up is waited for.

    Raises DatabaseUnreachableError or ServiceFailedError, which say what a person has to do, and TimeLimitError.
    """
    name, url = work.world.settings.database_service, work.world.database()
    if (refusal := _refusal(url, work.deadline)) is not None and COMING_UP.search(str(refusal)):
        _wait_for_answer(work, url)
        return ["it was waited for, for it was coming up by itself"]
    if name is None:
        raise _by_hand(work, f"{why}, and BACKUP_DATABASE_SERVICE names no service to start")
    service = work.world.service(name)
    try:
        done = service.start(work.deadline)
        service.wait_for_health(work.deadline)
    except ServiceFailedError as error:
        error.next_step = _what_to_do(work)
        raise
    _wait_for_answer(work, url)
    return done


def still_silent(work: Work, why: str) -> DatabaseUnreachableError:
    """Say of a server that was started that it does not answer."""
    name = work.world.settings.database_service
    return _by_hand(work, f"{f'the service {name}' if name else 'it'} was started, and yet {why}")


def _wait_for_answer(work: Work, url: DatabaseUrl) -> None:
    patience = time.monotonic() + _ANSWER_SECONDS
    while (refusal := _refusal(url, work.deadline)) is not None:
        work.deadline.require()
        if time.monotonic() > patience and not COMING_UP.search(str(refusal)):
            raise still_silent(work, refusal.what_and_why) from refusal
        time.sleep(_PAUSE_SECONDS)


def _refusal(url: DatabaseUrl, deadline: Deadline) -> HoldfastError | None:
    """Try to connect to the server; return what hinders that. That it refuses us is an answer, too."""
    del deadline
    try:
        connect_to_server(url).close()
    except DatabaseUnreachableError as error:
        return error
    except HoldfastError:
        return None
    return None


def _by_hand(work: Work, reason: str) -> DatabaseUnreachableError:
    return DatabaseUnreachableError(
        "the database's server does not answer, so whether its data is lost can't be told; nothing was changed",
        reason=reason,
        next_step=_what_to_do(work),
    )


def _what_to_do(work: Work) -> str:
    url = work.world.database()
    return (
        f"Start the server of {url.redacted}, then run: holdfast recover {work.plan.id}. Where it can't be started any more, "
        f"bring the database back to another: holdfast restore latest --target postgresql://USER@OTHER-HOST/{url.database}"
    )
