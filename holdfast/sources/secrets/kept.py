"""What a backup knows of secrets, read back."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.errors import DamagedError
from holdfast.repository import Manifest, Repository
from holdfast.sources.secrets.contract import Json, SecretRecord
from holdfast.sources.secrets.source import SCHEMA
from holdfast.sources.truth import content_entries, read_document


@dataclass(frozen=True, slots=True)
class KeptSecrets:
    """The records of one provider; `description` says where its secrets were kept."""

    description: Json
    records: list[SecretRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.description["name"])

    @property
    def kind(self) -> str:
        return str(self.description["kind"])

    @classmethod
    def from_json(cls, document: Json) -> KeptSecrets:
        """Read what a secrets source wrote. Raises ValueError."""
        if document.get("schema") != SCHEMA:
            raise ValueError(f"it has schema {document.get('schema')!r}, and this Holdfast reads schema {SCHEMA}")
        try:
            found = cls(
                document["provider"], [SecretRecord.from_json(one) for one in document["records"]], list(document["notes"])
            )
            found.description["name"], found.description["kind"]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a field is missing or wrong ({type(error).__name__})") from error
        return found


def kept_secrets(repository: Repository, manifest: Manifest) -> list[KeptSecrets]:
    """Read what a backup of secrets metadata holds, by provider. Raises DamagedError."""
    found = []
    for entry in content_entries(manifest):
        try:
            found.append(KeptSecrets.from_json(read_document(repository, entry)))
        except ValueError as error:
            raise DamagedError(f"entry {entry.name!r} of backup {manifest.id} can't be read", reason=str(error)) from error
    return found
