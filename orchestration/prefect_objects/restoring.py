"""Bring Prefect's objects back to what a document says: make what is missing, change what differs, leave alone what is more.

Doing it again changes nothing. One object that can't be brought back does not keep the others from it: it is named in the report.
"""

from __future__ import annotations

from collections.abc import Collection

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectHTTPStatusError

from blocks.server import asked
from blocks.server_objects import Json, ServerObjects
from holdfast.errors import NotFoundError, RefusedError, SettingsError
from holdfast.sources.configuration.prefect_diff import KINDS, changed_fields
from holdfast.sources.contract import LeftOut
from orchestration.prefect_objects.leaving_out import filled, left_out_paths, without_marks
from orchestration.prefect_objects.reading import SCHEMA, document_of, project_objects
from orchestration.prefect_objects.references import References, UnknownReferenceError
from orchestration.prefect_objects.restore_report import RestoreReport
from orchestration.prefect_objects.writing import Writer

_REFUSED = {400, 404, 409, 422, 500}  # for what the object is; any other answer would be the same for all
_PLANNED = "00000000-0000-0000-0000-000000000000"


def restore_prefect_objects(document: Json, *, only: Collection[str] = (), dry_run: bool = False) -> RestoreReport:
    """Restore all of a document of `read_prefect_objects`, or `only` kinds (`variables`) and objects (`variables/limit`).

    Raises PrefectUnreachableError, after which another run goes on; NotFoundError, SettingsError, RefusedError for a wrong wish.
    """
    chosen = _chosen(document, only)
    with asked("it is to get its deployments back"), get_client(sync_client=True) as client:
        restore = _Restore(client, chosen, dry_run)
        restore.run()
    restore.report.replaced = document_of(restore.replaced, include_secrets=document.get("secrets_included", False))
    restore.report.more = restore.more(document, _whole_kinds(only))
    return restore.report


def _chosen(document: Json, only: Collection[str]) -> dict[str, Json]:
    if document.get("schema") != SCHEMA:
        raise RefusedError(
            "Prefect's objects can't be restored from this document",
            reason=f"its schema is {document.get('schema')!r}, and this Holdfast knows {SCHEMA}",
            next_step="Use the Holdfast that wrote it, or a newer one",
        )
    kinds: dict[str, Json] = {kind: document.get(kind, {}) for kind in KINDS}
    if not only:
        return kinds
    chosen: dict[str, Json] = {kind: {} for kind in KINDS}
    for wish in only:
        kind, _, name = wish.partition("/")
        if kind not in kinds:
            raise SettingsError(f"There is no kind {kind!r} of Prefect's objects", next_step=f"Use one of: {', '.join(KINDS)}")
        if name and name not in kinds[kind]:
            raise NotFoundError(f"The backup has no {wish!r}")
        chosen[kind] |= {name: kinds[kind][name]} if name else kinds[kind]
    return chosen


def _whole_kinds(only: Collection[str]) -> list[str]:
    return [kind for kind in KINDS if not only or kind in only]


class _Restore:
    """One restore: what is to be, what lives, and what was done so far."""

    def __init__(self, client: SyncPrefectClient, chosen: dict[str, Json], dry_run: bool) -> None:
        objects = ServerObjects.fetch(client)
        self._references = References(objects)
        self._chosen = chosen
        self._live = project_objects(objects, self._references, chosen)
        self._writer = Writer(client, self._references, self._live.automation_ids)
        # With the blocks: their names are no secrets in what was replaced.
        self.replaced: dict[str, dict[str, Json]] = {kind: {} for kind in KINDS} | {"blocks": self._live.kinds["blocks"]}
        self.report = RestoreReport(dry_run=dry_run)

    def run(self) -> None:
        for kind in ("work_pools", "work_queues", "flows", "deployments", "variables"):
            for name, wanted in sorted(self._chosen[kind].items(), key=_order):
                try:
                    self._restore(kind, name, wanted)
                except UnknownReferenceError as error:
                    self._leave_out(f"{kind}/{name}", str(error))
        self._restore_automations()
        self._name_missing_blocks()

    def more(self, document: Json, kinds: list[str]) -> list[str]:
        """Name what lives and is not in the document."""
        return [
            f"{kind}/{name}" for kind in kinds for name in sorted(self._live.kinds[kind].keys() - document.get(kind, {}).keys())
        ]

    def _restore(self, kind: str, name: str, wanted: Json) -> None:
        live = self._live.kinds[kind].get(name)
        value = filled(wanted, live)
        missing = list(left_out_paths(value))
        value = without_marks(value)
        fields = [change["field"] for change in changed_fields(live, value)] if live is not None else []
        if live is not None and not fields:
            self.report.same.append(f"{kind}/{name}")
        elif reason := self._impossible(kind, value, live):
            self._leave_out(f"{kind}/{name}", reason)
            return
        elif self._written(kind, name, value, live):
            self._note(kind, name, live, fields)
        for path in missing:
            self._leave_out(f"{kind}/{name} {path}", "it looks like a secret, so the backup has it not: set it again")

    def _impossible(self, kind: str, value: Json, live: Json | None) -> str | None:
        """Say why an object can't be written, where that can be known before."""
        if kind == "variables" and "value" not in value:
            return "its value looks like a secret, so the backup has it not: set it again"
        if kind == "work_pools" and live is not None and live["type"] != value["type"]:
            return f"it is of the type {live['type']}, and a work pool's type can't be changed to {value['type']}"
        if kind == "deployments" and (pool := value["work_pool_name"]) and not self._references.knows("work_pool", pool):
            return f"the work pool {pool} is not there"
        return None

    def _written(self, kind: str, name: str, value: Json, live: Json | None) -> bool:
        if self.report.dry_run:
            self._references.resolved(value)
            self._references.add(kind.removesuffix("s"), name, _PLANNED)
            return True
        try:
            self._writer.write(kind, name, value, live)
        except PrefectHTTPStatusError as error:
            status = error.response.status_code
            if status not in _REFUSED:
                raise
            # What the server says of it may repeat its values.
            self._leave_out(f"{kind}/{name}", f"the Prefect server refuses it with {status}")
            return False
        return True

    def _note(self, kind: str, name: str, live: Json | None, fields: list[str]) -> None:
        if live is None:
            self.report.created.append(f"{kind}/{name}")
        else:
            self.report.changed[f"{kind}/{name}"] = fields
            self.replaced[kind][name] = live

    def _restore_automations(self) -> None:
        """Restore those first that others refer to: what refers to what is not there yet waits, as long as something comes."""
        waiting = dict(sorted(self._chosen["automations"].items()))
        reasons: dict[str, str] = {}
        while waiting:
            before = list(waiting)
            for name in before:
                try:
                    self._restore("automations", name, waiting[name])
                except UnknownReferenceError as error:
                    reasons[name] = str(error)
                else:
                    del waiting[name]
            if len(waiting) == len(before):
                break
        for name in waiting:
            self._leave_out(f"automations/{name}", reasons[name])

    def _name_missing_blocks(self) -> None:
        for name in sorted(self._chosen["blocks"].keys() - self._live.kinds["blocks"].keys()):
            self._leave_out(f"blocks/{name}", "no backup has what is in a block: save it again")

    def _leave_out(self, name: str, reason: str) -> None:
        self.report.left_out.append(LeftOut(name, reason))


def _order(item: tuple[str, Json]) -> tuple[int, str]:
    """Work queues come by priority: to give one a priority moves those behind it."""
    name, value = item
    return value.get("priority") or 0, name
