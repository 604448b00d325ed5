"""What a backup of the configuration holds, and what it does not."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from holdfast.errors import DatabaseUnreachableError, SourceEmptyError
from holdfast.settings import Settings
from holdfast.settings.keys import variable_of
from holdfast.settings.kinds import is_secret
from holdfast.sources.configuration.never import NeverKept
from holdfast.sources.configuration.places import origins_of
from holdfast.sources.configuration.source import ConfigurationOptions
from tests.sources.configuration.conftest import CANARY, Place, left_out

ODD = [
    "ordinary.toml",
    "two words.yaml",
    "-dash.ini",
    "new\nline.json",
    "ümläut.toml",
    "quote'\".yaml",
    os.fsdecode(b"\xff\xfe.toml"),
    "x" * 250,
]
VALID = {
    "app.toml": "[app]\nname = 'pipeline'\nwhen = 2024-01-01\n",
    "app.yaml": "feeds: [one, two]\nanchor: &a {x: 1}\nagain: *a\ntag: !Ref thing\n---\nsecond: document\n",
    "app.json": '{"limit": 5, "deep": {"list": [1, 2.50, null, true]}}',
    "app.ini": "[section]\nName = value\nalone\n",
    ".env": "# a comment\nexport LEVEL='info'\nNAME=plain\n",
}
INVALID = {
    "app.toml": "name = \n",
    "app.yaml": "a: [1, 2\nb: }\n",
    "app.json": '{"limit": 5,}',
    "app.ini": "no section = here\n",
    ".env": "LEVEL=info\n'unclosed\n",
    "nan.json": "[NaN]",
    "deep.json": "[" * 100_000,
    "deep.yaml": "[" * 100_000,
    "undefined.yaml": "a: *nothing\n",
    "latin.yml": b"name: \xe9t\xe9\n",
}


def stored(place: Place, manifest: object) -> dict[str, tarfile.TarInfo]:
    data = b"".join(place.repository.read(manifest.entry("files")))  # type: ignore[attr-defined]
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as tar:
        return {member.name: member for member in tar.getmembers()}


def test_files_come_byte_for_byte_with_their_modes_and_where_they_lay(place: Place, tmp_path: Path) -> None:
    place.write("settings/app.toml", "a = 1\r\n", 0o640)
    outside = place.write(str(tmp_path / "etc" / "app.conf"), b"\x00\x01 binary", 0o600)
    (place.folder / "settings" / "current.toml").symlink_to("app.toml")
    made = place.back_up(files=("settings/*", str(outside)))
    truth = place.truth(made)
    there = {record.path: record for record in truth.files}
    away = str(outside).lstrip("/")
    assert set(there) == {"settings/app.toml", "settings/current.toml", away}
    assert (there["settings/app.toml"].mode, there[away].mode) == (0o640, 0o600)
    assert there["settings/current.toml"].link_target == "app.toml"
    assert origins_of(truth.parts["files"].facts)[away] == str(outside)
    assert b"a = 1\r\n" in place.content(made)
    assert b"\x00\x01 binary" in place.content(made)
    assert not truth.left_out


def test_every_name_that_a_file_can_have_survives(place: Place) -> None:
    for name in ODD:
        place.write(f"odd/{name}", "a: 1\n" if name.endswith("yaml") else "{}" if name.endswith("json") else "")
    made = place.back_up(files=("odd/**",))
    truth = place.truth(made)
    assert {record.path for record in truth.files} == {f"odd/{name}" for name in ODD}
    assert {Path(path) for path in origins_of(truth.parts["files"].facts).values()} == {
        place.folder / "odd" / name for name in ODD
    }


@pytest.mark.parametrize("name", VALID)
def test_a_well_formed_file_is_kept_and_nothing_is_said(place: Place, name: str) -> None:
    place.write(name, VALID[name])
    truth = place.truth(place.back_up(files=(name,)))
    assert [record.path for record in truth.files] == [name]
    assert truth.parts["files"].facts["invalid"] == {}
    assert not truth.left_out


@pytest.mark.parametrize("name", INVALID)
def test_a_file_that_does_not_parse_is_kept_all_the_same_and_named(place: Place, name: str) -> None:
    place.write(name, INVALID[name])
    truth = place.truth(place.back_up(files=(name,)))
    assert [record.path for record in truth.files] == [name]
    assert truth.parts["files"].facts["invalid"][name].startswith("it is no ")


def test_what_is_wrong_with_a_file_quotes_nothing_of_it(place: Place) -> None:
    for name, text in {
        "a.toml": f'x = "{CANARY}" {CANARY}',
        "a.yaml": f"a: *{CANARY}",
        "a.json": f'{{"{CANARY}" 1}}',
        "a.ini": f"{CANARY}\n",
        "a.env": f"'{CANARY}\n",
    }.items():
        place.write(name, text)
    facts = place.truth(place.back_up(files=("*",), include_secrets=True)).parts["files"].facts
    assert len(facts["invalid"]) == 5
    assert CANARY not in str(facts["invalid"])


def test_a_pattern_that_means_nothing_is_told_for_it_may_be_a_slip(place: Place) -> None:
    place.write("settings/app.toml", "")
    named = left_out(place.truth(place.back_up(files=("settings/*.toml", "setings/*.toml", "settings"))))
    assert named["file:setings/*.toml"] == "there is no such file"
    assert "settings/**" in named["file:settings"]


def test_a_variable_pattern_that_means_nothing_is_told_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_LEVEL", "info")
    named = left_out(place.truth(place.back_up(environment=("APP_*", "AP_*"))))
    assert named == {"environment:AP_*": "no variable has such a name"}


def test_two_stars_go_through_folders_and_not_through_links(place: Place, tmp_path: Path) -> None:
    for path in ("a.yaml", "x/b.yaml", "x/y/c.yaml", "x/y/.hidden.yaml", "x/d.txt", ".own/secret.yaml"):
        place.write(path, "")
    place.write(str(tmp_path / "elsewhere" / "e.yaml"), "")
    (place.folder / "x" / "link").symlink_to(tmp_path / "elsewhere")
    (place.folder / "x" / "loop").symlink_to(place.folder)
    made = place.back_up(files=("**/*.yaml",), without=(place.folder / ".own",))
    assert set(stored(place, made)) == {"a.yaml", "x/b.yaml", "x/y/c.yaml", "x/y/.hidden.yaml"}


def test_a_home_a_parent_folder_and_a_name_with_brackets_can_be_meant(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for path in (tmp_path / "home" / ".apprc", tmp_path / "beside.ini", place.folder / "a[1].toml"):
        place.write(str(path), "")
    made = place.back_up(files=("~/.apprc", "../beside.ini", "a[1].toml"))
    assert {Path(path) for path in origins_of(place.truth(made).parts["files"].facts).values()} == {
        tmp_path / "home" / ".apprc",
        tmp_path / "beside.ini",
        place.folder / "a[1].toml",
    }


def test_two_files_that_would_have_one_name_in_the_backup_are_both_kept(place: Place, tmp_path: Path) -> None:
    outside = place.write(str(tmp_path / "twin.toml"), "outside = true\n")
    below = place.write(str(tmp_path / "folder" / "beneath.toml"), "")
    place.write(str(outside).lstrip("/"), "inside = true\n")
    place.write(str(tmp_path / "folder").lstrip("/"), "a file that has a folder's name")
    place.write("_holdfast/environment.json", "{}")
    made = place.back_up(files=("**", str(outside), str(below)))
    origins = origins_of(place.truth(made).parts["files"].facts)
    inside = [str(outside).lstrip("/"), str(tmp_path / "folder").lstrip("/"), "_holdfast/environment.json"]
    assert sorted(origins.values()) == sorted(map(str, [outside, below, *(place.folder / name for name in inside)]))
    folders = {str(parent) for name in origins for parent in Path(name).parents}
    assert folders.isdisjoint(origins)


def test_what_can_not_be_read_is_named_and_costs_nothing_else(place: Place) -> None:
    place.write("app.toml", "")
    os.mkfifo(place.folder / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    here = os.open(place.folder, os.O_RDONLY)
    try:
        listening.bind(f"/proc/self/fd/{here}/socket")  # an address may not be long
        place.write("huge.json", b" " * (9 << 20))
        truth = place.truth(place.back_up(files=("*",)))
    finally:
        os.close(here)
        listening.close()
    assert [record.path for record in truth.files] == ["app.toml"]
    named = left_out(truth)
    assert named["file:pipe"] == "it is a pipe"
    assert set(named) == {"file:pipe", "file:socket", "file:huge.json"}


def test_an_unchanged_configuration_gives_the_same_bytes_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_B", "2")
    monkeypatch.setenv("APP_A", "1")
    for name in ("b.toml", "a.toml"):
        place.write(name, "")
    one, other = (place.back_up(files=("*",), environment=("APP_*",)) for _ in range(2))
    assert [entry.sha256 for entry in one.entries] == [entry.sha256 for entry in other.entries]
    assert one.source == other.source


def test_nothing_secret_of_variables_or_files_is_stored_unless_asked_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "APP_API_KEY": CANARY,
        "APP_MOOD": CANARY,
        "APP_DSN": f"postgres://u:{CANARY}@db/x",
        "APP_LEVEL": "info",
    }.items():
        monkeypatch.setenv(name, value)
    files = {
        "a.toml": f"[db]\npassword = '{CANARY}'\n",
        "b.yaml": f"x: &x {CANARY}\ndb: {{password: *x}}\n",
        "c.json": f'{{"db": {{"password": "{CANARY}", "password": ""}}}}',
        "d.ini": f"[db]\npassword = {CANARY}\n",
        "e.env": f"DB_PASSWORD={CANARY}\n",
        "f.conf": f"requirepass {CANARY}\n",
        "g.xml": f"<db><password>{CANARY}</password></db>",
        "h.sh": f'export TOKEN="{CANARY}"\n',
        "i.toml": f"# password = {CANARY}\nname = 1\n",
        "j.json": f'{{"password": "{CANARY}",,}}',
        "k.txt": f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n",
        "id_ed25519": CANARY,
        "l.php": f"<?php $config = ['password' => '{CANARY}'];",
        "p.yaml": f"services: {{app: {{environment: [LEVEL=info, DB_PASSWORD={CANARY}]}}}}",
        "q.yaml": f"env: [{{name: LEVEL, value: info}}, {{name: DB_PASSWORD, value: {CANARY}}}]",
        "r.json": f'["serve", "--password", "{CANARY}", "--level", "info"]',
        "s.service": f"[Service]\nExecStart=/bin/app --level=info --db-password={CANARY}\n",
        "n.conf": f"requirepass {CANARY}\n".encode("utf-16-le"),
        "o.bin": b"\0\1\2" + f"-----BEGIN PRIVATE KEY-----{CANARY}".encode(),
        "db_password": f"{CANARY}\n",
        "note.txt": "4fJ9sLq2Xv7Tz1Wn8Rb3Kd6M" + CANARY,
        "m.conf": f"url http://user:{CANARY}@proxy:3128/\n".encode("utf-16"),
    }
    for name, text in files.items():
        place.write(f"files/{name}", text)
    plain = {
        "plain.toml": "level = 'info'\n",
        "plain.yaml": "env: [{name: DB_PASSWORD, valueFrom: {secretKeyRef: {name: db, key: password}}}, {name: L, value: info}]",
        "plain.json": '["serve", "--level", "info", "--token-ttl=5", "--password", "--quiet"]',
    }
    for name, text in plain.items():
        place.write(f"files/{name}", text)
    wanted = {"files": ("files/*",), "environment": ("APP_*",)}
    made = place.back_up(**wanted)
    named = left_out(place.truth(made))
    assert CANARY.encode() not in place.content(made)
    assert place.document(made, "environment") == {"APP_LEVEL": "info"}
    assert set(named) == {f"file:files/{name}" for name in files} | {
        f"environment:APP_{name}" for name in ("API_KEY", "DSN", "MOOD")
    }
    assert "db.password" in named["file:files/a.toml"]
    assert set(place.truth(made).parts["files"].facts["secret"]) == {f"files/{name}" for name in files}
    for file in place.objects.rglob("*"):
        assert not file.is_file() or CANARY.encode() not in file.read_bytes()

    asked = place.back_up(**wanted, include_secrets=True)
    assert place.document(asked, "environment")["APP_API_KEY"] == CANARY
    assert len(stored(place, asked)) == len(files) + len(plain)
    assert not place.truth(asked).left_out


def test_what_opens_the_backups_is_never_in_one_even_if_asked_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_ENCRYPTION_KEY", CANARY * 2)
    monkeypatch.setenv("BACKUP_STORAGE_SECRET_KEY", CANARY)
    monkeypatch.setenv("PREFECT_API_KEY", CANARY)
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", f"admin:{CANARY}")
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", f"postgresql://p:{CANARY}@db/prefect")
    monkeypatch.setenv("OTHER_NAME", f"key={CANARY * 2}")
    monkeypatch.setenv("BACKUP_RETENTION_NOTE", "a year")
    keyfile = place.write("holdfast.key", CANARY * 3)
    place.write("copy.txt", f"the key: {CANARY * 3}\n")
    place.write(".env", f"BACKUP_ENCRYPTION_KEY={CANARY}\n")
    place.write("compose.yaml", f"environment: [A=b, BACKUP_ENCRYPTION_KEY={CANARY}]")
    place.write(".env.example", "BACKUP_ENCRYPTION_KEY=your-encryption-key\n")
    never = NeverKept.of(Settings(BACKUP_ENCRYPTION_KEY_FILE=keyfile))
    made = place.back_up(
        files=("*",),
        environment=("BACKUP_*", "PREFECT_*_KEY", "PREFECT_*_URL", "*_AUTH_STRING", "OTHER_*"),
        include_secrets=True,
        never=never,
    )
    named = left_out(place.truth(made))
    assert CANARY.encode() not in place.content(made)
    assert place.document(made, "environment") == {"BACKUP_RETENTION_NOTE": "a year"}
    assert set(stored(place, made)) == {".env.example"}
    assert "BACKUP_ENCRYPTION_KEY" in named["file:.env"]
    assert all("no backup ever holds" in reason for reason in named.values())


def test_every_setting_that_is_no_secret_may_be_kept_and_no_other() -> None:
    never = NeverKept.of(Settings())
    for name, field in Settings.model_fields.items():
        value = str(field.default).lower() if isinstance(field.default, bool) else "365"
        assert never.has(variable_of(name), value) == is_secret(field), name


def test_a_denied_variable_is_left_out_whatever_allows_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_LEVEL", "info")
    monkeypatch.setenv("APP_DEBUG_FLAGS", "1")
    made = place.back_up(environment=("APP_*",), environment_deny=("*DEBUG*",))
    assert place.document(made, "environment") == {"APP_LEVEL": "info"}


def test_a_variable_that_is_no_text_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_LEVEL", "info")
    monkeypatch.setenv("APP_BYTES", os.fsdecode(b"\xff\xfe"))
    named = left_out(place.truth(place.back_up(environment=("APP_*",))))
    assert named == {"environment:APP_BYTES": "it is not UTF-8"}


def test_a_configuration_of_nothing_is_refused(place: Place) -> None:
    with pytest.raises(SourceEmptyError):
        place.back_up(files=("*.toml",), environment=("NOTHING_LIKE_THIS_*",), backup_config=dict)


def test_the_catalogs_and_prefects_part_are_stored_and_one_that_fails_is_named(place: Place) -> None:
    def unreachable() -> dict[str, object]:
        raise DatabaseUnreachableError("the catalog does not answer")

    made = place.back_up(backup_config=unreachable, prefect=lambda: {"variables": {"level": {"value": "info"}}})
    assert place.document(made, "prefect") == {"variables": {"level": {"value": "info"}}}
    assert left_out(place.truth(made)) == {"backup_config": "the catalog does not answer"}


def test_a_file_is_stored_as_it_was_looked_into(place: Place) -> None:
    """A secret that is written while the backup runs never slips in between the look and the reading."""
    plain, secret = "level: info\n" + "#" * 200_000, f"password: {CANARY}\n" + "#" * 200_000
    file = place.write("app.yaml", plain)
    stop = threading.Event()

    def write_on() -> None:
        while not stop.wait(0.002):
            for text in (secret, plain):
                beside = file.with_name("beside")
                beside.write_text(text)
                beside.replace(file)

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        made = [place.back_up(files=("app.yaml",), environment=("PATH",)) for _ in range(2)]
    finally:
        stop.set()
        writer.join()
    assert all(CANARY.encode() not in place.content(one) for one in made)


def test_the_settings_say_what_is_backed_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_WORKING_DIRECTORY", str(place.folder))
    settings = Settings(
        BACKUP_CONFIG_FILES="a.toml, b/*.yaml",
        BACKUP_CONFIG_ENV="APP_*",
        BACKUP_CONFIG_ENV_DENY="APP_X",
        BACKUP_CONFIG_INCLUDE_SECRETS=True,
        BACKUP_ENCRYPTION_KEY=SecretStr(CANARY),
    )
    options = ConfigurationOptions.of(settings)
    assert (options.working_directory, options.files) == (place.folder, ("a.toml", "b/*.yaml"))
    assert (options.environment, options.environment_deny, options.include_secrets) == (("APP_*",), ("APP_X",), True)
    assert options.never.texts == {CANARY}
    assert {"BACKUP_ENCRYPTION_KEY", "BACKUP_SUPABASE_ACCESS_TOKEN", "BACKUP_DATABASE_URL"} <= options.never.names
