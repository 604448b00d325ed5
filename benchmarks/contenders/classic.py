"""`pg_dump | openssl enc`, a file a backup: what people do today. Nothing in it tells whether a file was changed."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders.contender import CHECK, RESTORE, Contender, Step, every_backup, in_turn, piped, why_absent
from benchmarks.contenders.dump import dump_command, load_file, loads
from benchmarks.measure import bytes_in
from benchmarks.stage import Stage

_CIPHER = ("-aes-256-ctr", "-pbkdf2")


def classic(stage: Stage) -> Contender:
    """Dumps, compressed as gzip does at level 6, encrypted, in a folder."""
    kept = stage.folder / "classic"

    def encrypt(into: Path) -> Step:
        openssl = ["openssl", "enc", *_CIPHER, "-pass", f"file:{stage.key_file}", "-out", str(into)]
        return Step(piped(dump_command(stage, 6), openssl), stage.environment())

    def first() -> Step:
        stage.empty(kept)
        return encrypt(kept / "0001.enc")

    def again() -> Step:
        return encrypt(kept / f"{len(list(kept.iterdir())) + 1:04d}.enc")

    def check() -> Step:
        read = [stage.tool("pg_restore"), "-f", "/dev/null"]
        return Step(in_turn(*(piped(_decrypt(stage, file), read) for file in sorted(kept.iterdir()))), stage.environment())

    def restore() -> Step:
        plain = stage.folder / "decrypted"
        decrypt = [*_decrypt(stage, max(kept.iterdir())), "-out", str(plain)]
        return loads(stage, in_turn(decrypt, load_file(stage, plain)))

    steps = every_backup(first, again) | {CHECK: check, RESTORE: restore}
    how = (
        "`pg_dump -Fc -Z6 | openssl enc -aes-256-ctr -pbkdf2`, a file a backup; its check decrypts each and lets "
        "`pg_restore` read it; its restore decrypts to a file, then `pg_restore -j2`"
    )
    return Contender("classic", "pg_dump, openssl", how, steps, lambda: bytes_in(kept), why_absent("openssl", "openssl"))


def _decrypt(stage: Stage, file: Path) -> list[str]:
    return ["openssl", "enc", "-d", *_CIPHER, "-pass", f"file:{stage.key_file}", "-in", str(file)]
