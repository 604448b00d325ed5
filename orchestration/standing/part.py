"""What is said of one part of the system: that it answered, with what it said, or what went wrong and what to do now."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from holdfast.errors import HoldfastError
from orchestration.masking import masked

Report = dict[str, Any]
T = TypeVar("T")
_log = logging.getLogger(__name__)


def wrong(error: HoldfastError) -> Report:
    """Describe what went wrong with a part; no secret that is known here is shown."""
    return {
        "ok": False,
        "code": error.code,
        "error": masked(error.message),
        "reason": error.reason and masked(error.reason),
        "nextStep": error.next_step,
    }


def foreseen(ask: Callable[[], T]) -> Callable[[], T]:
    """Ask so that what nobody foresaw costs this part its answer, and no other; the log has all of it."""

    def asking() -> T:
        try:
            return ask()
        except HoldfastError:
            raise
        except Exception as error:
            _log.exception("a part of the system could not be asked, in a way that nobody foresaw")
            raise HoldfastError("something unforeseen went wrong", reason=type(error).__name__) from error

    return asking
