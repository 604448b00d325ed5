"""What is known of secrets as a source of backups: one document a provider, and no value in any."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import ClassVar

from holdfast.errors import HoldfastError, SettingsError
from holdfast.repository import BackupType
from holdfast.sources.contract import Content, Json, Part, Source
from holdfast.sources.secrets.contract import Digest, SecretProvider, SecretsFound

SCHEMA = 1
NO_DIGESTS = "the repository is not encrypted, so it has no key to digest values under: whether one changed can't be seen"
_PREFIX = "provider/"


def by_name(providers: Sequence[SecretProvider]) -> dict[str, SecretProvider]:
    """Return the providers by their names. Raises SettingsError where two have one name."""
    found = {provider.name: provider for provider in providers}
    if len(found) < len(providers):
        raise SettingsError("two providers of secrets have the same name", next_step="Give each a name of its own")
    return found


class SecretsSource(Source):
    """The secrets of some providers, each a part `provider/<name>`; closing it closes them.

    Raises SettingsError where two have one name.
    """

    type: ClassVar[BackupType] = "secrets"

    def __init__(self, providers: Sequence[SecretProvider], digest: Digest) -> None:
        self._providers = by_name(providers)
        self._digest = digest
        self._found: dict[str, SecretsFound] = {}
        self._lock = threading.Lock()

    @property
    def description(self) -> Json:
        providers = sorted(self._providers)
        return {"kind": "secrets", "name": ", ".join(providers) or "no provider", "providers": providers}

    def parts(self) -> list[Part]:
        """Look into every provider: one that can't be read is a part, too, and reading that raises."""
        for name in self._providers:
            try:
                found = self._looked_at(name)
            except HoldfastError:  # it is told when its part is read
                continue
            with self._lock:
                self._found[name] = found
        if all(name in self._found and not _holds(self._found[name]) for name in self._providers):
            return []
        return [Part(f"{_PREFIX}{name}", "json") for name in sorted(self._providers)]

    def read(self, part: Part) -> Content:
        """Read one provider; what `parts` saw of it is taken once, for it is of the same moment."""
        name = part.name.removeprefix(_PREFIX)
        with self._lock:
            found = self._found.pop(name, None)
        if found is None:
            found = self._looked_at(name)
        notes = [*found.notes] if self._digest(b"") is not None else [*found.notes, NO_DIGESTS]
        document = {
            "schema": SCHEMA,
            "provider": self._providers[name].description,
            "records": [record.to_json() for record in found.records],
            "notes": notes,
        }
        return Content(document=document, facts={"secrets": len(found.records), "notes": notes}, left_out=[*found.left_out])

    def close(self) -> None:
        for provider in self._providers.values():
            provider.close()

    def _looked_at(self, name: str) -> SecretsFound:
        return self._providers[name].read(self._digest)


def _holds(found: SecretsFound) -> bool:
    return bool(found.records or found.left_out)
