"""What of a host's configuration is backed up, as a block."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field

from holdfast.settings.kinds import working_directory

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.sources.configuration.source import ConfigurationOptions


class ConfigurationFiles(Block):
    """Environment variables by patterns, and configuration files by globs.

    Examples:
        See which files are meant.
        ```python
        from blocks import ConfigurationFiles

        print(ConfigurationFiles.load("holdfast-configuration").files)
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Configuration Files"
    _block_type_slug = "holdfast-configuration-files"
    _description = "Which environment variables and configuration files Holdfast backs up."

    files: list[str] = Field(default_factory=list, description="Globs of files; relative ones begin in the folder.")
    environment: list[str] = Field(default_factory=list, description="Patterns of environment variables, such as APP_*.")
    leave_out: list[str] = Field(default_factory=list, description="Patterns of environment variables that are left out.")
    include_secrets: bool = Field(False, description="Whether what looks like a secret is backed up, too.")
    folder: Path = Field(default_factory=working_directory, description="Where relative globs begin, on the worker's host.")

    def options(self, settings: Settings) -> ConfigurationOptions:
        """Say the same for the engine; the settings of the host say which keys and folders are never configuration."""
        from holdfast.sources.configuration.source import ConfigurationOptions

        return replace(
            ConfigurationOptions.of(settings),
            working_directory=self.folder,
            files=tuple(self.files),
            environment=tuple(self.environment),
            environment_deny=tuple(self.leave_out),
            include_secrets=self.include_secrets,
        )

    @classmethod
    def of(cls, settings: Settings) -> ConfigurationFiles | None:
        """Make the block of what the settings name; None where they name nothing."""
        if not settings.config_files and not settings.config_env:
            return None
        return cls(
            files=settings.config_files,
            environment=settings.config_env,
            leave_out=settings.config_env_deny,
            include_secrets=settings.config_include_secrets,
        )
