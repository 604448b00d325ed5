"""Try what is backed up besides the database: functions, configuration and secrets are looked at as a backup does first."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, PrefectUnreachableError, SourceEmptyError
from orchestration.server import use_running_prefect
from orchestration.standing.part import Report

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.sources.contract import Source
    from holdfast.sources.secrets.contract import SecretProvider


def functions(settings: Settings) -> Report:
    """Name the functions."""
    if settings.functions_path is not None:
        from holdfast.sources.functions.directory import FunctionDirectory

        return _looked_at(FunctionDirectory(settings.functions_path), settings)
    from holdfast.sources.functions.supabase import SupabaseFunctions
    from holdfast.sources.supabase import ManagementApi

    project, token = settings.supabase_project or "", settings.supabase_access_token
    assert token is not None  # noqa: S101  without one the type is off, and this is not asked
    return _looked_at(SupabaseFunctions(ManagementApi(settings.supabase_api_url, project, token)), settings)


def configuration(settings: Settings) -> Report:
    """Find the files and variables."""
    from holdfast.sources.configuration.source import ConfigurationOptions, ConfigurationSource

    return _looked_at(ConfigurationSource(ConfigurationOptions.of(settings)), settings)


def secrets(settings: Settings) -> Report:
    """Read from each provider what there is; values are digested by nobody, and forgotten."""
    from holdfast.sources.secrets.configured import providers_of

    providers = providers_of(settings, _further(settings))
    try:
        return {one.name: len(one.read(lambda _: None).records) for one in providers}
    finally:
        for one in providers:
            with suppress(HoldfastError):  # it was read; that it can't be closed tells nothing
                one.close()


def _further(settings: Settings) -> Callable[[str], SecretProvider]:
    """Open providers that are Prefect's, or blocks there; the server is not started for it."""

    def open_it(name: str) -> SecretProvider:
        if use_running_prefect(settings) is None:
            raise PrefectUnreachableError(
                f"the provider {name} is asked by Prefect, and no Prefect server runs", next_step="Start it: 'holdfast serve'"
            )
        from blocks.providers import open_provider

        return open_provider(name)

    return open_it


def _looked_at(source: Source, settings: Settings) -> Report:
    with closing(source):
        name, parts = source.description["name"], [part.name for part in source.parts()]
    if not parts and not settings.allow_empty:
        raise SourceEmptyError(
            f"the source {name} holds nothing to back up",
            next_step="Check that it is the right one; BACKUP_ALLOW_EMPTY=true makes a backup of nothing all the same",
        )
    return {"source": name, "parts": len(parts)}
