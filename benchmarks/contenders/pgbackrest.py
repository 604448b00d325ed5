"""pgBackRest, which copies the files of a whole server. It has to know the server's version, and says so where it does not."""

from __future__ import annotations

import os
import subprocess

from benchmarks.contenders.contender import Contender, why_absent
from benchmarks.stage import Stage

_TITLE, _HOW = "pgBackRest", "full and incremental backups of the whole server, zst at level 1, aes-256-cbc"


def pgbackrest(stage: Stage) -> Contender:
    """Ask it to make its stanza for the server of the stage; what it answers is why it is absent."""
    if missing := why_absent("pgbackrest", "pgbackrest"):
        return Contender("pgbackrest", _TITLE, _HOW, absent=missing)
    return Contender("pgbackrest", _TITLE, _HOW, absent=_refusal(stage))


def _refusal(stage: Stage) -> str:
    """What it says of this server, asked as the server's own user, for nobody else may read its files."""
    owner = stage.server.data_dir.stat().st_uid
    place = stage.folder / "pgbackrest"
    stage.empty(place)
    if os.geteuid() == 0:
        os.chown(place, owner, -1)
    url = stage.server.url()
    command = [
        "pgbackrest", "--stanza=bench", "--no-config", f"--pg1-path={stage.server.data_dir}", f"--pg1-socket-path={url.host}",
        f"--pg1-port={url.port}", f"--pg1-user={url.user}", f"--repo1-path={place}/repository", f"--lock-path={place}/lock",
        f"--log-path={place}", "--log-level-console=error", "--log-level-file=off", "stanza-create",
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "HOME"))}
    done = subprocess.run(
        command, env=environment, cwd="/", user=owner if os.geteuid() == 0 else None, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode == 0:
        return f"knows PostgreSQL {stage.server.version}, which this benchmark has not been tried with; it has to be written"
    said = " ".join(line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip())
    return f"does not work with PostgreSQL {stage.server.version}: {said.replace(str(stage.folder), '…')[:300]}"
