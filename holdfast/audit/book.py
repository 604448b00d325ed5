"""Writing the audit log, whatever the state of the catalog: what that does not take now waits in a file, in order.

Writing never raises and never blocks for long, for the work that it is about must not fail because of it. It starts no server.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.audit.begun import UNTOLD, Begun
from holdfast.audit.entry import Entry, Json
from holdfast.audit.waiting import Waiting, WaitingEntry
from holdfast.errors import HoldfastError, UnreachableError
from holdfast.opening import catalog_if_running
from holdfast.secret_texts import MASK, secret_parts, secrets_of

if TYPE_CHECKING:
    from holdfast.catalog import Catalog
    from holdfast.catalog.audit_log import AuditLog
    from holdfast.repository import Repository
    from holdfast.settings import Settings

Opener = Callable[[], AbstractContextManager["Catalog | None"]]
_SHORTEST_SECRET = 4
_AT_ONCE = 1000
_CONNECT_SECONDS = "3"
_LEFT_ALONE_SECONDS = 30.0
_FREE_TEXT = ("actor", "subject", "details")
_log = logging.getLogger(__name__)
_left_alone: dict[object, float] = {}
"""Until when this process asks a catalog no more that did not answer: each entry would wait for it."""


class AuditBook:
    """The audit log of an installation, to write into."""

    def __init__(self, settings: Settings, opened: Opener | None = None, *, asks_catalog: bool = True) -> None:
        """`opened` opens the catalog, for whoever keeps it open; without `asks_catalog` all entries wait."""
        self._settings = settings
        self._opened: Opener = opened or ((lambda: opened_catalog(settings)) if asks_catalog else nullcontext)
        self._place = (settings.home.absolute(), settings.catalog_url)
        self.waiting = Waiting(waiting_folder(settings))
        self._begun = Begun(waiting_folder(settings) / "begun")

    def write(self, entry: Entry) -> None:
        """Have an entry in the log, now or when the catalog takes it."""
        try:
            self._write(self._without_secrets(entry.record()))
        except Exception:  # noqa: BLE001  the work itself must go on, whatever happens to its record
            _log.exception("the audit log has no entry of %s %s, and nowhere to keep it", entry.action, entry.subject or "")

    @contextmanager
    def begun(self, entry: Entry) -> Iterator[None]:
        """Have a change in the log though this process should die inside the block, which is to write its line: of the same id.

        Where that can't be kept the change is made all the same.
        """
        untold = replace(entry, outcome="accepted", code=None, details={**entry.details, "note": UNTOLD})
        with ExitStack() as held:
            try:
                held.enter_context(self._begun.kept(self._without_secrets(untold.record())))
            except OSError as error:
                _log.error("that %s was begun can't be kept: %s", entry.action, error)
            yield

    def take_in(self) -> int:
        """Take what waits into the chain; return how many entries. Raises DatabaseUnreachableError and the like."""
        with self._open() as log:
            return 0 if log is None else self._take_in(log)

    def mirror(self, repository: Repository) -> int:
        """Give a repository all lines that it lacks; return how many. Raises what catalog and storage raise."""
        from holdfast.audit.mirroring import mirror_audit_log

        with self._open() as log:
            return 0 if log is None else mirror_audit_log(log, repository)

    def _write(self, record: Json) -> None:
        """Write it behind all that waits. What can't be written now waits too, at the end."""
        try:
            with self._open() as log:
                if log is not None:
                    self._take_in(log)
                    log.add([record])
                    return
        except HoldfastError as error:
            _log.debug("an entry of the audit log waits, for the catalog does not take it: %s", error)
        self.waiting.put(record)

    def _take_in(self, log: AuditLog) -> int:
        """Take in what waits; a file goes when its line is there, and not before."""
        self._take_up_abandoned()
        taken = 0
        while found := self.waiting.all()[:_AT_ONCE]:
            readable = [(one.path, one.record) for one in found if one.record is not None]
            taken += len(log.add([record for _, record in readable]))
            for path, _ in readable:
                path.unlink(missing_ok=True)
            for one in found:
                _set_aside(one)
        return taken

    def _take_up_abandoned(self) -> None:
        """Let what processes that died were at wait for its line; one that has its line gets no second."""
        with self._begun.abandoned() as records:
            for record in records:
                self.waiting.put(record)

    @contextmanager
    def _open(self) -> Iterator[AuditLog | None]:
        """Open the log; None where the catalog does not run, or did not answer just now."""
        if time.monotonic() < _left_alone.get(self._place, 0.0):
            yield None
            return
        try:
            with self._opened() as catalog:
                yield None if catalog is None else catalog.audit
        except UnreachableError:
            _left_alone[self._place] = time.monotonic() + _LEFT_ALONE_SECONDS
            raise

    def _without_secrets(self, record: Json) -> Json:
        """Blot out what the settings call secret: no entry should hold one, and this is the last net."""
        texts = (part for secret in secrets_of(self._settings) for part in secret_parts(secret.get_secret_value()))
        hidden = sorted({part for part in texts if len(part) >= _SHORTEST_SECRET}, key=len, reverse=True)
        return {name: _masked(value, hidden) if name in _FREE_TEXT else value for name, value in record.items()}


@contextmanager
def opened_catalog(settings: Settings) -> Iterator[Catalog | None]:
    """Open the catalog if it runs, and wait for its server but a moment."""
    if settings.catalog_url is None:
        with catalog_if_running(settings) as catalog:
            yield catalog
        return
    from holdfast.catalog import Catalog
    from holdfast.postgres.connection import DatabaseUrl

    url = DatabaseUrl.parse(settings.catalog_url)
    with Catalog(replace(url, options=(("connect_timeout", _CONNECT_SECONDS), *url.options))) as catalog:
        yield catalog


def waiting_folder(settings: Settings) -> Path:
    """Where entries wait that the catalog has not taken yet."""
    return settings.home.absolute() / "audit"


def _set_aside(one: WaitingEntry) -> None:
    """Keep a file that can't be read, out of the way: it is told, and holds up nothing that came after it."""
    if one.record is None:
        _log.error("%s can't be read as an entry of the audit log; it is kept as .damaged", one.path)
        one.path.rename(one.path.with_suffix(".damaged"))


def _masked(value: object, hidden: list[str]) -> object:
    if isinstance(value, str):
        for secret in hidden:
            value = value.replace(secret, MASK)
    elif isinstance(value, dict):
        return {name: _masked(one, hidden) for name, one in value.items()}
    return value
