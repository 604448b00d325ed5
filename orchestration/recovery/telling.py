"""People are told of an execution by their channels: that it begins, that it waits for them, how it ended.

Nobody waits for a channel before something is recovered: the beginning is told beside the work. A channel that fails is logged,
and the alarms tell of it. A drill is told only where it does not end well.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError
from holdfast.messages import Message, Origin
from holdfast.recovery.telling import begun_message, ended_message, waiting_message
from orchestration.notifying import send
from orchestration.recovery.approval import question

if TYPE_CHECKING:
    from holdfast.recovery.execution import Execution
    from holdfast.settings import Settings

_log = logging.getLogger(__name__)


def tell_begun(settings: Settings, execution: Execution) -> None:
    """Tell that an execution begins, and wait for nobody."""
    if execution.mode == "drill":
        return
    message = begun_message(execution, Origin(settings.target), datetime.now(UTC))
    context = contextvars.copy_context()
    threading.Thread(target=lambda: context.run(_send, settings, message), name="tell-begun", daemon=True).start()


def tell_waiting(settings: Settings, execution: Execution) -> None:
    """Tell that a person has to agree, unless it is somebody at a terminal who is asked."""
    if not execution.metadata.get("suspended"):
        return
    now = datetime.now(UTC)
    until = now + timedelta(hours=settings.approval_hours)
    _send(settings, waiting_message(execution, question(execution), Origin(settings.target), now, until))


def tell_ended(settings: Settings, execution: Execution) -> None:
    """Tell how an execution ended."""
    if execution.mode == "drill" and execution.status == "success":
        return
    _send(settings, ended_message(execution, Origin(settings.target), datetime.now(UTC)))


def _send(settings: Settings, message: Message) -> None:
    try:
        send(message, settings)
    except HoldfastError as error:
        _log.warning("nobody could be told of the execution: %s", error)
    except Exception as error:  # noqa: BLE001  whatever a library raises; the recovery goes on
        _log.warning("nobody could be told of the execution: %s", type(error).__name__)
