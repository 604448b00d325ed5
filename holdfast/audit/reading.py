"""Reading the audit log of an installation, and proving it, with whatever of catalog and repository can be reached."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

from holdfast.audit.book import AuditBook, opened_catalog
from holdfast.audit.verification import Verification, verify
from holdfast.errors import DatabaseUnreachableError, HoldfastError
from holdfast.opening import read_repository

if TYPE_CHECKING:
    from holdfast.audit.chain import Line
    from holdfast.catalog.audit_log import AuditLog
    from holdfast.repository import Repository
    from holdfast.settings import Settings

Json = dict[str, Any]

_STARTS = "'holdfast serve' starts it, and so does 'holdfast init'"
_log = logging.getLogger(__name__)


def newest_lines(settings: Settings, **filters: Any) -> list[Json]:
    """List lines as documents, newest first; `filters` are those of `AuditLog.newest`. Raises DatabaseUnreachableError."""
    with opened_catalog(settings) as catalog:
        if catalog is None:
            raise DatabaseUnreachableError(
                "the catalog does not run, and the audit log is there",
                next_step=f"{_STARTS}; 'holdfast audit verify' proves the repository's copy",
            )
        return [document_of(line) for line in catalog.audit.newest(**filters)]


def document_of(line: Line) -> Json:
    """Describe a line; of one that was changed so that it can't be read, its place alone."""
    try:
        return line.document()
    except ValueError as error:
        _log.warning("line %d of the audit log can't be read: %s", line.sequence, error)
        nothing = dict.fromkeys(("id", "at", "origin", "subject", "code"))
        unreadable = {"actor": {"kind": "unknown", "name": "?"}, "action": "unreadable", "outcome": "unreadable", "details": {}}
        return {"chain": line.chain, "sequence": line.sequence, "digest": line.digest, **nothing, **unreadable}


def verified(settings: Settings, open_repository: Callable[[Settings], Repository] = read_repository) -> Verification:
    """Prove what can be reached; what can't is in the notes. Raises the error of the catalog where neither can be."""
    notes: list[str] = []
    with ExitStack() as held:
        repository = log = None
        try:
            repository = held.enter_context(closing(open_repository(settings)))
        except HoldfastError as error:
            notes.append(f"the repository's copy could not be looked at: {error.what_and_why}")
        try:
            log = _log_of(settings, held)
        except HoldfastError as error:
            if repository is None:
                raise
            notes.append(f"the catalog could not be looked at: {error.what_and_why}")
        waiting = len(AuditBook(settings).waiting.paths())
        return verify(log, None if repository is None else repository.audit, waiting=waiting, notes=notes)


def _log_of(settings: Settings, held: ExitStack) -> AuditLog:
    catalog = held.enter_context(opened_catalog(settings))
    if catalog is None:
        raise DatabaseUnreachableError("the catalog does not run", next_step=_STARTS)
    catalog.audit.head()  # there may be no tables
    return catalog.audit
