"""A setting of the guide's configuration, kept in the catalog. Live schedules follow it by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from holdfast.configuration import update_backup_config
from holdfast.errors import SettingsError
from holdfast.opening import open_catalog
from holdfast.recovery.updating.place import INSTEAD, NO_PLACE, Json, Place, changed_since
from holdfast.settings.keys import field_of, flat, kept_in_catalog, key_of, near_key, variable_of
from holdfast.settings.kinds import is_secret
from holdfast.settings.outside import why_not
from holdfast.settings.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.catalog import Catalog


class KeptSetting(Place):
    """One key of `backup_config`."""

    @classmethod
    def problems(cls, rest: str, value: Any) -> Iterator[str]:
        field = field_of(_camel(rest))
        if field is None:
            yield f"configKey: {rest} is not a setting{near_key(rest)}; others are environment:NAME and file:PATH#a.b.c"
        elif is_secret(Settings.model_fields[field]):
            yield f"configKey: {NO_PLACE}; set {variable_of(field)} by hand. {INSTEAD}"
        elif not kept_in_catalog(field):
            yield f"configKey: {rest} belongs to one host: set {variable_of(field)} in the environment or .env"

    @classmethod
    def why_not_from_outside(cls, rest: str, value: Any) -> str | None:
        field = field_of(_camel(rest))
        if field is None:
            return "it is not a setting"
        why = why_not(field, value)
        return why and f"{rest} {why}"

    def now(self) -> Any:
        with open_catalog(self._settings) as catalog:
            return catalog.config().get(self._name)

    def put(self, value: Any, keep_in: Path) -> None:
        del keep_in
        with open_catalog(self._settings) as catalog:
            update_backup_config(catalog=catalog, **{self._name: value})

    def noted(self, keep_in: Path) -> Json:
        del keep_in
        return {"put": self.now()}

    def undo(self, former: Any, noted: Json) -> None:
        with open_catalog(self._settings) as catalog:
            if catalog.config().get(self._name) != noted["put"]:
                raise changed_since(self.key)
            update_backup_config(catalog=catalog, **{self._name: former})

    def rehearse(self, value: Any, scratch: Path) -> None:
        del scratch
        with open_catalog(self._settings) as catalog:
            kept = _Scratch(catalog.config())
        update_backup_config(catalog=cast("Catalog", kept), **{self._name: value})

    def same(self, there: Any, value: Any) -> bool:
        """Tell by the text: a plan may write 12 as a text, and the catalog keeps it as a number."""
        return there == value or (there is not None and not isinstance(there, dict | list) and str(there) == str(value))

    @property
    def _name(self) -> str:
        field = field_of(_camel(self._rest))
        if field is None:
            raise SettingsError(f"{self._rest} is not a setting{near_key(self._rest)}")
        return key_of(field)


class _Scratch:
    """A configuration that nobody keeps."""

    def __init__(self, stored: Json) -> None:
        self._stored = stored

    def config(self) -> Json:
        return dict(self._stored)

    def set_config(self, key: str, value: Any, description: str | None = None) -> None:
        del description
        self._stored[key] = value


def _camel(name: str) -> str:
    return next(camel for camel, _ in flat({name: None}))
