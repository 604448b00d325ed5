"""Functions, configuration and secrets as a user without a database protects them: the real command, one home, one pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from holdfast.sources.dotenv import Dotenv
from tests.cli.conftest import KEY, Home, everything_said
from tests.flows.sources import SECRET, make_configuration, make_env_file, make_functions, tree
from tests.postgres.servers import server_folder

TOKEN = "canary-xT9vQ2mL7pZ4wK8rB3nC"


@dataclass
class Pipeline:
    """A home whose database never answered, and that has backed up all else once; `backups` are the jobs by type."""

    home: Home
    backups: dict[str, Any]
    complaints: str

    @property
    def folder(self) -> Path:
        """Where the pipeline lies."""
        return self.home.path.parent

    def file(self, name: str) -> Path:
        """Name a file of the configuration."""
        return self.folder / "settings" / name


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with server_folder() as root:
        settings = {
            "BACKUP_ENCRYPTION_KEY": KEY,
            "BACKUP_FUNCTIONS_PATH": str(make_functions(root / "supabase")),
            "BACKUP_CONFIG_FILES": str(make_configuration(root / "settings") / "*"),
            "BACKUP_CONFIG_ENV": "CONTENT_*,NOBODY_HAS_*",
            "BACKUP_SECRETS_ENV_FILE": str(make_env_file(root / "secrets.env")),
            "BACKUP_SECRETS_PROVIDERS": "prefect",
            "CONTENT_CITY": "Bern",
            "CONTENT_API_TOKEN": TOKEN,
        }
        home = Home(root / "home", settings)
        try:
            home.json("repo", "init")
            ran = home.run("backup", "all", "--json", BACKUP_DATABASE_URL=f"postgresql://nobody:{TOKEN}@127.0.0.1:1/nothing")
            assert ran.code == 1, ran.out + ran.err
            yield Pipeline(home, {job["type"]: job for job in ran.document}, ran.err)
        finally:
            home.json("down")


def test_backup_all_is_a_job_for_each_type_that_is_on_and_names_what_is_missing_from_it(pipeline: Pipeline) -> None:
    made = {kind for kind, job in pipeline.backups.items() if job["status"] == "completed"}
    assert made == {"function", "config", "secrets"}
    config = pipeline.backups["config"]
    assert config["leftOut"] == ["environment:NOBODY_HAS_*: no variable has such a name"]
    assert [name.split(": ")[0] for name in config["withheld"]] == ["environment:CONTENT_API_TOKEN"]
    assert not pipeline.backups["function"]["leftOut"]


def test_what_is_missing_from_a_backup_is_also_known_when_it_is_looked_at_later(pipeline: Pipeline) -> None:
    job = pipeline.backups["config"]
    shown = pipeline.home.json("show", job["jobId"])
    assert {name: shown[name] for name in ("leftOut", "withheld")} == {name: job[name] for name in ("leftOut", "withheld")}
    assert pipeline.home.json("show", "latest", "--type", "function")["leftOut"] == []


def test_a_type_that_fails_stops_no_other_and_is_named(pipeline: Pipeline) -> None:
    failed = pipeline.backups["database"]
    assert (failed["status"], failed["code"]) == ("failed", "HF-702")
    assert "127.0.0.1" in failed["error"]
    assert "1 of 4 backups failed: database" in pipeline.complaints


def test_one_function_is_brought_back_and_the_roll_back_undoes_just_that(pipeline: Pipeline) -> None:
    functions = pipeline.folder / "supabase"
    whole = tree(functions)
    hello, publish = (functions / "functions" / slug / "index.ts" for slug in ("hello", "publish"))
    original = hello.read_text()
    hello.write_text("broken\n")
    publish.write_text("newer\n")
    edited = tree(functions)
    done = pipeline.home.run(
        "restore", "latest", "--type", "function", "--target", "live", "--mode", "promote", "--only", "hello"
    )
    assert done.code == 0, done.err
    assert (hello.read_text(), publish.read_text()) == (original, "newer\n")
    (undo,) = [line.split("roll-back ")[1].strip() for line in done.out.splitlines() if "holdfast roll-back" in line]
    pipeline.home.json("roll-back", undo)
    assert tree(functions) == edited
    made = pipeline.home.json("restore", "latest", "--type", "function", "--target", "live", "--mode", "promote")
    assert (tree(functions), made["proven"]) == (whole, True)


def test_a_configuration_is_put_back_where_it_was_after_a_look_and_undone(pipeline: Pipeline) -> None:
    file, mode = pipeline.file("workers.ini"), 0o640
    file.write_bytes(b"[workers]\ncount = 9\n")
    file.chmod(0o600)
    variables = pipeline.folder / "brought-back.env"
    restore = ("restore", pipeline.backups["config"]["jobId"], "--type", "config", "--target", "live", "--mode", "in_place")
    looked = pipeline.home.run(*restore, "--dry-run")
    assert (looked.code, file.read_bytes()) == (0, b"[workers]\ncount = 9\n")
    assert "Would change" in looked.out
    assert "workers.ini" in looked.out

    done = pipeline.home.json(*restore, "--env-file", str(variables))
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"[workers]\r\ncount = 4\r\n", mode)
    assert Dotenv.parse(variables.read_text()).values()["CONTENT_CITY"].value == "Bern"
    assert pipeline.home.json("show", done["jobId"])["kept"] == done["kept"]

    assert len(pipeline.home.json("roll-back", done["kept"])["touched"]) == 2
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"[workers]\ncount = 9\n", 0o600)
    assert not variables.exists()
    assert pipeline.home.run("roll-back", done["kept"]).out == "– Nothing was left to roll back\n"


def test_a_secret_that_is_gone_comes_back_as_a_placeholder_and_is_named(pipeline: Pipeline) -> None:
    env = pipeline.folder / "secrets.env"
    known = env.read_text()
    env.write_text(known.splitlines()[1] + "\n")
    found = {one["name"]: one for one in pipeline.home.json("secrets", "diff")["providers"]}
    assert (found["env-file"]["missing"], found["env-file"]["unchanged"]) == (["MAIL_PASSWORD"], 1)
    done = pipeline.home.run("restore", "latest", "--type", "secrets", "--target", "live")
    assert done.code == 0, done.err
    assert "env-file/MAIL_PASSWORD" in done.out
    assert set(Dotenv.parse(env.read_text()).values()) == {"FEED_TOKEN", "MAIL_PASSWORD"}
    env.write_text(known)


def test_a_backup_is_proven_and_the_home_says_what_is_off(pipeline: Pipeline) -> None:
    found = pipeline.home.json("verify", "latest", "--type", "config", "--level", "proven")
    assert (found["ok"], found["level"]) == (True, "proven")
    types = {one["type"]: one for one in pipeline.home.json("status")["types"]}
    assert (types["database"]["on"], types["config"]["lastGood"]["verifiedLevel"]) == (False, "proven")


def test_storage_and_key_are_enough_to_have_the_files_again(pipeline: Pipeline, tmp_path: Path) -> None:
    stranger = Home(tmp_path / "home", {"BACKUP_ENCRYPTION_KEY": KEY})
    stranger.settings["BACKUP_STORAGE_PATH"] = str(pipeline.home.path / "repository")
    for kind, what in (("function", "supabase"), ("config", "settings"), ("secrets", "")):
        target = tmp_path / kind
        done = stranger.json("repo", "restore", pipeline.backups[kind]["jobId"], "--type", kind, "--target", str(target))
        assert (done["status"], done["proven"], done["target"]) == ("completed", True, str(target))
        if kind == "function":
            assert tree(target / "functions") == tree(pipeline.folder / what / "functions")
    assert list(tmp_path.glob("config/**/feeds.yaml"))
    assert list(tmp_path.glob("secrets/_holdfast/**/*.json"))


@pytest.mark.parametrize(
    ("code", "arguments", "told"),
    [
        (2, ("--target", "live"), "the engine alone"),
        (2, ("--target", "there", "--mode", "in_place"), "'in_place'"),
        (4, ("--target", "supabase"), "is not empty"),
        (3, ("--target", "there", "--only", "nobody"), "'nobody'"),
        (2, (), "needs a target"),
        (2, ("--target", "there", "--unproven"), "--unproven can't be used"),
        (2, ("--target", "there", "--no-analyze"), "--no-analyze can't be used"),
    ],
    ids=("live", "in place", "over what is there", "what it does not hold", "no target", "unproven", "not analyzed"),
)
def test_what_can_not_be_restored_so_is_refused_with_its_name_and_makes_nothing(
    code: int, arguments: tuple[str, ...], told: str, pipeline: Pipeline
) -> None:
    error = pipeline.home.error(code, "repo", "restore", "latest", "--type", "function", *arguments)
    assert told in error["message"]
    assert error["reason"] or error["nextStep"]
    assert not (pipeline.folder / "there").exists()
    assert not (pipeline.folder / "live").exists()


def test_a_configuration_is_never_swapped_and_the_refusal_says_what_to_use(pipeline: Pipeline) -> None:
    error = pipeline.home.error(2, "restore", "latest", "--type", "config", "--target", "live", "--mode", "promote")
    assert "in_place" in error["reason"]


def test_what_changed_since_is_shown_without_any_value(pipeline: Pipeline) -> None:
    file = pipeline.file("pipeline.toml")
    former = file.read_text()
    file.write_text(former.replace("Pipeline", "Something else"))
    found = pipeline.home.json("config", "diff", pipeline.backups["config"]["jobId"])
    file.write_text(former)
    (changed,) = [one for one in found["files"] if one["path"].endswith("pipeline.toml")]
    assert [key["name"] for key in changed["keys"]] == ["title"]
    assert "Something else" not in str(found)


def test_no_secret_of_the_pipeline_was_printed_or_is_anywhere_in_the_home(pipeline: Pipeline) -> None:
    for canary in (SECRET, TOKEN):
        assert not [said for said in everything_said if canary in said]
        files = [path for path in pipeline.home.path.rglob("*") if path.is_file() and not path.is_symlink()]
        assert [path for path in files if canary.encode() in path.read_bytes()] == []
        assert len(files) > 100
