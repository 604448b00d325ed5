"""The open alarms of a target, kept as variables on the Prefect server: all workers see the same, and a restart loses none.

Who tells of alarms holds the book alone meanwhile, so that two runs that see the same tell it once. The right to it is one more
variable, for making one is atomic; that of a process that died is taken over when its time is up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectHTTPStatusError

from blocks.server import asked
from blocks.server_objects import ask, read_all
from holdfast.errors import BusyError
from holdfast.open_alarms import PREFIX, OpenAlarm, alarms_in, variable_name
from holdfast.process_identity import this_process
from orchestration.declared import TAG

LOCK = "holdfast_telling"
"""How the variable is called that stands for the right to tell; of a target its name follows."""

_HELD_SECONDS = 180
_WAIT_SECONDS = 45.0
_POLL_SECONDS = 0.2
_CONFLICT, _GONE = 409, 404
_log = logging.getLogger(__name__)


class AlarmBook:
    """The open alarms of one target. Every method raises PrefectUnreachableError."""

    def __init__(self, target: str | None) -> None:
        self._target = target
        self._lock = f"{LOCK}_{target}" if target else LOCK

    def read(self) -> dict[str, OpenAlarm]:
        """Read all, by key; what can't be read is logged, and written anew when it is judged again."""
        with asked("it keeps the open alarms"), get_client(sync_client=True) as client:
            variables = read_all(client, "/variables/filter", variables={"name": {"like_": PREFIX}})
        found, spoilt = alarms_in(variables, self._target)
        for name in spoilt:
            _log.warning("the variable %s on the Prefect server holds no alarm, so it is taken as none", name)
        return found

    def write(self, before: Mapping[str, OpenAlarm], after: Mapping[str, OpenAlarm]) -> None:
        """Make the book of it that was read say this."""
        with asked("it is to keep the open alarms"), get_client(sync_client=True) as client:
            for key, one in after.items():
                if before.get(key) != one:
                    self._put(client, key, one)
            for key in before.keys() - after.keys():
                _tolerant(client, "DELETE", f"/variables/name/{variable_name(key, self._target)}", {}, _GONE)

    def add(self, alarms: Mapping[str, OpenAlarm]) -> None:
        """Write down those that are not there yet; safe without holding the book."""
        with asked("it is to keep the open alarms"), get_client(sync_client=True) as client:
            for key, one in alarms.items():
                _tolerant(client, "POST", "/variables/", self._said(key, one), _CONFLICT)

    @contextmanager
    def held(self, wait_seconds: float = _WAIT_SECONDS) -> Iterator[None]:
        """Hold the book alone. Raises BusyError where somebody else does for too long."""
        held = self._acquire(time.monotonic() + wait_seconds)
        try:
            yield
        finally:
            with asked("the open alarms are held there"), get_client(sync_client=True) as client:
                _tolerant(client, "DELETE", f"/variables/{held}", {}, _GONE)

    def _put(self, client: SyncPrefectClient, key: str, one: OpenAlarm) -> None:
        said = self._said(key, one)
        if not _tolerant(client, "PATCH", f"/variables/name/{said['name']}", {"value": said["value"]}, _GONE):
            _tolerant(client, "POST", "/variables/", said, _CONFLICT)

    def _said(self, key: str, one: OpenAlarm) -> dict[str, Any]:
        return {"name": variable_name(key, self._target), "value": one.to_json(), "tags": [TAG]}

    def _acquire(self, end: float) -> str:
        """Make the variable of the right to tell, and return its id."""
        while True:
            until = datetime.now(UTC) + timedelta(seconds=_HELD_SECONDS)
            me = this_process()
            value = {"holder": f"{me['host']}:{me['pid']}", "until": until.isoformat()}
            with asked("the open alarms are held there"), get_client(sync_client=True) as client:
                try:
                    made = ask(client, "POST", "/variables/", {"name": self._lock, "value": value, "tags": [TAG]})
                    return str(made["id"])
                except PrefectHTTPStatusError as error:
                    _only(error, _CONFLICT)
                holder = self._free_if_expired(client)
            if time.monotonic() > end:
                raise BusyError(
                    "The open alarms are held by another run", reason=f"it is {holder}", next_step="The next run tells them"
                )
            time.sleep(_POLL_SECONDS)

    def _free_if_expired(self, client: SyncPrefectClient) -> str:
        """Take the right from a holder whose time is up. It goes by its id, so that of several only one takes it."""
        found = client.read_variable_by_name(self._lock)
        if found is None:
            return "gone by now"
        value = found.value if isinstance(found.value, dict) else {}
        if _is_over(value.get("until")):
            _log.warning("%s died while it told of alarms, or was too slow at it; this run does it now", value.get("holder"))
            _tolerant(client, "DELETE", f"/variables/{found.id}", {}, _GONE)
        return str(value.get("holder"))


def _is_over(until: Any) -> bool:
    try:
        return datetime.fromisoformat(until) < datetime.now(UTC)
    except (TypeError, ValueError):  # somebody wrote into it by hand
        return True


def _tolerant(client: SyncPrefectClient, method: Any, path: str, body: dict[str, Any], status: int) -> bool:
    """Ask, and take an answer of this status as a no."""
    try:
        ask(client, method, path, body)
    except PrefectHTTPStatusError as error:
        _only(error, status)
        return False
    return True


def _only(error: PrefectHTTPStatusError, status: int) -> None:
    if error.response.status_code != status:
        raise error
