"""A folder of a drill: private, in the home, and gone when the drill has ended."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.private_folder import make_private_folder
from holdfast.sources.placing import write_errors

if TYPE_CHECKING:
    from holdfast.settings import Settings


@contextmanager
def scratch_folder(settings: Settings) -> Iterator[Path]:
    """Make one. Raises SourceDeniedError, WorkFailedError."""
    with write_errors(settings.home, "written to"):
        make_private_folder(settings.home)
        scratch = tempfile.TemporaryDirectory(prefix="drill-", dir=settings.home)
    with scratch as folder:
        yield Path(folder)
