"""A catalog that was made again takes over what the repository has of the log: as former chains, whose end the new chain names.

A former chain is never gone on with. Lines of it that were not mirrored may be lost, and a second line of the same number,
here or in a catalog that turns up again, would make two stories of one (docs/decisions/0008-audit-chains.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.audit.chain import Head, Line, content_fault, line_of
from holdfast.audit.entry import Actor, Entry, Value, this_host
from holdfast.audit.verification import ADOPT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.catalog.audit_log import AuditLog
    from holdfast.repository import Repository


def adopt_former_chains(log: AuditLog, repository: Repository, actor: Actor) -> int:
    """Take over the lines that a repository has and the catalog has not; return how many."""
    return sum(_adopt(log, repository, chain, actor) for chain in repository.audit.spans())


def _adopt(log: AuditLog, repository: Repository, chain: str, actor: Actor) -> int:
    here = Head(chain)
    for line in log.lines(chain):
        here = line.head
    lines = list(_mirrored_after(repository, chain, here))
    if not lines:
        return 0
    if any(known.id == chain and known.goes_on for known in log.chains()):
        log.begin_anew()  # the catalog is an older state of itself
    log.adopt(chain, lines)
    end = lines[-1]
    details: dict[str, Value] = {
        "sequence": end.sequence,
        "digest": end.digest,
        "lines": len(lines),
        "repository": repository.location,
    }
    log.add([Entry(ADOPT, actor, this_host(), "done", chain, details=details).record()])
    return len(lines)


def _mirrored_after(repository: Repository, chain: str, here: Head) -> Iterator[Line]:
    """Yield the lines that follow the last one here, as far as each follows the one before it."""
    head = Head(chain)
    for one in repository.audit.read(chain, repository.audit.spans()[chain]):
        for sequence, content in enumerate(one.lines, one.first):
            line = line_of(chain, sequence, content)
            if sequence <= head.sequence:
                continue
            if content_fault(head, line, content) or (sequence == here.sequence and line.digest != here.digest):
                return
            head = line.head
            if sequence > here.sequence:
                yield line
