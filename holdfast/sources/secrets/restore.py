"""Bring secrets back as far as a backup can: names, tags and rotation settings, with placeholders for values to be filled in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from holdfast.errors import HoldfastError, NotFoundError, RefusedError
from holdfast.sources.contract import LeftOut
from holdfast.sources.secrets.contract import RestoredSecrets, SecretProvider, SecretRecord
from holdfast.sources.secrets.kept import KeptSecrets


@dataclass(frozen=True, slots=True)
class RestoreSecrets:
    """A restore of a backup's records into providers: each to the one of its name, else to the only one of its kind.

    `only` names providers to restore, or secrets as `provider/name`. One provider that fails is told; the others are restored.
    """

    kept: Sequence[KeptSecrets]
    providers: Sequence[SecretProvider]
    only: Collection[str] = ()
    dry_run: bool = False

    def run(self) -> list[RestoredSecrets]:
        """Restore. Raises NotFoundError for what `only` names and the backup has not, and the error of the only provider."""
        chosen = self._chosen()
        done: list[RestoredSecrets] = []
        errors: list[HoldfastError] = []
        for one in chosen:
            try:
                done.append(self._provider_for(one).restore(one.records, dry_run=self.dry_run))
            except HoldfastError as error:
                errors.append(error)
                done.append(RestoredSecrets(one.name, self.dry_run, left_out=[LeftOut(one.name, error.what_and_why)]))
        if errors and len(errors) == len(chosen):
            raise errors[0]
        return done

    def _chosen(self) -> list[KeptSecrets]:
        if not self.only:
            return list(self.kept)
        known = {name for one in self.kept for name in (one.name, *(f"{one.name}/{record.name}" for record in one.records))}
        if missing := sorted(set(self.only) - known):
            raise NotFoundError(f"the backup knows no {missing[0]!r}", next_step="'holdfast secrets list' shows what it knows")
        picked = [KeptSecrets(one.description, self._records(one), one.notes) for one in self.kept]
        return [one for one in picked if one.records or one.name in self.only]

    def _records(self, one: KeptSecrets) -> list[SecretRecord]:
        return [record for record in one.records if {one.name, f"{one.name}/{record.name}"} & set(self.only)]

    def _provider_for(self, kept: KeptSecrets) -> SecretProvider:
        of_kind = [provider for provider in self.providers if provider.kind == kept.kind]
        for provider in of_kind:
            if provider.name == kept.name:
                return provider
        if len(of_kind) == 1:
            return of_kind[0]
        raise RefusedError(
            f"the secrets of {kept.name} were not restored",
            reason=f"the settings name no provider {kept.name}, and {len(of_kind) or 'none'} of kind {kept.kind}",
            next_step="Name it in BACKUP_SECRETS_PROVIDERS or BACKUP_SECRETS_ENV_FILE",
        )
