"""Small repositories and backups for the tests, made through the public interface only."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from datetime import UTC, datetime

from holdfast.repository import BackupType, Compression, Entry, Manifest, ManifestDraft, Repository

ZSTD = Compression("zstd")


def text(seed: int, size_bytes: int) -> bytes:
    """Make text like COPY's: lines, compressible, always the same for a seed."""
    rng = random.Random(seed)
    lines = []
    length = 0
    while length < size_bytes:
        line = f"{rng.randrange(10**9)}\tname {rng.randrange(500)}\t2025-11-{rng.randrange(28) + 1:02d}\t\\N\n".encode()
        lines.append(line)
        length += len(line)
    return b"".join(lines)[:size_bytes]


def prose(seed: int, size_bytes: int) -> bytes:
    """Make sentences of phrases that come again, always the same for a seed."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randrange(2, 10))) for _ in range(3000)]
    phrases = [" ".join(rng.choices(words, k=rng.randrange(1, 7))) for _ in range(4000)]
    return " ".join(rng.choices(phrases, k=size_bytes // 8)).encode()[:size_bytes]


def noise(seed: int, size_bytes: int) -> bytes:
    """Make bytes that do not compress, always the same for a seed."""
    return random.Random(seed).randbytes(size_bytes)


def one_bit_off(data: bytes) -> bytes:
    """Change one bit of the last byte, whatever it is."""
    return data[:-1] + bytes([data[-1] ^ 1])


def back_up(
    repository: Repository,
    backup_id: str,
    contents: dict[str, bytes],
    *,
    compression: Compression = ZSTD,
    backup_type: BackupType = "database",
    snapshot_at: datetime | None = None,
) -> Manifest:
    """Make one backup with the given entries."""
    with repository.lease("backup") as lease, repository.writer(lease, compression=compression) as writer:
        entries = [
            replace(writer.store(name, "copy_text", io.BytesIO(data)), lines=data.count(b"\n")) for name, data in contents.items()
        ]
        return writer.commit(draft(backup_id, *entries, backup_type=backup_type, snapshot_at=snapshot_at))


def draft(
    backup_id: str, *entries: Entry, backup_type: BackupType = "database", snapshot_at: datetime | None = None
) -> ManifestDraft:
    """Say of a backup what whoever makes one says."""
    moment = snapshot_at or datetime.now(UTC)
    return ManifestDraft(
        id=backup_id,
        type=backup_type,
        source={"name": "test"},
        snapshot_at=moment,
        entries=list(entries),
        tools={"pg_dump": "18.0"},
        server={"version": "18.0"},
        parameters={},
        started_at=moment,
    )


def read_all(repository: Repository, manifest: Manifest) -> dict[str, bytes]:
    """Read every entry of a backup back."""
    return {entry.name: b"".join(repository.read(entry)) for entry in manifest.entries}
