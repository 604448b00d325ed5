"""A working directory with configuration in it, a repository, and a way to back the one up into the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from holdfast.repository import Compression, Manifest, Repository, UserKey
from holdfast.source_backup import SourceBackup, SourceBackupOptions
from holdfast.sources.configuration.source import ConfigurationOptions, ConfigurationSource
from holdfast.sources.truth import SourceTruth, read_document, read_truth
from holdfast.storage import LocalStorage

CANARY = "canary-Xq7pT2vL9mZ4wK8r"
KEY = "11" * 32


class Place:
    """A host's configuration: a working directory, and a repository that lies elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self.objects = folder / "repository"
        self.repository = Repository.create(LocalStorage(self.objects), key=UserKey.parse(KEY))
        self.made = 0

    def write(self, path: str, data: str | bytes, mode: int = 0o644) -> Path:
        """Write a file, below the working directory or where an absolute path says."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        file.chmod(mode)
        return file

    def source(self, **options: Any) -> ConfigurationSource:
        """The configuration of this place."""
        documents = {name: options.pop(name, None) for name in ("backup_config", "recovery_plans", "prefect")}
        return ConfigurationSource(ConfigurationOptions(self.folder, **options), **documents)

    def back_up(self, source: ConfigurationSource | None = None, **options: Any) -> Manifest:
        """Back it up as the flow does."""
        self.made += 1
        with self.repository.lease("backup") as lease:
            made = SourceBackup(
                self.repository,
                lease,
                source or self.source(**options),
                SourceBackupOptions(Compression("none")),
                job_id=f"config_{self.made}_aaaaaaaaa",
            )
            with made:
                return made.run()

    def truth(self, manifest: Manifest) -> SourceTruth:
        return read_truth(self.repository, manifest)

    def document(self, manifest: Manifest, part: str) -> Any:
        return read_document(self.repository, manifest.entry(part))

    def content(self, manifest: Manifest) -> bytes:
        """All that a backup says, its manifest too."""
        return manifest.to_bytes() + b"".join(b"".join(self.repository.read(entry)) for entry in manifest.entries)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def left_out(truth: SourceTruth) -> dict[str, str]:
    """What is not in a backup, and why."""
    return {one.name: one.reason for one in truth.left_out}
