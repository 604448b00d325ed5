"""restic, fed by pg_dump: repository version 2, compression as it comes (auto)."""

from __future__ import annotations

from benchmarks.contenders.contender import CHECK, RESTORE, Contender, Step, every_backup, kept_then, piped, prepare, why_absent
from benchmarks.contenders.dump import dump_command, load_file, loads
from benchmarks.measure import bytes_in
from benchmarks.stage import Stage

_NAME = "dump"


def restic(stage: Stage) -> Contender:
    """One repository, with a password file, and a cache of its own."""
    kept, cache = stage.folder / "restic", stage.folder / "restic-cache"
    environment = stage.environment() | {
        "RESTIC_REPOSITORY": str(kept),
        "RESTIC_PASSWORD_FILE": str(stage.key_file),
        "RESTIC_CACHE_DIR": str(cache),
    }

    def new() -> None:
        stage.empty(kept)
        stage.empty(cache)
        prepare(["restic", "init", "--repository-version", "2"], environment, stage.folder)

    def backup() -> Step:
        feed = ["restic", "backup", "--quiet", "--stdin", "--stdin-filename", _NAME]
        return Step(piped(dump_command(stage, 0), feed), environment)

    def first() -> Step:
        new()
        return backup()

    def check() -> Step:
        return Step(("restic", "check", "--quiet", "--read-data"), environment)

    def restore() -> Step:
        plain = stage.folder / "dumped"
        return loads(stage, kept_then(["restic", "dump", "latest", f"/{_NAME}"], plain, load_file(stage, plain)), environment)

    steps = every_backup(first, backup) | {CHECK: check, RESTORE: restore}
    how = (
        "`pg_dump -Fc -Z0 | restic backup --stdin`, repository version 2, compression auto; `restic check --read-data`; "
        "`restic dump latest` into a file, then `pg_restore -j2`"
    )
    return Contender("restic", "restic", how, steps, lambda: bytes_in(kept), why_absent("restic", "restic"))
