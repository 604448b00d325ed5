"""Rotation of secrets by name, `provider/name`: which are meant, which were rotated, and what has to be done by hand.

Holdfast's own secrets are never rotated: a random key would open no backup, and a random password no storage. What an execution
has rotated it does not rotate again when it is tried again, for by then somebody may have read the new value; and what somebody
has changed by hand in between counts as rotated, told by its digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, NotFoundError, RefusedError, SettingsError
from holdfast.private_file import write_private
from holdfast.settings.kinds import OUR_VARIABLES, is_secret
from holdfast.sources.configuration.secretness import shown_name
from holdfast.sources.placing import write_errors
from holdfast.sources.secrets.env_file import EnvFile
from holdfast.sources.secrets.postgres_roles import PostgresRoles

if TYPE_CHECKING:
    from holdfast.recovery.deadline import Deadline
    from holdfast.settings import Settings
    from holdfast.sources.secrets.contract import Digest, SecretProvider

Json = dict[str, Any]
_NOWHERE: Mapping[str, str] = MappingProxyType({})
_PREFECT = "prefect"
_ENCRYPTION_KEY = "BACKUP_ENCRYPTION_KEY"


@dataclass(frozen=True, slots=True)
class ByHand:
    """A secret that was not rotated: why, and what to do."""

    name: str
    why: str
    next_step: str | None = None
    retryable: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.why}" + (f". {self.next_step}" if self.next_step else "")

    def document(self) -> Json:
        """Describe it as a step's output does."""
        return {"name": self.name, "why": self.why, "nextStep": self.next_step}

    @classmethod
    def of(cls, name: str, error: HoldfastError) -> ByHand:
        """Say it of an error."""
        return cls(name, error.what_and_why, error.next_step, error.retryable)


@dataclass(slots=True)
class Rotated:
    """What came of a rotation: names alone."""

    done: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    """Rotated by an earlier attempt of this execution, or by hand since."""
    by_hand: list[ByHand] = field(default_factory=list)

    @property
    def all_done(self) -> list[str]:
        return self.before + self.done

    def document(self) -> Json:
        """Describe it as a step's output does."""
        return {"rotated": self.done, "rotatedBefore": self.before, "byHand": [one.document() for one in self.by_hand]}


@dataclass(slots=True)
class Noted:
    """What an execution has rotated, and the digests of what it could not, in a file of the home: no value, and names alone."""

    file: Path
    rotated: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path) -> Noted:
        """Read it; where it can't be read nothing is known, so that all are rotated once more."""
        try:
            said = json.loads(file.read_text("utf-8"))
            return cls(file, [*said["rotated"]], {**said["left"]})
        except (OSError, ValueError, KeyError, TypeError):
            return cls(file)

    def write(self) -> None:
        """Keep it for good."""
        with write_errors(self.file, "written"):
            write_private(self.file, json.dumps({"rotated": self.rotated, "left": self.left}).encode())


class Rotating:
    """Rotates secrets of these providers; `into` says which variable of the `.env` file takes a role's new password."""

    def __init__(
        self, providers: Sequence[SecretProvider], settings: Settings, digest: Digest, into: Mapping[str, str] = _NOWHERE
    ) -> None:
        self._providers = sorted(providers, key=lambda one: len(one.name), reverse=True)
        secret = [name for name, one in type(settings).model_fields.items() if is_secret(one)]
        self._blocks = tuple(f"-{name.replace('_', '-')}" for name in secret)
        self._digest = digest
        self._into = into

    def every_name(self) -> list[str]:
        """Name every secret of all providers. Raises what the providers raise."""
        return [f"{one.name}/{record.name}" for one in self._providers for record in one.read(lambda _: None).records]

    def rotate(self, names: Iterable[str], deadline: Deadline, noted: Noted) -> Rotated:
        """Rotate these, each on its own; what one refuses hinders no other. Raises TimeLimitError."""
        found = Rotated()
        for name in names:
            if name in noted.rotated or self._was_changed(name, noted):
                found.before.append(name)
                continue
            deadline.require()
            try:
                self._rotate(*self.found(name))
            except HoldfastError as error:
                found.by_hand.append(ByHand.of(shown_name(name), error))
                self._note_left(name, noted)
            else:
                found.done.append(name)
                noted.rotated.append(name)
                noted.write()
        return found

    def rehearse(self, names: Iterable[str], deadline: Deadline, scratch: Path) -> Rotated:
        """Rotate them in copies of `.env` files, and look of other providers' whether they could be. Raises TimeLimitError."""
        found = Rotated()
        copies: dict[str, EnvFile] = {}
        with ExitStack() as held:
            for name in names:
                deadline.require()
                try:
                    provider, secret = self.found(name)
                    if isinstance(provider, EnvFile):
                        if provider.name not in copies:
                            folder = scratch / str(len(copies))
                            folder.mkdir(mode=0o700)
                            copies[provider.name] = provider.copied_to(folder)
                            held.callback(copies[provider.name].close)
                        copies[provider.name].rotate(secret)
                    else:
                        self._require_able(provider, secret)
                except HoldfastError as error:
                    found.by_hand.append(ByHand.of(shown_name(name), error))
                else:
                    found.done.append(name)
        return found

    def found(self, name: str) -> tuple[SecretProvider, str]:
        """Tell the provider and the secret. Raises NotFoundError, and RefusedError for a secret of Holdfast's own."""
        for provider in self._providers:
            if name.startswith(f"{provider.name}/"):
                secret = name.removeprefix(f"{provider.name}/")
                self._require_not_ours(provider, secret)
                return provider, secret
        known = ", ".join(sorted(one.name for one in self._providers)) or "none"
        raise NotFoundError(
            "no provider of the settings keeps it", reason=f"a secret is named provider/name, and providers are {known}"
        )

    def _require_not_ours(self, provider: SecretProvider, secret: str) -> None:
        """Raises RefusedError for a variable of ours, and for the Secret block in which a target's settings travel."""
        is_block = provider.kind == _PREFECT and f"-{secret}".endswith(self._blocks)
        if secret == _ENCRYPTION_KEY or (is_block and secret.endswith("encryption-key")):
            raise RefusedError(
                "it opens the repository, and a random text would open nothing",
                next_step="Run: holdfast keys rotate; then change it where it is set",
            )
        if is_block or secret.startswith(OUR_VARIABLES):
            raise RefusedError(
                "it is a setting of Holdfast's own, and a random text would lock Holdfast out",
                next_step="Change it at the service that it belongs to, then in Holdfast's settings, then run: holdfast init",
            )

    def _was_changed(self, name: str, noted: Noted) -> bool:
        """Tell whether somebody has given a new value to what an earlier attempt could not."""
        return name in noted.left and (digest := self._digest_of(name)) is not None and digest != noted.left[name]

    def _note_left(self, name: str, noted: Noted) -> None:
        digest = None if name in noted.left else self._digest_of(name)
        if digest is not None:
            noted.left[name] = digest
            noted.write()

    def _digest_of(self, name: str) -> str | None:
        """Digest the value as it is now; None where that can't be told."""
        for provider in self._providers:
            if name.startswith(f"{provider.name}/"):
                try:
                    records = provider.read(self._digest).records
                except HoldfastError:  # whoever rotates is told of it
                    return None
                return next((one.digest for one in records if f"{provider.name}/{one.name}" == name), None)
        return None

    def _rotate(self, provider: SecretProvider, secret: str) -> None:
        if not isinstance(provider, PostgresRoles):
            provider.rotate(secret)
            return
        variable = self._into.get(f"{provider.name}/{secret}")
        if variable is None:
            provider.rotate(secret)  # which refuses it, with what to do
            return
        file = self._env_file()
        provider.rotate(secret, deliver=lambda password: file.put(variable, password))

    def _require_able(self, provider: SecretProvider, secret: str) -> None:
        if not provider.can_rotate:
            provider.rotate(secret)  # which refuses it, and says what to do
        if secret not in {record.name for record in provider.read(lambda _: None).records}:
            raise NotFoundError(f"there is no {secret!r} at {provider.name}")
        if isinstance(provider, PostgresRoles):
            if f"{provider.name}/{secret}" not in self._into:
                raise RefusedError(
                    "nobody would know its new password", next_step="Name where it is to be kept, in the step's 'into'"
                )
            self._env_file()

    def _env_file(self) -> EnvFile:
        for provider in self._providers:
            if isinstance(provider, EnvFile):
                return provider
        raise SettingsError("there is no .env file that its new password could go to", next_step="Set BACKUP_SECRETS_ENV_FILE")
