"""A source of functions as it is after a backup and a restore: its files in a folder, and the facts of its parts."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from holdfast.sources.contract import Source
from holdfast.sources.staging import FolderRestore
from holdfast.sources.tar import TarStream


def back_up_and_restore(source: Source, folder: Path) -> dict[str, dict[str, Any]]:
    """Read all parts of a source into a new folder; give their facts."""
    facts = {}
    with FolderRestore(folder, "new", job_id="restored") as restore:
        for part in source.parts():
            content = source.read(part)
            facts[part.name] = content.facts
            if part.kind == "tar":
                stream = TarStream(content.files or (), content.left_out)
                tar = io.BytesIO(b"".join(iter(lambda tar=stream: tar.read(1 << 16), b"")))
                restore.extract(tar, stream.records)
            assert content.left_out == []
        restore.take_place()
    return facts
