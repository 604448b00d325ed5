"""The guide's configuration: `initialize_backup` and `update_backup_config` keep settings in the catalog's `backup_config`.

What the operator sets by hand (environment, `.env`) goes before what is kept here, and that before the defaults. Secrets are
never kept, and neither is what only makes sense on one host: both are refused, with the variable that they belong in.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from holdfast.errors import SettingsError
from holdfast.settings import Settings, load_settings
from holdfast.settings.keys import NESTED, field_of, flat, kept_in_catalog, key_of, near_key, variable_of
from holdfast.settings.kinds import is_secret
from holdfast.settings.loading import judge, set_by_hand, with_stored
from holdfast.settings.outside import why_not
from holdfast.settings.topics import TOPICS

if TYPE_CHECKING:
    from holdfast.catalog import Catalog

MASK = "****"
OVERRIDDEN = "overridden"

_URLS = frozenset({"database_url", "catalog_url", "scratch_url"})

_log = logging.getLogger("holdfast.configuration")


def initialize_backup(*, catalog: Catalog | None = None, **updates: Any) -> dict[str, Any]:
    """Make the catalog where there is none, keep these settings in it, and return the configuration in force.

    Settings that were kept before and are not named stay as they are. Raises SettingsError, with nothing changed.
    """
    return update_backup_config(catalog=catalog, **updates)


def update_backup_config(*, catalog: Catalog | None = None, **updates: Any) -> dict[str, Any]:
    """Change settings by the guide's names, in camelCase or snake_case; None goes back to the default.

    Return the configuration in force; its `overridden`, where there is one, names kept settings that a variable goes before.
    Raises SettingsError, which tells all that is wrong at once, with nothing changed.
    """
    return _update(_changes(updates), catalog)


def update_from_outside(updates: Mapping[str, Any], catalog: Catalog) -> dict[str, Any]:
    """Change settings for whoever asks by the HTTP API: only those that `settings.outside` lists; others may stay as they are.

    Raises SettingsError, which tells all that is wrong at once, with nothing changed.
    """
    return _update(_changes(updates, load_settings(catalog)), catalog)


def _update(changes: Mapping[str, Any], catalog: Catalog | None) -> dict[str, Any]:
    with _opened(catalog) as opened:
        before = _kept(opened.config())
        judged = judge(changes, before)
        kept = {key_of(field): None if value is None else _plain(judged, field) for field, value in changes.items()}
        with_stored(before | kept)
        for field in changes:
            key = key_of(field)
            opened.set_config(key, kept[key], Settings.model_fields[field].description)
        _tell_overridden(changes)
        return effective_configuration(opened)


def effective_configuration(catalog: Catalog | None = None) -> dict[str, Any]:
    """Return what is in force, under the guide's names; secrets are masked, and passwords left out of URLs."""
    with _opened(catalog) as opened:
        stored = opened.config()
    settings = load_settings(catalog=_Kept(stored))
    shown: dict[str, Any] = {}
    for field in (field for topic in TOPICS for field in topic.model_fields):
        group, _, inner = key_of(field).partition(".")
        if inner:
            shown.setdefault(group, {})[inner] = _shown(settings, field)
        else:
            shown[group] = _shown(settings, field)
    shown[NESTED]["path"] = str(settings.storage_settings.path)
    if overridden := _overridden(_kept(stored)):
        shown[OVERRIDDEN] = overridden
    return shown


class _Kept:
    """A configuration that was read already."""

    def __init__(self, stored: dict[str, Any]) -> None:
        self._stored = stored

    def config(self) -> dict[str, Any]:
        return self._stored


@contextmanager
def _opened(catalog: Catalog | None) -> Iterator[Catalog]:
    if catalog is not None:
        yield catalog
        return
    from holdfast.opening import open_catalog

    opened = open_catalog(load_settings())
    try:
        yield opened
    finally:
        opened.close()


def _changes(updates: Mapping[str, Any], for_outside: Settings | None = None) -> dict[str, Any]:
    """Name the changes by field. Raises SettingsError for all names that can't be kept.

    `for_outside`: the settings in force, of which not all may be changed by whoever asks.
    """
    changes: dict[str, Any] = {}
    refused: list[str] = []
    for key, value in flat(updates):
        field = field_of(key)
        if field is None:
            refused.append(_unknown(key))
        elif is_secret(Settings.model_fields[field]):
            if value not in (None, MASK):  # what was shown may be sent back as it was shown
                refused.append(
                    f"{key} is a secret and is not kept in the catalog: set {variable_of(field)} in the environment or .env"
                )
        elif not kept_in_catalog(field):
            refused.append(f"{key} belongs to one host: set {variable_of(field)} in the environment or .env")
        elif for_outside is not None and (why := why_not(field, value)):
            if value != _plain(for_outside, field):
                refused.append(f"{key} {why}")
        else:
            changes[field] = value
    if refused:
        raise SettingsError(
            "This configuration can't be kept" if len(refused) == 1 else f"{len(refused)} of these settings can't be kept",
            reason="\n".join(refused),
            next_step="Nothing was changed",
        )
    return changes


def _unknown(key: str) -> str:
    if key == NESTED:
        return f"{NESTED} takes an object, such as {{bucket: …, region: …}}"
    return f"{key} is not a setting{near_key(key)}"


def _kept(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Take the kept settings with a value, one by one."""
    return {key: value for key, value in flat(stored) if value is not None and field_of(key) is not None}


def _overridden(kept: Mapping[str, Any]) -> dict[str, str]:
    by_hand = set_by_hand()
    fields = {key: field_of(key) for key in kept}
    names = {key: variable_of(field) for key, field in fields.items() if field is not None}
    return {key: f"{name} is set in {by_hand[name]}" for key, name in names.items() if name in by_hand}


def _tell_overridden(changes: Mapping[str, Any]) -> None:
    for key, why in _overridden({key_of(field): value for field, value in changes.items()}).items():
        _log.warning("%s was kept, but %s, and that goes before it", key, why)


def _shown(settings: Settings, field: str) -> Any:
    value = getattr(settings, field)
    if not isinstance(value, SecretStr):
        return _plain(settings, field)
    if field not in _URLS:
        return MASK
    from holdfast.postgres.url import DatabaseUrl

    return DatabaseUrl.parse(value).redacted


def _plain(settings: Settings, field: str) -> Any:
    value = getattr(settings, field)
    return str(value) if isinstance(value, Path) else value
