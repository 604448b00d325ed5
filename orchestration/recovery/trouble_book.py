"""The troubles of a target, kept as variables on the Prefect server: all workers know which events were emitted, and for what."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http.client import CONFLICT, NOT_FOUND
from typing import TYPE_CHECKING, Any, cast, get_args

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectHTTPStatusError

from blocks.server import asked
from blocks.server_objects import Method, ask, read_all
from holdfast.backup_types import TYPES, why_off
from holdfast.recovery.trouble import Trouble, judge_troubles
from holdfast.recovery.verdict import Subject
from orchestration.declared import TAG

if TYPE_CHECKING:
    from holdfast.alarms import Judgement
    from holdfast.settings import Settings

Json = dict[str, Any]
Troubles = dict[Subject, Trouble]

PREFIX = "holdfast_trouble_"
"""How the names of the variables begin that troubles are kept in, one each."""

_log = logging.getLogger(__name__)


class TroubleBook:
    """The troubles of one target, or of the one installation. Every method raises PrefectUnreachableError."""

    def __init__(self, target: str | None) -> None:
        self._prefix = f"{PREFIX}{target}_" if target else PREFIX

    def read(self) -> Troubles:
        """Read all, by subject; what can't be read is logged, and written anew when it is seen again."""
        with asked("it keeps the troubles"), get_client(sync_client=True) as client:
            variables = read_all(client, "/variables/filter", variables={"name": {"like_": PREFIX}})
        found: Troubles = {}
        for one in variables:
            subject = str(one["name"]).removeprefix(self._prefix)
            if str(one["name"]).startswith(self._prefix) and subject in get_args(Subject):
                try:
                    found[cast("Subject", subject)] = Trouble.from_json(one["value"])
                except ValueError:
                    _log.warning("the variable %s on the Prefect server holds no trouble, so it is taken as none", one["name"])
        return found

    def write(self, before: Mapping[Subject, Trouble], after: Mapping[Subject, Trouble]) -> None:
        """Make the book of it that was read say this."""
        with asked("it is to keep the troubles"), get_client(sync_client=True) as client:
            for subject, one in after.items():
                if before.get(subject) != one:
                    self._put(client, subject, one)
            for subject in before.keys() - after.keys():
                _tolerant(client, "DELETE", f"/variables/name/{self._prefix}{subject}", {}, NOT_FOUND)

    def _put(self, client: SyncPrefectClient, subject: Subject, one: Trouble) -> None:
        name, value = f"{self._prefix}{subject}", one.to_json()
        if not _tolerant(client, "PATCH", f"/variables/name/{name}", {"value": value}, NOT_FOUND):
            _tolerant(client, "POST", "/variables/", {"name": name, "value": value, "tags": [TAG]}, CONFLICT)


def subjects_on(settings: Settings) -> list[Subject]:
    """Name what is looked at: what is backed up."""
    return [one for one in TYPES if why_off(one, settings) is None]


def trouble_judgement(settings: Settings) -> Judgement:
    """Judge of each subject whether it is in trouble, by what the probes have found; of one that is off, that it is not."""
    found = {subject: one for subject, one in TroubleBook(settings.target).read().items() if subject in subjects_on(settings)}
    return judge_troubles(found, TYPES)


def _tolerant(client: SyncPrefectClient, method: Method, path: str, body: Json, status: int) -> bool:
    """Ask, and take an answer of this status as a no."""
    try:
        ask(client, method, path, body)
    except PrefectHTTPStatusError as error:
        if error.response.status_code != status:
            raise
        return False
    return True
