"""What there is to be alarmed about where something can't be reached: judged by the health monitor alone, which has waited first.

A backup that meets a moment's outage fails and is counted; nobody is called for that. The monitor looks every few minutes, and
tries again before it says that the repository or the catalog is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.alarms import Alarm, Judgement
from holdfast.errors import HoldfastError, KeyFileDamagedError, KeyMissingError, WrongKeyError

if TYPE_CHECKING:
    from holdfast.overview import Overview

CATALOG, REPOSITORY = "catalog", "repository"
_OF_THE_KEY = (KeyMissingError, WrongKeyError, KeyFileDamagedError)


def judge_reachability(overview: Overview, error: BaseException | None) -> Judgement:
    """Judge whether the catalog and the repository can be used. What is wrong with the key is an alarm of its own."""
    found: Judgement = {CATALOG: None if overview.recorded else _catalog()}
    if not overview.seen and isinstance(error, HoldfastError) and not isinstance(error, _OF_THE_KEY):
        found[REPOSITORY] = _repository(error)
    return found


def _catalog() -> Alarm:
    return Alarm(
        CATALOG,
        "The catalog can't be reached",
        "Backups go on, and their rows are written later; but failures in a row are not counted, so nobody hears of them, "
        "and clean-ups delete nothing",
        "Start the catalog's database, or see that BACKUP_CATALOG_URL is right; 'holdfast status' tells what is wrong with it",
    )


def _repository(error: HoldfastError) -> Alarm:
    return Alarm(
        REPOSITORY,
        "The repository of the backups can't be opened",
        f"{error.what_and_why}. Until it can, no backup is made, and none can be restored from it",
        error.next_step or "See that the storage is there and answers: holdfast storage test",
        last_good="not known: the repository could not be looked at",
    )
