"""Giving a repository the lines of the audit log that it has not got: at the end of each job, and whenever the monitor looks.

What a repository was given last is remembered in the catalog, so that with nothing new one request to the storage is enough.
Where that object is gone, names are listed, and every gap is filled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from holdfast.audit.chain import Json, Line
from holdfast.catalog.audit_log import AuditLog
from holdfast.errors import DamagedError

if TYPE_CHECKING:
    from holdfast.repository import Repository

AT_ONCE = 5000
"""How many lines an object holds at most."""

Span = tuple[int, int]


def mirror_audit_log(log: AuditLog, repository: Repository) -> int:
    """Give a repository all lines that it lacks; return how many. Raises DamagedError, and what catalog and storage raise."""
    with log.mirroring() as may:
        return sum(_mirror(log, repository, known.id) for known in log.chains()) if may else 0


def gaps(spans: Sequence[Span]) -> Iterator[tuple[int, int | None]]:
    """Name the places of which no object tells: first and last, None where it is all that follows."""
    expected = 1
    for first, last in sorted(spans):
        if first > expected:
            yield expected, first - 1
        expected = max(expected, last + 1)
    yield expected, None


def _mirror(log: AuditLog, repository: Repository, chain: str) -> int:
    given = log.mirrored(repository.id, chain)
    if given is not None and repository.audit.holds(chain, *given):
        lacking: list[tuple[int, int | None]] = [(given[1] + 1, None)]
    else:
        lacking = list(gaps(repository.audit.spans().get(chain, [])))
    return sum(_give(log, repository, chain, first, last) for first, last in lacking)


def _give(log: AuditLog, repository: Repository, chain: str, first: int, last: int | None) -> int:
    """Give it the lines of one gap, in runs: where the catalog itself lacks lines, what comes after them is kept all the same."""
    count = 0
    wanted = takewhile(lambda line: last is None or line.sequence <= last, log.lines(chain, first - 1))
    for run in _runs(wanted):
        end = repository.audit.put(chain, run[0].sequence, [_content(line) for line in run])
        log.note_mirrored(repository.id, chain, run[0].sequence, end)
        count += len(run)
    return count


def _runs(lines: Iterable[Line]) -> Iterator[list[Line]]:
    run: list[Line] = []
    for line in lines:
        if run and (len(run) == AT_ONCE or line.sequence != run[-1].sequence + 1):
            yield run
            run = []
        run.append(line)
    if run:
        yield run


def _content(line: Line) -> Json:
    try:
        return line.content()
    except ValueError as error:
        raise DamagedError(
            f"line {line.sequence} of the audit log can't be mirrored",
            reason=str(error),
            next_step="'holdfast audit verify' says what was changed",
        ) from error
