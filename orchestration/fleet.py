"""One target of a fleet: its own home, repository, catalog and blocks, and deployments that carry all that their runs need.

Workers know nothing of a target. Its settings travel in the deployment: plain ones as text, secrets only as references to blocks,
which the worker resolves when a run begins. What is not set is said to be empty, so that a worker's own settings never get in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from blocks.names import own_name
from blocks.saving import register_and_save
from holdfast.errors import SettingsError
from holdfast.opening import open_catalog, open_or_create_repository
from holdfast.settings import WORKING_DIRECTORY, Settings, working_directory
from holdfast.settings.keys import variable_of
from holdfast.settings.kinds import is_secret
from holdfast.settings.loading import known_variables
from orchestration.deployments import deploy
from orchestration.job import in_force
from orchestration.registering import Place, Registered
from orchestration.server import TARGETS

if TYPE_CHECKING:
    from prefect.blocks.core import Block

HOME, TARGET = "HOLDFAST_HOME", "HOLDFAST_TARGET"

_STORAGE = "holdfast-backup-storage/holdfast-storage"
_IN_BLOCKS = {
    "database_url": "holdfast-database-target/holdfast-database/url",
    "encryption_key": "holdfast-encryption-key/holdfast-key/key",
    "storage_access_key": f"{_STORAGE}/access_key",
    "storage_secret_key": f"{_STORAGE}/secret_key",
    "storage_session_token": f"{_STORAGE}/session_token",
    "storage_connection_string": f"{_STORAGE}/connection_string",
}
"""Secrets that a block of ours holds, as type/name/field; for each other one a Secret block is saved."""
_LOGS = {"PREFECT_LOGGING_EXTRA_LOGGERS": "holdfast,orchestration", "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore"}


@dataclass(frozen=True, slots=True)
class Installed:
    """What there is after everything that was missing was made."""

    location: str
    """Of the repository."""
    created: bool
    """Whether the repository was made now."""
    blocks: list[str]
    deployments: list[Registered]


def install(settings: Settings, place: Place) -> Installed:
    """Make the repository, the catalog and the blocks of these settings where they are missing, and register the deployments.

    Raises KeyMissingError before anything is made, and what `deploy` raises.
    """
    repository, created = open_or_create_repository(settings)
    repository.close()
    open_catalog(settings).close()
    blocks = register_and_save(settings, secret_blocks(settings) if settings.target else None)
    return Installed(repository.location, created, blocks, deploy(in_force(settings), place))


@contextmanager
def of_target(base: Settings, target: str | None) -> Iterator[None]:
    """Let the settings that are loaded in the block be the target's: its home lies in the home of all. Raises SettingsError."""
    if target in (None, base.target):
        yield
        return
    if base.target is not None:
        raise SettingsError(f"{TARGET} is {base.target}, so {target} can't be deployed from here", next_step=f"Unset {TARGET}")
    chosen = {HOME: str(base.home / TARGETS / str(target)), TARGET: str(target)}
    before = {name: os.environ.get(name) for name in chosen}
    os.environ.update(chosen)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def environment(settings: Settings) -> dict[str, str]:
    """Say these settings, as they were set by hand, as the variables of a run. Raises SettingsError."""
    fields = {field: getattr(settings, field) for field in Settings.model_fields}
    own = {variable_of(field): _said(settings, field, value) for field, value in fields.items() if _is_set(settings, field)}
    nothing = dict.fromkeys(known_variables(), "")
    placed = {HOME: str(settings.home), WORKING_DIRECTORY: str(working_directory()), **_LOGS}
    return dict(sorted((nothing | own | placed).items()))


def secret_blocks(settings: Settings) -> dict[str, Block | None]:
    """Make the blocks of those secrets that no other block holds, by name; None for one that is not set."""
    from prefect.blocks.system import Secret

    secrets = {
        field: getattr(settings, field)
        for field, described in Settings.model_fields.items()
        if field not in _IN_BLOCKS and is_secret(described)
    }
    return {_block_of(field, settings): None if value is None else Secret(value=value) for field, value in secrets.items()}


def job_variables(texts: list[str], template: Mapping[str, Any]) -> dict[str, Any]:
    """Read KEY=VALUE, each value as the work pool's template wants it. Raises SettingsError."""
    known = template.get("variables", {}).get("properties", {})
    return dict(_job_variable(text, known) for text in texts)


def _is_set(settings: Settings, field: str) -> bool:
    return field in settings.model_fields_set and getattr(settings, field) is not None


def _said(settings: Settings, field: str, value: Any) -> str:
    if isinstance(value, SecretStr):
        return _reference(settings, field)
    if isinstance(value, list):
        text = ",".join(str(one) for one in value)
    else:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    if "{{" in text:
        raise SettingsError(
            f"{variable_of(field)} can't be carried by a deployment", reason="Prefect would take '{{' for its own"
        )
    return text


def _reference(settings: Settings, field: str) -> str:
    if field not in _IN_BLOCKS:
        return f"{{{{ prefect.blocks.secret.{_block_of(field, settings)} }}}}"
    slug, name, attribute = _IN_BLOCKS[field].split("/")
    return f"{{{{ prefect.blocks.{slug}.{own_name(name, settings.target)}.{attribute} }}}}"


def _block_of(field: str, settings: Settings) -> str:
    return own_name(f"holdfast-{field.replace('_', '-')}", settings.target)


def _job_variable(text: str, known: Mapping[str, Any]) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not (key and separator):
        raise SettingsError(f"{text!r} is not KEY=VALUE", next_step="Write it as image=registry/holdfast:1")
    if _is_text(known.get(key, {})):
        return key, value
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _is_text(said: Mapping[str, Any]) -> bool:
    kinds = [one.get("type") for one in [said, *said.get("anyOf", [])]]
    return not said or "string" in kinds


def code_folder(path: Path | None, default: Path) -> Path:
    """Tell where the project lies where runs are carried out; as an absolute path there. Raises SettingsError."""
    if path is None:
        return default
    if not path.is_absolute():
        raise SettingsError(f"{path} is not an absolute path", reason="it is a folder on the workers' hosts, or in their image")
    return path
