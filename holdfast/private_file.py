"""A file that only its owner may read: replaced whole and for good, in a folder that is private, too.

Whoever reads it meanwhile reads the former one or this one. A link in its place is replaced, and never written through.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from holdfast.private_folder import make_private_folder
from holdfast.sources.placing import sync_path


def write_private(path: Path, content: bytes) -> None:
    """Put a file in the place of the one that is there, or of none. Raises OSError, with nothing changed."""
    make_private_folder(path.parent)
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    sync_path(path.parent)
