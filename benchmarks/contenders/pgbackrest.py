"""pgBackRest, which copies the files of a whole server. It has to know the server's version, and says so where it does not.

Its log archive takes part only while it works itself, so what it keeps are backups, as the others keep, and no points between.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from functools import partial
from pathlib import Path

from benchmarks.contenders.contender import CHECK, RESTORE, Contender, Step, every_backup, in_turn, prepare, why_absent
from benchmarks.measure import bytes_in
from benchmarks.older_stage import OlderStage
from benchmarks.owner import as_owner, give
from benchmarks.stage import Stage

_TITLE = "pgBackRest"
_HOW = (
    "`pgbackrest backup`, full, then incremental, of the whole server: zst at level 1, aes-256-cbc, two processes, small files "
    "bundled; `pgbackrest verify`; `pgbackrest restore` into an empty folder, then the server is started there"
)


def pgbackrest(stage: Stage) -> Contender:
    """Have it make its stanza for the server of the stage; where it refuses, what it answers is why it is absent."""
    if missing := why_absent("pgbackrest", "pgbackrest"):
        return Contender("pgbackrest", _TITLE, _HOW, absent=missing)
    if isinstance(stage, OlderStage):
        return _works(stage)
    return Contender("pgbackrest", _TITLE, _HOW, absent=_refusal(stage))


def _works(stage: OlderStage) -> Contender:
    place, environment = stage.folder / "pgbackrest", _environment(stage)
    target = place / "restored"
    control = [str(stage.server.programs / "pg_ctl"), "-D", str(target), "-w", "-s"]

    def run(*arguments: str) -> tuple[str, ...]:
        return as_owner(stage.server.data_dir, _command(place, *arguments))

    def backup(how: str) -> Step:
        archive = shlex.join(_command(place, "archive-push")) + ' "%p"'
        start = partial(stage.archiving, archive)
        return Step(run(f"--type={how}", "--start-fast", "backup"), environment, start, stage.archiving)

    def first() -> Step:
        _empty(stage, place)
        prepare(run("stanza-create"), environment, stage.folder)
        return backup("full")

    def again() -> Step:
        return backup("incr")

    def check() -> Step:
        return Step(run("verify"), environment)

    def fresh_target() -> None:
        stage.empty(target)
        target.chmod(0o700)
        give(target, stage.server.data_dir)

    def stop_and_drop() -> None:
        if (target / "postmaster.pid").exists():
            prepare(as_owner(target, [*control, "-m", "immediate", "stop"]), environment, stage.folder)
        shutil.rmtree(target)

    def restore() -> Step:
        options = f"-c archive_mode=off -c port=5433 -c unix_socket_directories={shlex.quote(str(place))}"
        start = as_owner(stage.server.data_dir, [*control, "-l", str(place / "log"), "-o", options, "start"])
        bring_back = run(f"--pg1-path={target}", "--type=immediate", "--target-action=promote", "restore")
        return Step(in_turn(bring_back, start), environment, fresh_target, stop_and_drop)

    steps = every_backup(first, again) | {CHECK: check, RESTORE: restore}
    return Contender("pgbackrest", _TITLE, _HOW, steps, lambda: bytes_in(place / "repository"))


def _refusal(stage: Stage) -> str:
    """What it says of this server."""
    place = stage.folder / "pgbackrest"
    _empty(stage, place)
    command = as_owner(stage.server.data_dir, _command(place, "stanza-create"))
    done = subprocess.run(
        command, env=_environment(stage), cwd="/", capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode == 0:
        return f"knows PostgreSQL {stage.server.version}, and is measured on the system's own server only"
    said = " ".join(line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip())
    return f"does not work with PostgreSQL {stage.server.version}: {said.replace(str(stage.folder), '…')[:300]}"


def _command(place: Path, *arguments: str) -> list[str]:
    return ["pgbackrest", "--stanza=bench", f"--config={place / 'pgbackrest.conf'}", *arguments]


def _empty(stage: Stage, place: Path) -> None:
    """Have an empty folder, of the server's user, with its settings in it: the pass phrase may not stand in a command."""
    stage.empty(place)
    give(place, stage.server.data_dir)
    url, written = stage.server.url(), place / "pgbackrest.conf"
    written.touch(mode=0o600)
    written.write_text(f"""[global]
repo1-path={place / "repository"}
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={stage.key_file.read_text().strip()}
repo1-bundle=y
repo1-retention-full=9
compress-type=zst
compress-level=1
process-max=2
lock-path={place / "lock"}
log-path={place}
log-level-file=off
log-level-console=error

[bench]
pg1-path={stage.server.data_dir}
pg1-socket-path={url.host}
pg1-port={url.port}
pg1-user={url.user}
""")
    give(written, stage.server.data_dir)


def _environment(stage: Stage) -> dict[str, str]:
    """Without the caller's home, which the server's user may not look into."""
    return {name: value for name, value in stage.environment().items() if name != "HOME"}
