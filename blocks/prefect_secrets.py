"""The Secret blocks of a Prefect server as a place of secrets. Values are asked for only to be digested."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, ClassVar

from prefect.blocks.system import Secret
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL

from blocks.server import asked
from blocks.server_objects import Json, ServerObjects, ask, block_name, read_all
from holdfast.errors import NotFoundError, RefusedError
from holdfast.repository import canonical
from holdfast.sources.contract import LeftOut
from holdfast.sources.secrets.contract import (
    Digest,
    RestoredSecrets,
    Rotation,
    SecretProvider,
    SecretRecord,
    SecretsFound,
    new_value,
    placeholder,
    require_replaceable,
    state_of,
)

_SLUG = "secret"
_NAME = re.compile(r"[a-z0-9-]+")
_REFERENCE = re.compile(r"(?:\bprefect\.blocks\.secret\.|\bsecret/)([a-z0-9-]+)")


class PrefectSecrets(SecretProvider):
    """The Secret blocks of the server that Prefect's settings name."""

    kind: ClassVar[str] = "prefect"
    can_rotate = True
    can_restore = True

    @property
    def description(self) -> Json:
        return {"kind": self.kind, "name": self.name, "server": _without_credentials(PREFECT_API_URL.value())}

    def read(self, digest: Digest) -> SecretsFound:
        """Where a secret is used is known of blocks, deployments, work pools, automations and variables that name it.

        Raises PrefectUnreachableError.
        """
        with asked("it keeps the Secret blocks"), get_client(sync_client=True) as client:
            found = _secret_blocks(client)
            users = _users(ServerObjects.fetch(client))
        records = [self._record(block, digest, users) for block in sorted(found, key=lambda block: str(block["name"]))]
        return SecretsFound(records)

    def rotate(self, name: str) -> Rotation:
        """Raises NotFoundError; RefusedError for a value that no random text can stand for; PrefectUnreachableError."""
        with asked("it keeps the Secret blocks"), get_client(sync_client=True) as client:
            block = next((one for one in _secret_blocks(client) if one["name"] == name), None)
            if block is None:
                raise NotFoundError(f"there is no Secret block {name!r}")
            value = block["data"].get("value")
            if not isinstance(value, str):
                raise RefusedError(
                    f"the Secret block {name!r} was not changed",
                    reason="its value is no text but JSON, of which only its users know what may be in it",
                    next_step="Change it by hand",
                )
            require_replaceable(f"the Secret block {name!r}", value)
            with asked(f"the value of {name!r} may be the old one or the new one"):
                changed = {"data": {"value": new_value()}, "merge_existing_data": False}
                ask(client, "PATCH", f"/block_documents/{block['id']}", changed)
        return Rotation(self.name, name, canonical.now())

    def restore(self, records: Iterable[SecretRecord], *, dry_run: bool = False) -> RestoredSecrets:
        """Raises PrefectUnreachableError."""
        done = RestoredSecrets(self.name, dry_run)
        with asked("it is to keep the Secret blocks"), get_client(sync_client=True) as client:
            present = {str(block["name"]) for block in _secret_blocks(client)}
            for name in sorted({record.name for record in records}):
                if not _NAME.fullmatch(name):
                    done.left_out.append(LeftOut(name, "it can't be the name of a block"))
                elif name in present or not (dry_run or _created(name)):
                    done.kept.append(name)
                else:
                    done.created.append(name)
        return done

    def _record(self, block: Json, digest: Digest, users: dict[str, set[str]]) -> SecretRecord:
        value = _bytes(block["data"].get("value"))
        return SecretRecord(
            provider=self.name,
            name=block["name"],
            digest=digest(value),
            created_at=datetime.fromisoformat(block["created"]),
            changed_at=datetime.fromisoformat(block["updated"]),
            used_in=sorted(users[block["name"]]),
            attributes={"state": state_of(value)},
        )


def _secret_blocks(client: SyncPrefectClient) -> list[Json]:
    kind = {"slug": {"any_": [_SLUG]}}
    return read_all(client, "/block_documents/filter", block_types=kind, include_secrets=True)


def _created(name: str) -> bool:
    """Make a block with a placeholder; tell whether we did, or somebody else was quicker."""
    try:
        Secret(value=placeholder()).save(name)
    except ValueError as error:
        if not isinstance(error.__cause__, ObjectAlreadyExists):
            raise
        return False
    return True


def _users(objects: ServerObjects) -> dict[str, set[str]]:
    """Name, for each secret, what refers to it."""
    found: dict[str, set[str]] = defaultdict(set)
    for user, value in _possible_users(objects):
        for name in _REFERENCE.findall(json.dumps(value)):
            found[name].add(user)
    for block in objects.blocks:
        for nested in (one["block_document"] for one in block["block_document_references"].values()):
            if nested["block_type"]["slug"] == _SLUG:
                found[nested["name"]].add(f"block {block_name(block)}")
    return found


def _possible_users(objects: ServerObjects) -> Iterator[tuple[str, Any]]:
    yield from ((f"deployment {objects.deployment_name(one)}", one) for one in objects.deployments)
    yield from ((f"work pool {one['name']}", one) for one in objects.work_pools)
    yield from ((f"automation {one['name']}", one) for one in objects.automations)
    yield from ((f"variable {one['name']}", one["value"]) for one in objects.variables)


def _bytes(value: Any) -> bytes:
    """What is digested: a text as it is, else its JSON."""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else canonical.to_bytes({"value": value})


def _without_credentials(url: str | None) -> str | None:
    return re.sub(r"//[^/@]*@", "//", url) if url else None
