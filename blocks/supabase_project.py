"""A Supabase project, as a block: its Edge Functions, and what is known of its secrets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.sources.contract import Source
    from holdfast.sources.secrets.contract import SecretProvider
    from holdfast.sources.supabase import ManagementApi

DEFAULT_ADDRESS = "https://api.supabase.com"


class SupabaseProject(Block):
    """A project whose Edge Functions and secrets are reached by Supabase's Management API.

    Examples:
        List the functions of the project.
        ```python
        from blocks import SupabaseProject

        source = SupabaseProject.load("holdfast-functions").source()
        print([part.name for part in source.parts()])
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Supabase Project"
    _block_type_slug = "holdfast-supabase-project"
    _description = "A Supabase project whose Edge Functions and secrets metadata Holdfast backs up and brings back."

    project: str = Field(..., description="Reference of the project: the first part of its address.")
    access_token: SecretStr = Field(..., description="Access token of the Management API, with rights on functions and secrets.")
    api_address: str = Field(DEFAULT_ADDRESS, description="Address of the Management API.")
    used_in: list[Path] = Field(default_factory=list, description="Folders that are searched for where its secrets are used.")

    @classmethod
    def of(cls, settings: Settings) -> SupabaseProject | None:
        """Make the block of the project that the settings name; None where they name none, or no token."""
        if settings.supabase_project is None or settings.supabase_access_token is None:
            return None
        return cls(
            project=settings.supabase_project,
            access_token=settings.supabase_access_token,
            api_address=settings.supabase_api_url,
        )

    def api(self) -> ManagementApi:
        """Open the Management API of the project; `close` it when done."""
        from holdfast.sources.supabase import ManagementApi

        return ManagementApi(self.api_address, self.project, self.access_token)

    def source(self) -> Source:
        """Open its functions as a source of backups."""
        from holdfast.sources.functions.supabase import SupabaseFunctions

        return SupabaseFunctions(self.api())

    def provider(self) -> SecretProvider:
        """Open its secrets as a provider."""
        from holdfast.sources.secrets.supabase import SupabaseSecrets

        return SupabaseSecrets(self.api(), used_in=self.used_in)
