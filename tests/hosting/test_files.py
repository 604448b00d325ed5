"""What lies in deployments/: units that systemd takes, secrets that come from files and stay there, an image without any."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.settings import load_settings
from holdfast.settings.loading import known_variables

PROJECT = Path(__file__).parents[2]
DEPLOYMENTS = PROJECT / "deployments"
UNITS = sorted((DEPLOYMENTS / "systemd").glob("*.service"))


def _variables(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def _in_a_shell(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(DEPLOYMENTS / script), *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/holdfast", str(PROJECT)))
    asked = [str(tmp_path / unit.name) for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *asked], capture_output=True, text=True, check=False)
    assert len(asked) == 4
    said = [
        line for line in done.stderr.splitlines() if line.startswith(str(tmp_path)) or "holdfast" in line or "prefect" in line
    ]
    assert (done.returncode, said) == (0, [])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.stem))
def test_no_unit_runs_as_root_or_holds_a_secret(unit: Path) -> None:
    parsed = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parsed.optionxform = str  # type: ignore[assignment]
    parsed.read(unit)
    service = parsed["Service"]
    assert service.get("User") == "holdfast" or service.get("DynamicUser") == "yes"
    assert (service["NoNewPrivileges"], service["ProtectSystem"], service["CapabilityBoundingSet"]) == ("yes", "strict", "")
    assert service["EnvironmentFile"].startswith("/etc/holdfast/")
    loaded = re.findall(r"^LoadCredential=(\w+):/etc/holdfast/credentials/\1$", unit.read_text(), re.MULTILINE)
    assert {name for name in loaded if name.startswith("BACKUP_")} <= set(known_variables())
    assert any(name.endswith("API_AUTH_STRING") for name in loaded)


def test_the_settings_of_a_host_are_ones_that_holdfast_takes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = _variables(DEPLOYMENTS / "systemd" / "holdfast.env")
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert (str(settings.home), settings.api_port) == ("/var/lib/holdfast", 9464)
    assert {name for name in said if not name.startswith(("PREFECT_", "DO_NOT"))} <= set(known_variables())
    assert not [name for name in said if "PASSWORD" in name or "AUTH" in name or name.endswith("KEY")]


def test_each_secret_of_a_folder_becomes_its_variable_and_nothing_else_does(tmp_path: Path) -> None:
    (tmp_path / "BACKUP_CATALOG_URL").write_text('postgresql://a:it\'s "$HOME"@b/c\n')
    (tmp_path / "PREFECT_API_URL").write_text("from-the-file")
    (tmp_path / "holdfast.key").write_text("canary-of-the-key")
    (tmp_path / "A;touch x").write_text("canary-of-a-name")
    given = {"CREDENTIALS_DIRECTORY": str(tmp_path), "PREFECT_API_URL": "from-the-environment"}
    done = _in_a_shell("with-secrets", "env", **given)
    said = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert (done.returncode, done.stderr) == (0, "")
    assert said["BACKUP_CATALOG_URL"] == 'postgresql://a:it\'s "$HOME"@b/c'
    assert said["PREFECT_API_URL"] == "from-the-environment"
    assert "canary" not in done.stdout


def test_the_command_takes_the_place_of_the_shell_so_that_it_gets_the_signals(tmp_path: Path) -> None:
    done = _in_a_shell("with-secrets", "sh", "-c", "kill -TERM $$", CREDENTIALS_DIRECTORY=str(tmp_path / "none"))
    assert done.returncode == -15


def test_secrets_of_a_compose_project_are_made_once_and_belong_together(tmp_path: Path) -> None:
    shutil.copy(DEPLOYMENTS / "make-secrets", tmp_path)
    made = [subprocess.run(["sh", str(tmp_path / "make-secrets")], capture_output=True, text=True, check=True) for _ in range(2)]
    secrets = tmp_path / "secrets"
    said = {path.name: path.read_text() for path in secrets.iterdir()}
    assert "made" in made[0].stdout
    assert "made" not in made[1].stdout
    assert not any(text.strip() in one.stdout for one in made for text in said.values())
    assert secrets.stat().st_mode & 0o777 == 0o700
    for role, url in (("prefect", "PREFECT_SERVER_DATABASE_CONNECTION_URL"), ("holdfast", "BACKUP_CATALOG_URL")):
        password = re.search(rf"{role}:([^@]+)@", said[url])
        assert password is not None
        assert f"ROLE {role} LOGIN" in said["databases.sql"]
        assert f"PASSWORD '{password[1]}'" in said["databases.sql"]
    wanted = {Path(one["file"]).name for one in _compose()["secrets"].values()}
    assert wanted - set(said) == {"BACKUP_DATABASE_URL"}


def test_the_containers_have_no_secret_but_in_files_and_no_right_but_their_own() -> None:
    compose = _compose()
    secret = set(compose["secrets"])
    for service in compose["services"].values():
        assert service["secrets"]
        environment = service["environment"]
        assert not secret & set(environment)
        assert not [value for value in environment.values() if "@" in value]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    ours = [service for name, service in compose["services"].items() if name != "postgres"]
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in ours)


def test_the_image_runs_without_root_and_takes_nothing_but_what_is_named() -> None:
    lines = (DEPLOYMENTS / "Dockerfile").read_text().splitlines()
    assert "USER 10001:10001" in lines
    assert not [line for line in lines if re.match(r"COPY \. ", line)]
    copied = {name for line in lines if re.match(r"COPY [^-]", line) for name in line.split()[1:-1]}
    ignored = (DEPLOYMENTS / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert copied == {line[1:] for line in ignored if line.startswith("!")}
    assert all((PROJECT / name).exists() for name in copied)


def _compose() -> Any:
    return yaml.safe_load((DEPLOYMENTS / "compose.yaml").read_text())
