"""What a restore of Prefect's objects did, or would do in a dry run."""

from __future__ import annotations

from dataclasses import dataclass, field

from blocks.server_objects import Json
from holdfast.sources.contract import LeftOut


@dataclass(slots=True)
class RestoreReport:
    """Objects as `kind/name`, such as `deployments/restore/restore`.

    `changed` has, for each, the paths of the fields that differed. `more` are there and not in the document; they were left
    alone. `left_out` are what could not be brought back, or not whole. `replaced` is a document of what was changed, as it was
    before, with secrets where the one that was restored has them: to restore it takes the changes back; what was created stays.
    """

    dry_run: bool
    created: list[str] = field(default_factory=list)
    changed: dict[str, list[str]] = field(default_factory=dict)
    same: list[str] = field(default_factory=list)
    more: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    replaced: Json = field(default_factory=dict, repr=False)

    def to_json(self) -> Json:
        return {
            "dry_run": self.dry_run,
            "created": self.created,
            "changed": self.changed,
            "same": self.same,
            "more": self.more,
            "left_out": [{"name": one.name, "reason": one.reason} for one in self.left_out],
            "replaced": self.replaced,
        }
