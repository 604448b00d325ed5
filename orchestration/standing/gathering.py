"""Gather how things stand, also while half of the system is down: the one document that `holdfast status` and the HTTP API give.

Nothing is started to answer. Each part is asked by itself and waited for a few seconds; one that does not answer is reported as
just that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.backup_types import TYPES
from holdfast.errors import HoldfastError
from holdfast.patience import Askers
from orchestration.looking import judged, with_open
from orchestration.masking import hide_all_of
from orchestration.standing import catalog, copies, documents, part, prefect, replicas, repository
from orchestration.standing.catalog import CatalogSeen
from orchestration.standing.part import Report, wrong
from orchestration.standing.prefect import PrefectSeen
from orchestration.standing.repository import Known, RepositorySeen
from orchestration.standing.sources import source_of

if TYPE_CHECKING:
    from holdfast.alarms import Judgement
    from holdfast.overview import Overview
    from holdfast.settings import Settings
    from holdfast.storage.replica import Replica

_FIRST_SECONDS = 5.0
_STORAGES_SECONDS = 8.0
_CATALOG, _PREFECT, _PRIMARY = "the catalog", "the Prefect server", "the primary storage"


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """How things stand at one moment: what was seen of the primary, what that is judged to be, and the document of everything.

    `unseen` is why the primary could not be looked at.
    """

    overview: Overview
    judgement: Judgement
    document: Report
    unseen: HoldfastError | None = None


class Gathering:
    """What gathers, again and again: a part that hangs is not asked anew before it has answered."""

    def __init__(
        self,
        find: replicas.Find | None = None,
        *,
        first_seconds: float = _FIRST_SECONDS,
        storages_seconds: float = _STORAGES_SECONDS,
    ) -> None:
        self._askers = Askers()
        self._find = find
        self._first_seconds = first_seconds
        self._storages_seconds = storages_seconds

    def gather(self, settings: Settings) -> Standing:
        """Ask every part. Raises SettingsError where the settings themselves are wrong, and nothing else."""
        hide_all_of(settings)
        said, server = self._first(settings)
        known = Known(said.settings, said.recorded_of, server.due)
        hide_all_of(known.settings)
        ours = replicas.known(known.settings, self._find)
        primary, looks = self._storages(known, ours)
        seen = primary if isinstance(primary, RepositorySeen) else self._stand_in(known, ours, looks)
        return _standing(_Answers(known, said, server, primary, seen, looks))

    def _first(self, settings: Settings) -> tuple[CatalogSeen, PrefectSeen]:
        questions = {_CATALOG: lambda: catalog.read_catalog(settings), _PREFECT: lambda: prefect.read_prefect(settings)}
        answers = self._ask(questions, self._first_seconds)
        said, server = answers[_CATALOG], answers[_PREFECT]
        return (
            catalog.not_read(settings, said) if isinstance(said, HoldfastError) else said,
            prefect.not_read(server) if isinstance(server, HoldfastError) else server,
        )

    def _storages(self, known: Known, ours: Sequence[Replica]) -> tuple[RepositorySeen | HoldfastError, list[copies.Look]]:
        asked = copies.asked_of(ours)
        answers = self._ask({_PRIMARY: repository.of_primary(known), **asked.questions}, self._storages_seconds)
        return answers.pop(_PRIMARY), asked.looks(answers)

    def _stand_in(self, known: Known, ours: Sequence[Replica], looks: Sequence[copies.Look]) -> RepositorySeen | None:
        """Look at the first replica that can be opened, where the primary can't be."""
        copy_in = {look.name: look.copy for look in looks if look.copy is not None}
        for replica in ours:
            if replica.name in copy_in:
                name = f"the repository in {replica.name}"
                question = repository.of_replica(replica, copy_in[replica.name], known)
                found = self._ask({name: question}, self._storages_seconds)[name]
                if isinstance(found, RepositorySeen):
                    return found
        return None

    def _ask(self, questions: dict[str, Callable[[], Any]], seconds: float) -> dict[str, Any]:
        return self._askers.ask_all({name: part.foreseen(ask) for name, ask in questions.items()}, seconds)


@dataclass(frozen=True, slots=True)
class _Answers:
    """What each part has said. `seen` is the repository that all else is told of: the primary, or what stands in for it."""

    known: Known
    catalog: CatalogSeen
    prefect: PrefectSeen
    primary: RepositorySeen | HoldfastError
    seen: RepositorySeen | None
    looks: list[copies.Look]


def _standing(found: _Answers) -> Standing:
    """Judge the primary, and nothing in its stead: what a replica holds says nothing of it."""
    error = found.primary if isinstance(found.primary, HoldfastError) else None
    of_primary = found.primary.overview if isinstance(found.primary, RepositorySeen) else repository.unseen(found.known)
    judgement = with_open(judged(of_primary, found.known.settings), found.prefect.opened)
    shown = found.seen.overview if found.seen is not None else of_primary
    return Standing(of_primary, judgement, _document(found, shown, judgement), error)


def _document(found: _Answers, overview: Overview, judgement: Judgement) -> Report:
    settings, rows, seen = found.known.settings, found.catalog.rows, found.seen
    last_good = None if seen is None else seen.last_good
    read_from = seen.name if seen is not None and seen is not found.primary else None
    return {
        "at": overview.at,
        "home": settings.home,
        "target": settings.target,
        "parts": _parts(found),
        "repository": {**repository.report(found.primary), "readFrom": read_from},
        "replicas": [_replica(look, found.primary) for look in found.looks],
        "catalog": found.catalog.report,
        "prefect": found.prefect.report,
        "api": _api(settings),
        "alarms": documents.alarms(judgement),
        "types": [
            {
                **documents.document(overview.of(kind), last_good, rows),
                "source": source_of(kind, settings),
                "lastRun": catalog.last_run(kind, rows),
            }
            for kind in TYPES
        ],
        "jobs": catalog.jobs_at_work(found.catalog),
        "executions": catalog.executions_at_work(found.catalog),
        "rto": documents.recovery(overview),
        "plans": documents.plans(overview),
        "storage": documents.storage(overview),
        "dedupRatio": overview.storage.dedup_ratio if overview.storage else None,
        "backups": _backups(found),
        "configuration": found.catalog.configuration,
    }


def _parts(found: _Answers) -> Report:
    """Say of each part whether it answered, so that whoever asks sees at once which half of the system is down."""
    storage = found.primary if isinstance(found.primary, HoldfastError) else None
    errors = {"storage": storage, "catalog": found.catalog.error, "prefect": found.prefect.error}
    told = {name: {"ok": True} if error is None else wrong(error) for name, error in errors.items()}
    if found.prefect.error is None:
        told["worker"] = _worker(found.prefect.report)
    return told | {f"replica {look.name}": {"ok": True} if look.error is None else wrong(look.error) for look in found.looks}


def _worker(server: Report) -> Report:
    if server["workerOnline"]:
        return {"ok": True}
    idle = [one["name"] for one in server["workPools"] if not one["workersOnline"]]
    said = f"no worker takes runs from the work pool {', '.join(idle)}" if idle else "whether a worker is online can't be asked"
    step = "'holdfast serve' runs one; so does 'prefect worker start --pool NAME'. What is due waits until then"
    return {"ok": False, "code": None, "error": said, "reason": None, "nextStep": step}


def _api(settings: Settings) -> Report:
    """Say whether a token protects the HTTP API."""
    from holdfast.tokens import Tokens

    try:
        return {"ok": True, "protected": bool(Tokens.of(settings).all())}
    except HoldfastError as error:
        return {**wrong(error), "protected": None}


def _replica(look: copies.Look, primary: RepositorySeen | HoldfastError) -> Report:
    """Describe a replica: how many backups it holds, and how many of the primary's it lacks."""
    if look.copy is None:
        names = ("location", "kind", "offsite", "asOf", "backups", "behind")
        told = wrong(look.error) if look.error is not None else {"ok": False}
        return {"name": look.name, **dict.fromkeys(names), **told}
    (where,) = copies.documents([look.copy])
    return {
        "name": look.name,
        "ok": True,
        **{name: where[name] for name in ("location", "kind", "offsite", "asOf")},
        "backups": len(look.held),
        "behind": len(primary.intact - look.held.keys()) if isinstance(primary, RepositorySeen) else None,
    }


def _backups(found: _Answers) -> list[Report]:
    """Tell of the newest backups where each lies, and whether 3-2-1 holds for it."""
    here = found.primary.copy if isinstance(found.primary, RepositorySeen) else None
    recorded = copies.recorded_in(found.catalog.rows)

    def placed(job: Report) -> Report:
        in_primary = here if job["status"] == "completed" else None
        places = copies.copies_of(job["jobId"], in_primary, found.looks, recorded.get(job["jobId"], []))
        known = {name: job[name] for name in ("jobId", "type", "snapshotAt")}
        return {**known, "copies": copies.documents(places), "threeTwoOne": copies.rule(places)}

    return [placed(job) for job in (found.seen.newest if found.seen is not None else [])]


def gathered(settings: Settings, find: replicas.Find | None = None) -> Standing:
    """Gather once."""
    return Gathering(find).gather(settings)
