"""What a person reads who set something wrong."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import SettingsError
from holdfast.settings import Settings, load_settings
from holdfast.settings.placeholder import is_placeholder
from tests.settings.conftest import Kept

CANARY = "canary-7c1e"

WRONG = {
    "BACKUP_COMPRESSION_LEVEL=11": "'11' is not a level of gzip; allowed: 1 to 9 with gzip, 1 to 19 with zstd",
    "BACKUP_COMPRESSION_LEVEL=high": "'high' is not a whole number; allowed: 1 to 9 with gzip",
    "BACKUP_COMPRESSION_LEVEL=0": "BACKUP_ENABLE_COMPRESSION=false",
    "BACKUP_COMPRESSION_ALGORITHM=lzma": "'lzma' is not known; allowed: gzip or zstd",
    "BACKUP_STORAGE_TYPE=ftp": "'ftp' is not known; allowed: local, s3, gcs or azure",
    "BACKUP_PROOF=hope": "'hope' is not known; allowed: counts or content",
    "BACKUP_ENABLE_ENCRYPTION=maybe": "'maybe' is neither true nor false; allowed: true or false",
    "BACKUP_DATABASE_INTERVAL=0": "'0' is too small; allowed: hours, 0.25 to 8760",
    "BACKUP_DATABASE_INTERVAL=daily": "'daily' is not a number; allowed: hours",
    "BACKUP_DATABASE_INTERVAL=nan": "'nan' is too small",
    "BACKUP_DATABASE_INTERVAL=inf": "'inf' is too large",
    "BACKUP_DATABASE_RETENTION=-1": "'-1' is too small; allowed: whole days",
    "BACKUP_DATABASE_RETENTION=1.5": "'1.5' is not a whole number",
    "BACKUP_READERS=65": "'65' is too large; allowed: a whole number, 1 to 64",
    "BACKUP_DUMP_TIME_LIMIT_MINUTES=0": "'0' is too small; allowed: minutes",
    "BACKUP_NOTIFICATION_CHANNELS=email;slack": "'email;slack' holds 1 of another form; allowed: names of small letters",
    "BACKUP_STORAGE_BUCKET=a/b": "'a/b' is not a name that a bucket can have",
    "BACKUP_STORAGE_REGION=eu west": "'eu west' is not the name of a region",
    "BACKUP_STORAGE_PREFIX=../x": "'../x' is not a folder below the bucket",
    "BACKUP_STORAGE_ENDPOINT=minio": "'minio' is not a URL of a server; allowed: a URL such as http://minio:9000",
    "BACKUP_STORAGE_ENDPOINT=http://h:99999": "its value is not a URL",
    "BACKUP_REPLICAS=Far Away": "'Far Away' holds 1 of another form; allowed: names of BackupStorage blocks, or URLs",
    "BACKUP_REPLICAS=far,ftp://h/x": "its value holds 1 of another form",
    "BACKUP_REPLICAS=file://relative": "its value holds 1 of another form",
    "BACKUP_BANDWIDTH_LIMIT=1023": "'1023' is too small; allowed: whole bytes per second, 1024 or more",
    "BACKUP_BANDWIDTH_LIMIT=5M": "'5M' is not a whole number",
    "BACKUP_IMMUTABLE_DAYS=-1": "'-1' is too small; allowed: whole days, 0 to 3650",
    "BACKUP_IMMUTABLE_DAYS=3651": "'3651' is too large",
    "BACKUP_STORAGE_OFFSITE=far": "'far' is neither true nor false; allowed: true or false",
    "BACKUP_STORAGE_CLASS=STANDARD": "'STANDARD' can't be used: a storage of type local has no classes",
    "BACKUP_STORAGE_PATH=~nobody-of-that-name/x": "begins with the home folder of a user who is not known",
    "BACKUP_DATABASE_URL=mysql://h/d": "its value can't be used: it does not begin with postgresql://",
    "BACKUP_ENCRYPTION_KEY=short": "its value can't be used: it is neither 32 bytes in base64 or hex nor a passphrase",
}


def problem() -> SettingsError:
    """Load the settings, which must fail, and show nothing of the canary."""
    with pytest.raises(SettingsError) as caught:
        load_settings()
    told = "".join(traceback.format_exception(caught.value))
    assert CANARY not in told
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize("given", WRONG)
def test_a_wrong_value_is_told_with_its_variable_its_problem_and_what_is_allowed(
    given: str, setting: Callable[..., None]
) -> None:
    variable, value = given.split("=", 1)
    setting(**{variable: value})
    error = problem()
    assert error.message == f"{variable} can't be used"
    assert WRONG[given] in (error.reason or "")
    assert "allowed: " in (error.reason or "")
    assert error.next_step == "It is set in the environment"


def test_everything_that_is_wrong_is_told_at_once(place: Path, setting: Callable[..., None]) -> None:
    (place / ".env").write_text("BACKUP_COMPRESSION_LEVEL=99\nBACKUP_READERS=none\n")
    setting(BACKUP_STORAGE_TYPE="ftp", BACKUP_DATABASE_URL=f"mysql://u:{CANARY}@h/d", BACKUP_ENCRYPTION_KEY="short")
    error = problem()
    assert error.message == "5 settings can't be used"
    lines = (error.reason or "").splitlines()
    assert {line.split(":")[0] for line in lines} == {
        "BACKUP_COMPRESSION_LEVEL",
        "BACKUP_READERS",
        "BACKUP_STORAGE_TYPE",
        "BACKUP_DATABASE_URL",
        "BACKUP_ENCRYPTION_KEY",
    }
    assert sum(f"(set in {place}/.env)" in line for line in lines) == 2
    assert sum("(set in the environment)" in line for line in lines) == 3


@pytest.mark.parametrize(
    "variables",
    [
        {"BACKUP_DATABASE_URL": f"mysql://u:{CANARY}@h/d"},
        {"BACKUP_CATALOG_URL": f"postgresql://u:{CANARY}@h:port/d"},
        {"BACKUP_SCRATCH_URL": CANARY},
        {"BACKUP_ENCRYPTION_KEY": CANARY[:11]},
        {"BACKUP_STORAGE_ENDPOINT": f"http://user:{CANARY}@minio"},
        {"BACKUP_NOTIFICATION_CHANNELS": f"https://hooks.example.com/{CANARY}"},
        {"BACKUP_STORAGE_TYPE": "s3", "BACKUP_STORAGE_SECRET_KEY": CANARY},
        {"BACKUP_STORAGE_TYPE": "s3", "BACKUP_STORAGE_SESSION_TOKEN": CANARY},
        {"BACKUP_REPLICAS": f"s3://user:{CANARY}@bucket/prefix"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_a_wrong_secret_is_not_shown(variables: dict[str, str], setting: Callable[..., None]) -> None:
    setting(**variables)
    error = problem()
    assert not any(value in str(error) for name, value in variables.items() if value != "s3")


def test_a_stored_value_that_is_wrong_is_told_as_such() -> None:
    with pytest.raises(
        SettingsError, match=r"BACKUP_READERS can't be used: 0 is too small.*It is set in the stored configuration"
    ):
        load_settings(Kept(readers=0))


def test_a_truth_value_is_no_number() -> None:
    with pytest.raises(SettingsError, match="True is a truth value, not a number"):
        load_settings(Kept(readers=True))


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"BACKUP_STORAGE_ACCESS_KEY": "AK"}, "BACKUP_STORAGE_SECRET_KEY can't be used: it is not set, although"),
        ({"BACKUP_STORAGE_SECRET_KEY": "SK"}, "although BACKUP_STORAGE_ACCESS_KEY is not"),
        ({"BACKUP_STORAGE_ACCESS_KEY": "your-access-key", "BACKUP_STORAGE_SECRET_KEY": "SK"}, "is an example"),
    ],
)
def test_half_a_credential_is_told_where_credentials_are_used(
    variables: dict[str, str], said: str, setting: Callable[..., None]
) -> None:
    setting(**variables)
    load_settings()
    setting(BACKUP_STORAGE_TYPE="s3")
    assert said in str(problem())


@pytest.mark.parametrize(
    ("kind", "variables"),
    [
        ("azure", {"BACKUP_STORAGE_ACCESS_KEY": "shop"}),
        ("azure", {"BACKUP_STORAGE_ACCESS_KEY": "shop", "BACKUP_STORAGE_SECRET_KEY": "key"}),
        ("azure", {"BACKUP_STORAGE_CONNECTION_STRING": "AccountName=shop;AccountKey=key"}),
        ("azure", {"BACKUP_STORAGE_CONNECTION_STRING": "AccountName=shop;AccountKey=key", "BACKUP_STORAGE_SECRET_KEY": "key"}),
        ("gcs", {"BACKUP_STORAGE_ACCESS_KEY": "backup@shop", "BACKUP_STORAGE_SECRET_KEY": "-----BEGIN PRIVATE KEY-----\\nx"}),
        ("gcs", {"BACKUP_STORAGE_CREDENTIALS_FILE": "account.json"}),
        ("s3", {"BACKUP_STORAGE_ACCESS_KEY": "a", "BACKUP_STORAGE_SECRET_KEY": "s", "BACKUP_STORAGE_SESSION_TOKEN": "t"}),
    ],
)
def test_each_cloud_takes_credentials_in_its_own_forms(
    kind: str, variables: dict[str, str], place: Path, setting: Callable[..., None]
) -> None:
    setting(BACKUP_STORAGE_TYPE=kind, **variables)
    said = load_settings().storage_settings
    assert said.credentials_file == (place / "account.json" if "BACKUP_STORAGE_CREDENTIALS_FILE" in variables else None)
    given = [said.access_key, said.secret_key, said.session_token, said.connection_string]
    shown = {secret.get_secret_value() for secret in given if secret is not None}
    assert shown == set(variables.values()) - {"account.json"}


@pytest.mark.parametrize(
    ("kind", "given", "taken"),
    [
        ("s3", "standard_ia", "STANDARD_IA"),
        ("s3", "GLACIER_IR", "GLACIER_IR"),
        ("gcs", "archive", "ARCHIVE"),
        ("azure", "COLD", "Cold"),
    ],
)
def test_a_storage_class_is_taken_as_the_service_writes_it(
    kind: str, given: str, taken: str, setting: Callable[..., None]
) -> None:
    setting(BACKUP_STORAGE_TYPE=kind, BACKUP_STORAGE_CLASS=given)
    assert load_settings().storage_settings.storage_class == taken


@pytest.mark.parametrize(("kind", "frozen"), [("s3", "GLACIER"), ("s3", "deep_archive"), ("azure", "Archive")])
def test_a_class_that_can_not_be_read_at_once_is_refused(kind: str, frozen: str, setting: Callable[..., None]) -> None:
    setting(BACKUP_STORAGE_TYPE=kind, BACKUP_STORAGE_CLASS=frozen)
    assert "nothing could be verified or restored" in str(problem())


def test_a_bucket_without_credentials_leaves_them_to_the_provider(setting: Callable[..., None]) -> None:
    setting(BACKUP_STORAGE_TYPE="s3", BACKUP_STORAGE_BUCKET="content", BACKUP_STORAGE_ENDPOINT="http://[::1]:9000/")
    storage = load_settings().storage_settings
    assert (storage.type, storage.bucket, storage.endpoint) == ("s3", "content", "http://[::1]:9000")


@pytest.mark.parametrize(
    "value",
    ["your-encryption-key", "your-access-key", "YOUR_SECRET_KEY", "changeme", "change-me!", "<key>", "${KEY}", "xxxxxxxxxxxx"],
)
def test_values_of_examples_are_nobodys_key(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize(
    "value", ["change it all before the moon", "the keys of the kingdom", "my secret garden", "x1x2x3x4x5x6"]
)
def test_a_real_passphrase_is_not_taken_for_an_example(value: str) -> None:
    assert not is_placeholder(value)


def test_settings_never_show_a_secret_when_printed(setting: Callable[..., None]) -> None:
    setting(
        BACKUP_ENCRYPTION_KEY=CANARY * 3,
        BACKUP_STORAGE_ACCESS_KEY=CANARY,
        BACKUP_STORAGE_SECRET_KEY=CANARY,
        BACKUP_STORAGE_SESSION_TOKEN=CANARY,
        BACKUP_STORAGE_CONNECTION_STRING=f"AccountKey={CANARY}",
        BACKUP_DATABASE_URL=f"postgresql://u:{CANARY}@h/d",
        BACKUP_CATALOG_URL=f"postgresql://u:{CANARY}@h/d",
        BACKUP_SCRATCH_URL=f"postgresql://u:{CANARY}@h/d",
    )
    settings = load_settings()
    assert isinstance(settings, Settings)
    assert CANARY not in f"{settings!r} {settings} {settings.model_dump_json()} {settings.storage_settings!r}"
