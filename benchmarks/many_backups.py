"""A repository with thousands of backups, sealed as the engine would have written them; and the plan of its clean-up, timed.

The ids, times and contents come from a seed; what is measured is reading, so nothing is synced.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.memory import peak_bytes
from holdfast.cleanup import Cleanup, How
from holdfast.history import History
from holdfast.opening import read_repository
from holdfast.repository import Repository, UserKey, canonical, names, sealing
from holdfast.repository.compression import Compression
from holdfast.repository.manifest import HOLDFAST_VERSION, Entry, Manifest, Root
from holdfast.repository.masterkey import Kind
from holdfast.repository.proof import Proof, receipt_name
from holdfast.retention import Rules
from holdfast.settings import load_settings
from holdfast.storage import LocalStorage

_SEED = 8
_BETWEEN = timedelta(minutes=37)
_SHARED_CHUNKS = 200
_TABLES = ["articles", "sources", "jobs", "media", "events", "users", "globals", "base", "truth"]


def build(folder: Path, key: UserKey, count: int) -> int:
    """Fill a new repository with backups of all types, each of nine entries and with a chunk of its own; return its bytes."""
    return _Builder(folder, key).build(count)


class _Builder:
    def __init__(self, folder: Path, key: UserKey) -> None:
        self._folder = folder
        self._repository = Repository.open(LocalStorage(folder), key=key)
        self._master = self._repository.sealed_in(LocalStorage(folder)).master
        self._sealed = self._repository.sealed_in(LocalStorage(folder))
        self._random = random.Random(_SEED)
        self._key_ids = self._repository.keys.ids()
        self._written_bytes = 0

    def build(self, count: int) -> int:
        shared = [self._chunk(400) for _ in range(_SHARED_CHUNKS)]
        now = datetime.now(UTC) - timedelta(minutes=5)
        for number in range(count):
            self._backup(number, now - number * _BETWEEN, shared)
        self._repository.close()
        return self._written_bytes

    def _backup(self, number: int, at: datetime, shared: Sequence[str]) -> None:
        kind = names.BACKUP_TYPES[number % len(names.BACKUP_TYPES)]
        backup_id = f"{kind}_{at:%Y%m%d_%H%M%S}_{self._random.randrange(16**8):08x}"
        roots = [self._chunk(400), *self._random.choices(shared, k=len(_TABLES) - 1)]
        manifest = Manifest.from_json(self._manifest(backup_id, kind, at, roots, number))
        self._put(Kind.MANIFEST, names.manifest(kind, backup_id), manifest.to_bytes(), manifest.finished_at)
        self._put(Kind.PROOF, receipt_name(manifest), canonical.to_bytes(_receipt(manifest).to_json()), manifest.finished_at)

    def _manifest(self, backup_id: str, kind: str, at: datetime, roots: Sequence[str], number: int) -> canonical.Json:
        entries = [
            Entry(f"public.{name}", "copy_text", 400, self._random.randbytes(32).hex(), Root(root, 0, 1), 12_345)
            for name, root in zip(_TABLES, roots, strict=True)
        ]
        return {
            "id": backup_id, "type": kind, "entries": [entry.to_json() for entry in entries], "schema": 1, "host": "backups",
            "source": {"name": "pipeline", "system": "7412345678901234567", "host": "db.example.net", "database": "pipeline"},
            "snapshot_at": canonical.time_text(at), "started_at": canonical.time_text(at - timedelta(seconds=1)),
            "finished_at": canonical.time_text(at + timedelta(seconds=30)), "tools": {"pg_dump": "18.0"}, "parameters": {},
            "server": {"version": "18.0", "encoding": "UTF8", "extensions": ["pg_trgm", "pgcrypto"]},
            "holdfast_version": HOLDFAST_VERSION, "stored_bytes": 400, "new_chunks": 1, "key_ids": self._key_ids,
            "lease_token": number,
        }  # fmt: skip

    def _chunk(self, size_bytes: int) -> str:
        plain = self._random.randbytes(size_bytes)
        chunk_id = self._sealed.chunk_id(plain)
        self._write(names.chunk(chunk_id), sealing.seal(Kind.CHUNK, chunk_id, plain, Compression("zstd"), self._master))
        return chunk_id.hex()

    def _put(self, kind: Kind, name: str, plain: bytes, at: datetime) -> None:
        path = self._write(name, sealing.seal(kind, name.encode(), plain, Compression("gzip", 6), self._master))
        os.utime(path, (at.timestamp(), at.timestamp()))

    def _write(self, name: str, data: bytes | bytearray) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self._written_bytes += len(data)
        return path


def _receipt(manifest: Manifest) -> Proof:
    return Proof(
        manifest.id, "stored", True, [], {"stored_bytes": 400, "new_chunks": 1}, manifest.started_at, manifest.finished_at,
        names.manifest(manifest.type, manifest.id), manifest.checksum, manifest.host, HOLDFAST_VERSION,
    )  # fmt: skip


def main() -> None:
    """Plan a clean-up with the settings of the environment; print what it took, without the start of the process."""
    settings = load_settings()
    repository = read_repository(settings)
    how = How("bench", Rules.of(settings), lambda: lambda kind, source: None, at_once=True)
    began, cpu = time.perf_counter(), time.process_time()
    plan = Cleanup(History(repository), how).plan()
    took = {"wall_seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    peak = peak_bytes()
    json.dump({**took, "peak_bytes": peak, "backups": len(plan.judged), "doomed": len(plan.doomed)}, sys.stdout)


if __name__ == "__main__":
    main()
