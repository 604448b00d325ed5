"""The guide's name of each setting (`databaseBackupInterval`, `backupStorageConfig.bucket`): configuration is kept under it.

A name may be given in camelCase or snake_case; storage may be given nested, as the guide writes it, or with a dot.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.alias_generators import to_camel

from holdfast.settings.api import ApiSettings
from holdfast.settings.kinds import is_secret
from holdfast.settings.settings import Settings

NESTED = "backupStorageConfig"

_STORAGE = "storage_"
_OF_ONE_HOST = frozenset({"home", "encryption_key_file", "metrics_file", "postgres_tools", "target", *ApiSettings.model_fields})


def variable_of(field: str) -> str:
    """Tell the variable of a field, such as BACKUP_DATABASE_INTERVAL."""
    return str(Settings.model_fields[field].validation_alias)


def key_of(field: str) -> str:
    """Tell the guide's name of a field."""
    if field == "storage_type":
        return "backupStorageType"
    if field.startswith(_STORAGE):
        return f"{NESTED}.{to_camel(field.removeprefix(_STORAGE))}"
    return to_camel(field)


FIELDS = {key_of(field): field for field in Settings.model_fields}
_ACCEPTED = FIELDS | {to_camel(field): field for field in Settings.model_fields}


def kept_in_catalog(field: str) -> bool:
    """Tell whether the catalog may keep a field: not what is secret, nor what only makes sense on one host."""
    return not is_secret(Settings.model_fields[field]) and field not in _OF_ONE_HOST


def flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield name and value of each setting, in camelCase, the nested ones with a dot; names that nobody knows too."""
    for name, value in values.items():
        camel = ".".join(to_camel(part) for part in name.split("."))
        if camel == NESTED and isinstance(value, Mapping):
            for inner, inner_value in value.items():
                yield f"{NESTED}.{to_camel(str(inner))}", inner_value
        else:
            yield camel, value


def field_of(key: str) -> str | None:
    """Tell the field of a camelCase name, or None where there is none."""
    return _ACCEPTED.get(key)


def near(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """Say which known names look like this one, as the end of a sentence; "" where none does."""
    by_look = {_look(one): one for one in known}
    found = difflib.get_close_matches(_look(name), by_look, n=3, cutoff=0.75)
    return f" (did you mean {' or '.join(by_look[one] for one in found)}?)" if found else ""


def _look(name: str) -> str:
    """Leave away what says nothing: that letters are large, and beginnings that many names share."""
    return name.lower().removeprefix("backup_").removeprefix(f"{NESTED}.".lower())


def near_key(key: str) -> str:
    """Say which settings look like this name."""
    return near(key, FIELDS)
