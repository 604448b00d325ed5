"""borg, fed by pg_dump: zstd at level 1, the key in the repository under a passphrase."""

from __future__ import annotations

from benchmarks.contenders.contender import CHECK, RESTORE, Contender, Step, every_backup, kept_then, piped, prepare, why_absent
from benchmarks.contenders.dump import dump_command, load_file, loads
from benchmarks.measure import bytes_in
from benchmarks.stage import Stage

ENCRYPTION = "repokey"
"""What borg's own quick start takes: AES-256-CTR with HMAC-SHA-256."""
_NAME = "dump"


def borg(stage: Stage) -> Contender:
    """One repository; cache and security files lie in a folder of its own."""
    kept, base = stage.folder / "borg", stage.folder / "borg-base"
    environment = stage.environment() | {
        "BORG_REPO": str(kept),
        "BORG_BASE_DIR": str(base),
        "BORG_PASSPHRASE": stage.key_file.read_text().strip(),
    }

    def backup(number: int) -> Step:
        create = ["borg", "create", "--compression", "zstd,1", "--stdin-name", _NAME, f"::{number:04d}", "-"]
        return Step(piped(dump_command(stage, 0), create), environment)

    def archives() -> int:
        return len(stage.said(["borg", "list", "--short"], environment).split())

    def first() -> Step:
        stage.empty(kept)
        stage.empty(base)
        prepare(["borg", "init", "--encryption", ENCRYPTION], environment, stage.folder)
        return backup(1)

    def check() -> Step:
        return Step(("borg", "check", "--verify-data"), environment)

    def restore() -> Step:
        plain = stage.folder / "extracted"
        extract = ["borg", "extract", "--stdout", f"::{archives():04d}"]
        return loads(stage, kept_then(extract, plain, load_file(stage, plain)), environment)

    steps = every_backup(first, lambda: backup(archives() + 1)) | {CHECK: check, RESTORE: restore}
    how = (
        f"`pg_dump -Fc -Z0 | borg create --compression zstd,1`, encryption {ENCRYPTION}; `borg check --verify-data`; "
        "`borg extract` into a file, then `pg_restore -j2`"
    )
    return Contender("borg", "borg", how, steps, lambda: bytes_in(kept), why_absent("borg", "borgbackup"))
