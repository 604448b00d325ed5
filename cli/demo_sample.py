"""The system that `holdfast demo` protects and loses, and game days break: database, functions on Deno, configuration, `.env`."""

from __future__ import annotations

import secrets
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from cli.demo_home import DemoHome
from cli.witness import FileWitness, Witness, values_in, witness, witness_files
from examples.content_pipeline.edge_function import function_names
from examples.content_pipeline.edge_runtime import EdgeRuntime
from examples.content_pipeline.fault import Parts
from examples.content_pipeline.generate import build
from examples.content_pipeline.sample_files import lay_out
from holdfast.errors import NotProvenError, WorkFailedError
from holdfast.postgres.connection import DatabaseUrl, connect, quote_identifier
from holdfast.postgres.embedded import EmbeddedServer
from holdfast.sources.functions.calling import Answer, call_all
from holdfast.sources.secrets.contract import PLACEHOLDER

DATABASE = "content_pipeline"
SERVICE = "pipeline-database"
"""The managed service that the database's server is."""
_INIT_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Sight:
    """The whole system at one moment, as its parts themselves tell: two sights are equal, or something did not come back."""

    database: Witness
    functions: FileWitness
    answers: list[Answer]
    settings: FileWitness
    secret_names: list[str]


class Sample:
    """The system below `folder`; a context manager, for the functions run as long as it lasts.

    The database's server lies in Holdfast's home, so that `holdfast down` stops it, too.
    """

    def __init__(self, folder: Path, *, home: Path) -> None:
        self.folder = folder
        self.server = EmbeddedServer(home / "pipeline")
        self._call_token = SecretStr(secrets.token_hex(24))
        self._running = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def lay_out(self) -> None:
        """Make everything but the database's rows, and start what runs."""
        self.folder.mkdir()
        self.server.start()
        self.server.create_database(DATABASE)
        self.files = lay_out(self.folder)
        self.names = function_names(self.files.functions)
        self._runtime = self._running.enter_context(
            EdgeRuntime(
                self.files.functions,
                environment=self.files.environment,
                home=self.folder.with_name("edge"),
                call_token=self._call_token.get_secret_value(),
            )
        )

    def fill_database(self, megabytes: int) -> None:
        """Make at least so many MiB of rows."""
        build(self.url.without_password(), megabytes=megabytes)

    @property
    def url(self) -> DatabaseUrl:
        """The database."""
        return self.server.url(DATABASE)

    @property
    def settings(self) -> dict[str, str]:
        """The variables that tell Holdfast what to protect."""
        return {
            "BACKUP_DATABASE_URL": str(self.url.without_password()),
            "BACKUP_FUNCTIONS_PATH": str(self.files.functions),
            "BACKUP_CONFIG_FILES": f"{self.files.settings}/*",
            "BACKUP_SECRETS_ENV_FILE": str(self.files.env_file),
        }

    @property
    def recovering(self) -> dict[str, str]:
        """The variables that let recovery plans see to it, too: what is to be started, and what is watched for leaks."""
        return {"BACKUP_DATABASE_SERVICE": SERVICE, "BACKUP_LEAK_FILES": str(self.parts.log)}

    @property
    def service(self) -> dict[str, str]:
        """The commands of the managed service, by what each is for."""
        module = (sys.executable, "-m", "examples.content_pipeline.server")
        return {name: shlex.join([*module, name, str(self.server.data_dir)]) for name in ("start", "stop", "kill", "check")}

    @property
    def parts(self) -> Parts:
        """The same as faults see it."""
        files = self.files
        log = self.folder / "pipeline.log"
        return Parts(self.folder.parent, self.server, DATABASE, files.functions, files.settings, files.env_file, log)

    @property
    def calling(self) -> dict[str, str]:
        """The variables that let a restore call the functions; only while they run."""
        return {"BACKUP_FUNCTIONS_URL": self._runtime.url, "BACKUP_FUNCTIONS_CALL_TOKEN": self._call_token.get_secret_value()}

    def look(self) -> Sight:
        """Look at everything, and call every function. Raises NotProvenError where one does not answer."""
        answers = self.call_functions()
        if silent := silent_of(answers):
            raise NotProvenError("Not every function of the sample answers", reason="; ".join(silent))
        return Sight(
            witness(self.url),
            witness_files(self.files.functions),
            answers,
            witness_files(self.files.settings),
            sorted(values_in(self.files.env_file)),
        )

    def add_service(self, home: DemoHome) -> None:
        """Tell Holdfast how the database's server is started, so that plans can do it."""
        commands = self.service
        options = ("--kind", "command", "--start", commands["start"], "--stop", commands["stop"], "--kill", commands["kill"])
        home.holdfast("services", "add", SERVICE, *options, "--health-command", commands["check"])

    def call_functions(self, time_limit_seconds: float = 60.0) -> list[Answer]:
        """Call every function that there was at first."""
        return call_all(self._runtime.url, self.names, token=self._call_token, time_limit_seconds=time_limit_seconds)

    @property
    def secret_values(self) -> list[str]:
        """What no backup may hold."""
        return [*self.files.secrets.values(), self._call_token.get_secret_value()]

    def names_without_placeholder(self) -> list[str]:
        """Name the secrets of the restored `.env` that hold something else."""
        return [name for name, value in values_in(self.files.env_file).items() if not value.startswith(PLACEHOLDER)]

    def lose(self) -> None:
        """Drop and delete all of it, for real."""
        with closing(connect(self.url.maintenance())) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {quote_identifier(DATABASE)} WITH (FORCE)")
        shutil.rmtree(self.folder)
        self.folder.mkdir()


def set_up(home: DemoHome, sample: Sample, megabytes: int, more: Callable[[], Mapping[str, str]] = dict) -> None:
    """Build the sample in a home while `holdfast init` starts its Prefect server; `more` tells settings."""
    sample.lay_out()
    home.settings |= {**sample.settings, **more()}
    home.holdfast("keys", "generate", "--file", str(home.folder / "key"))
    home.write_settings()
    log = home.folder / "init.log"
    init = home.start("init", "--json", log=log)
    try:
        sample.fill_database(megabytes)
    finally:
        code = init.wait(timeout=_INIT_SECONDS)
    if code != 0:
        raise WorkFailedError("'holdfast init' failed", reason=log.read_text()[-2000:])


def silent_of(answers: list[Answer]) -> list[str]:
    """Name the functions that do not answer as they should, with what they do instead."""
    return [str(answer) for answer in answers if answer.outcome != "answers"]
