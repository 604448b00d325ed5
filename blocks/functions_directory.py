"""A folder of Edge Functions, as a block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.sources.contract import Source


class FunctionsDirectory(Block):
    """A folder that holds config.toml and functions/, as Supabase lays a project out.

    Examples:
        List the functions of the folder.
        ```python
        from blocks import FunctionsDirectory

        source = FunctionsDirectory.load("holdfast-functions").source()
        print([part.name for part in source.parts()])
        ```
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Functions Directory"
    _block_type_slug = "holdfast-functions-directory"
    _description = "A folder of Edge Functions that Holdfast backs up."

    path: Path = Field(..., description="Folder that holds config.toml and functions/, as an absolute path on the worker's host.")

    @classmethod
    def of(cls, settings: Settings) -> FunctionsDirectory | None:
        """Make the block of the folder that the settings name; None where they name none."""
        return None if settings.functions_path is None else cls(path=settings.functions_path)

    def source(self) -> Source:
        """Open it as a source of backups."""
        from holdfast.sources.functions.directory import FunctionDirectory

        return FunctionDirectory(self.path)
