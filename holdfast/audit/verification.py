"""Proving the audit log: each chain by itself, in the catalog and in the repository, and one against the other.

Either may be gone, and then the other is proven alone. The repository is read first: what it holds, the catalog holds as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from holdfast.audit.chain import Fault, Head, Line, content_fault, follow, line_of
from holdfast.catalog.audit_log import AuditLog
from holdfast.errors import AuditBrokenError
from holdfast.repository.audit_objects import AuditObjects, MirroredLines

Json = dict[str, Any]

ADOPT = "audit.adopt"
"""The action of the entry that says up to where a former chain was taken over, and with which digest."""

_ADOPTS = f'"action":"{ADOPT}"'


@dataclass
class ChainVerdict:
    """What was found of one chain; `digests` are of the lines that hold, by place."""

    chain: str
    goes_on: bool = False
    in_catalog: dict[int, str] = field(default_factory=dict)
    mirrored: dict[int, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def lines(self) -> int:
        return max(len(self.in_catalog), len(self.mirrored))

    @property
    def mirrored_to(self) -> int:
        return max(self.mirrored, default=0)

    @property
    def last(self) -> int:
        return max((*self.in_catalog, *self.mirrored), default=0)

    def document(self) -> Json:
        return {
            "chain": self.chain,
            "goesOn": self.goes_on,
            "lines": self.lines,
            "last": self.last,
            "lastDigest": self.in_catalog.get(self.last) or self.mirrored.get(self.last),
            "mirroredTo": self.mirrored_to,
            "faults": [fault.document() for fault in self.faults],
        }


@dataclass
class Verification:
    """What was found of the whole log; a note says what could not be looked at."""

    chains: list[ChainVerdict]
    waiting: int
    notes: list[str]

    @property
    def faults(self) -> list[Fault]:
        return [fault for chain in self.chains for fault in chain.faults]

    @property
    def ok(self) -> bool:
        return not self.faults

    @property
    def not_mirrored(self) -> int:
        """How many lines only the catalog has."""
        return sum(len(chain.in_catalog.keys() - chain.mirrored.keys()) for chain in self.chains)

    def document(self) -> Json:
        """Describe it as answers and `--json` do."""
        return {
            "ok": self.ok,
            "chains": [chain.document() for chain in self.chains],
            "waiting": self.waiting,
            "notMirrored": self.not_mirrored,
            "firstFault": self.faults[0].document() if self.faults else None,
            "notes": self.notes,
        }

    def error(self) -> AuditBrokenError:
        """Make the error that names the first line that is not what it was."""
        return AuditBrokenError(
            "the audit log was changed",
            reason=str(self.faults[0]),
            next_step="Keep catalog and repository as they are, and find out who could write to them (docs/audit.md)",
        )


def verify(log: AuditLog | None, objects: AuditObjects | None, *, waiting: int = 0, notes: Iterable[str] = ()) -> Verification:
    """Prove what there is of the log; None for what can't be reached. Raises what catalog and storage raise."""
    verdicts: dict[str, ChainVerdict] = {}
    if objects is not None:
        for chain, spans in objects.spans().items():
            verdicts[chain] = verdict = ChainVerdict(chain)
            _prove_mirror(verdict, objects.read(chain, spans))
    if log is not None:
        _prove_catalog(log, verdicts)
    return Verification(sorted(verdicts.values(), key=lambda one: (one.goes_on, one.chain)), waiting, list(notes))


def _prove_catalog(log: AuditLog, verdicts: dict[str, ChainVerdict]) -> None:
    adoptions: list[Line] = []
    for known in log.chains():
        verdict = verdicts.setdefault(known.id, ChainVerdict(known.id))
        verdict.goes_on = known.goes_on
        adoptions += _prove_lines(verdict, log)
    for verdict in verdicts.values():
        _compare(verdict)
    for line in adoptions:
        _prove_adoption(line, verdicts)


def _prove_lines(verdict: ChainVerdict, log: AuditLog) -> list[Line]:
    """Follow a chain in the catalog; return its lines that speak of another chain."""
    adoptions: list[Line] = []
    for found in follow(verdict.chain, log.lines(verdict.chain)):
        if isinstance(found, Fault):
            verdict.faults.append(Fault(found.chain, found.sequence, f"in the catalog {found.what}"))
            return adoptions
        verdict.in_catalog[found.sequence] = found.digest
        if _ADOPTS in found.text:
            adoptions.append(found)
    column = log.column_fault(verdict.chain)
    if column is not None:
        verdict.faults.append(Fault(verdict.chain, column, "in the catalog its columns say something else than it does"))
    return adoptions


def _prove_mirror(verdict: ChainVerdict, objects: Iterable[MirroredLines]) -> None:
    """Follow a chain in the repository, where lines may be there twice if they say the same."""
    head = Head(verdict.chain)
    for line, content in _mirrored(verdict, objects):
        if line.sequence <= head.sequence:
            if verdict.mirrored[line.sequence] != line.digest:
                verdict.faults.append(
                    Fault(line.chain, line.sequence, "in the repository two objects say different things of it")
                )
                return
            continue
        what = content_fault(head, line, content)
        if what is not None:
            verdict.faults.append(Fault(line.chain, head.sequence + 1, f"in the repository {what}"))
            return
        head = line.head
        verdict.mirrored[line.sequence] = line.digest


def _mirrored(verdict: ChainVerdict, objects: Iterable[MirroredLines]) -> Iterator[tuple[Line, Json]]:
    for one in objects:
        if one.damaged is not None:
            verdict.faults.append(Fault(verdict.chain, one.first, f"the object {one.name} is damaged: {one.damaged}"))
            continue
        for sequence, content in enumerate(one.lines, one.first):
            yield line_of(verdict.chain, sequence, content), content


def _compare(verdict: ChainVerdict) -> None:
    """Compare what holds in the catalog with what holds in the repository."""
    broken_at = min((fault.sequence for fault in verdict.faults if fault.what.startswith("in the catalog")), default=None)
    for sequence, digest in sorted(verdict.mirrored.items()):
        if broken_at is not None and sequence >= broken_at:
            return
        here = verdict.in_catalog.get(sequence)
        if here == digest:
            continue
        what = (
            "the catalog says something else than the repository" if here else "the catalog lacks it, and the repository has it"
        )
        if here is None and not verdict.in_catalog:
            what += "; where the catalog was lost, 'holdfast repo rebuild-catalog' takes it over"
        verdict.faults.append(Fault(verdict.chain, sequence, what))
        verdict.faults.sort(key=lambda fault: fault.sequence)
        return


def _prove_adoption(line: Line, verdicts: dict[str, ChainVerdict]) -> None:
    """Prove that a former chain ends as it did when it was taken over."""
    content = line.content()
    chain, details = str(content["subject"]), content["details"]
    former = verdicts.get(chain)
    sequence, digest = details.get("sequence"), details.get("digest")
    if former is None:
        verdicts[line.chain].faults.append(Fault(chain, 1, "it is missing, with its whole chain, that was taken over"))
    elif not former.faults and former.in_catalog.get(sequence) != digest:
        former.faults.append(Fault(chain, sequence, "it is not the last one that was taken over"))
