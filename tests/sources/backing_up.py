"""An encrypted repository in a folder, and backups of real sources in it, made and looked at as the flows do."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from holdfast.jobs import new_job_id
from holdfast.repository import BackupType, Compression, Manifest, ManifestDraft, Proof, Repository, UserKey, canonical
from holdfast.source_backup import SourceBackup, SourceBackupOptions, purpose
from holdfast.source_restore import SourceRestore, SourceRestoreReport
from holdfast.sources.contract import Source
from holdfast.sources.truth import TRUTH
from holdfast.storage import LocalStorage
from holdfast.verification import Verification, VerificationOptions

KEY = UserKey.parse("11" * 32)
OPTIONS = SourceBackupOptions(Compression("zstd", 1))


def back_up(repository: Repository, source: Source, options: SourceBackupOptions = OPTIONS) -> Manifest:
    """Back a source up, all steps one after the other."""
    with (
        repository.lease(purpose(source)) as lease,
        SourceBackup(repository, lease, source, options, job_id=new_job_id("backup")) as backup,
    ):
        return backup.run()


def commit(
    repository: Repository,
    parts: dict[str, tuple[str, bytes]],
    truth: dict[str, Any] | None,
    *,
    backup_type: BackupType = "function",
    kind: str = "directory",
) -> Manifest:
    """Commit a backup of these bytes (name: kind, content) and this truth, whether they fit or not."""
    with repository.lease("backup") as lease, repository.writer(lease, compression=OPTIONS.compression) as writer:
        entries = [writer.store(name, how, io.BytesIO(data)) for name, (how, data) in parts.items()]
        if truth is not None:
            entries.append(writer.store(TRUTH, TRUTH, io.BytesIO(canonical.to_bytes(truth))))
        now, source = canonical.now(), {"kind": kind, "name": "elsewhere"}
        return writer.commit(ManifestDraft(new_job_id("backup"), backup_type, source, now, entries, {}, {}, {}, now))


def contents(repository: Repository, manifest: Manifest) -> tuple[dict[str, tuple[str, bytes]], dict[str, Any]]:
    """Take a backup apart into what `commit` takes: its parts and its truth."""
    read = {entry.name: (entry.kind, b"".join(repository.read(entry))) for entry in manifest.entries}
    return read, canonical.from_bytes(read.pop(TRUTH)[1])


def verify(repository: Repository, manifest: Manifest, level: Any, spool: Path) -> Proof:
    """Verify a backup to a level, and leave the proof, as the flow does."""
    work = Verification(repository, manifest, level, VerificationOptions(spool))
    work.check()
    if work.restores and not work.failed:
        with work.folder_rehearsal("verification_1") as restore:
            restore.preflight()
            for entry in restore.entries:
                restore.restore(entry.name)
            if level == "proven":
                work.judge_files(restore.compare(), restore)
    return work.conclude()


def bring_back(repository: Repository, manifest: Manifest, target: Path, **options: Any) -> SourceRestoreReport:
    """Restore a backup into a folder, all steps one after the other."""
    with SourceRestore(repository, manifest, target, job_id="restore_1", **options) as restore:
        return restore.run()


def largest_chunk(storage: LocalStorage) -> str:
    """Name the largest chunk: in a backup of small things, one that holds files."""
    return max(storage.list("chunks"), key=lambda one: one.size_bytes).name
