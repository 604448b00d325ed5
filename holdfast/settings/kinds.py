"""The kinds of values that settings take: each checks its value and says in words what is allowed.

Where a kind refuses a value it raises ValueError with the rest of a sentence whose subject is the value ("is not …"), and that
sentence never repeats the value: `problems.py` shows it where it may be shown.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

from holdfast.errors import SettingsError
from holdfast.settings.placeholder import is_placeholder

WORKING_DIRECTORY = "HOLDFAST_WORKING_DIRECTORY"

OUR_VARIABLES = ("BACKUP_", "HOLDFAST_", "PREFECT_")
"""How the names of variables begin that may hold a key or a password of ours."""

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_BUCKET = re.compile(r"[A-Za-z0-9](?!.*\.\.)[A-Za-z0-9._-]{1,221}")
_REGION = re.compile(r"[A-Za-z0-9-]{1,64}")
_BLOCK = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_PROVIDER = re.compile(r"(?:[a-z0-9]+(?:-[a-z0-9]+)*/)?[a-z0-9]+(?:-[a-z0-9]+)*")
_PROJECT = re.compile(r"[a-z0-9]{1,64}")
_TARGET = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_MAIL = re.compile(r"[^@\s,<>\"]+@[^@\s,<>\"]+")
_LOCATION = re.compile(r"(?:file:///|s3://|s3\+https?://|gs://|az://)[^\s,?#@]+")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a kind takes, in words."""

    text: str


def is_secret(field: FieldInfo) -> bool:
    """Tell whether a field's value must not be shown."""
    return SecretStr in (field.annotation, *get_args(field.annotation))


def working_directory() -> Path:
    """Where `.env` lies and relative paths begin: the working directory, or what HOLDFAST_WORKING_DIRECTORY names.

    A process that Prefect starts elsewhere is told by that variable where its user works.
    """
    return Path(os.environ.get(WORKING_DIRECTORY) or ".").absolute()


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("is a truth value, not a number")  # noqa: TRY004  pydantic collects ValueError only
    return value


def _whole_where_it_is(value: float) -> float:
    return int(value) if value.is_integer() else value


def _absolute(path: Path | None) -> Path | None:
    if path is None:
        return None
    try:
        return Path(os.path.normpath(working_directory() / path.expanduser()))
    except RuntimeError:
        raise ValueError("begins with the home folder of a user who is not known") from None


def _folder_of_home(path: Path) -> Path:
    return _absolute(path) or path


def _names(value: Any) -> Any:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def _known_form(names: list[str]) -> list[str]:
    if wrong := [name for name in names if not _NAME.fullmatch(name)]:
        raise ValueError(f"holds {len(wrong)} of another form")
    return list(dict.fromkeys(names))


def _known_places(names: list[str]) -> list[str]:
    if wrong := [name for name in names if not (_BLOCK.fullmatch(name) or _LOCATION.fullmatch(name))]:
        raise ValueError(f"holds {len(wrong)} of another form")
    return list(dict.fromkeys(names))


def _known_providers(names: list[str]) -> list[str]:
    if wrong := [name for name in names if not _PROVIDER.fullmatch(name)]:
        raise ValueError(f"holds {len(wrong)} of another form")
    return list(dict.fromkeys(names))


def _project(value: str | None) -> str | None:
    if value is not None and not _PROJECT.fullmatch(value):
        raise ValueError("is not the reference of a project")
    return value


def _target(value: str | None) -> str | None:
    if value is not None and (
        not _TARGET.fullmatch(value) or len(value) > 40 or value in {"holdfast", "database", "function", "config", "secrets"}
    ):
        raise ValueError("is not a name that a target can have")
    return value


def _name(value: str | None) -> str | None:
    if value is not None and (not _TARGET.fullmatch(value) or len(value) > 40):
        raise ValueError("is not a name")
    return value


def _mail_address(value: str | None) -> str | None:
    if value is not None and not _MAIL.fullmatch(value):
        raise ValueError("is not an e-mail address")
    return value


def _mail_addresses(values: list[str]) -> list[str]:
    if wrong := [value for value in values if not _MAIL.fullmatch(value)]:
        raise ValueError(f"holds {len(wrong)} of another form")
    return list(dict.fromkeys(values))


def _web_address(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not value.get_secret_value().startswith(("http://", "https://")):
        raise ValueError("is not a URL of the web")
    return value


def _bucket(value: str) -> str:
    if not _BUCKET.fullmatch(value):
        raise ValueError("is not a name that a bucket can have")
    return value


def _region(value: str) -> str:
    if not _REGION.fullmatch(value):
        raise ValueError("is not the name of a region")
    return value


def _endpoint(value: str | None) -> str | None:
    if value is None:
        return None
    from holdfast.storage.settings import endpoint_problem

    if problem := endpoint_problem(value):
        raise ValueError(problem)
    return value.rstrip("/")


def _prefix(value: str | None) -> str | None:
    if value is None or not value.strip("/"):
        return None
    parts = value.strip("/").split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise ValueError("is not a folder below the bucket")
    return "/".join(parts)


def _database_url(value: SecretStr | None) -> SecretStr | None:
    if value is None:
        return None
    from holdfast.postgres.url import DatabaseUrl

    try:
        DatabaseUrl.parse(value)
    except SettingsError as error:
        raise ValueError(f"can't be used: {error.reason}") from None
    return value


def _encryption_key(value: SecretStr | None) -> SecretStr | None:
    if value is None:
        return None
    if is_placeholder(value):
        raise ValueError("is an example that anybody can read; 'holdfast keys generate' makes a key")
    from holdfast.repository.userkey import UserKey

    try:
        UserKey.parse(value)
    except SettingsError as error:
        raise ValueError(f"can't be used: {error.reason}; 'holdfast keys generate' makes one") from None
    return value


Hours = Annotated[
    float,
    BeforeValidator(_no_truth_value),
    AfterValidator(_whole_where_it_is),
    Field(ge=0.25, le=8760),
    Allowed("hours, 0.25 to 8760"),
]
GraceHours = Annotated[
    float,
    BeforeValidator(_no_truth_value),
    AfterValidator(_whole_where_it_is),
    Field(ge=0, le=8760),
    Allowed("hours, 0 to 8760"),
]
Minutes = Annotated[
    float,
    BeforeValidator(_no_truth_value),
    AfterValidator(_whole_where_it_is),
    Field(gt=0, le=43200),
    Allowed("minutes, up to 43200"),
]
TargetHours = Annotated[
    Annotated[float, Field(gt=0, le=87600)] | None, BeforeValidator(_no_truth_value), Allowed("hours, up to 87600")
]
TargetMinutes = Annotated[
    Annotated[float, Field(gt=0, le=525600)] | None, BeforeValidator(_no_truth_value), Allowed("minutes, up to 525600")
]
Days = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=1, le=36500), Allowed("whole days, 1 to 36500")]
Seconds = Annotated[
    float,
    BeforeValidator(_no_truth_value),
    AfterValidator(_whole_where_it_is),
    Field(gt=0, le=3600),
    Allowed("seconds, up to 3600"),
]
MonitorMinutes = Annotated[
    float,
    BeforeValidator(_no_truth_value),
    AfterValidator(_whole_where_it_is),
    Field(ge=0.25, le=1440),
    Allowed("minutes, 0.25 to 1440"),
]
LockSeconds = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=1, le=3600), Allowed("whole seconds, 1 to 3600")]
LeaseSeconds = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=5, le=86400), Allowed("whole seconds, 5 to 86400")]
Workers = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=1, le=64), Allowed("a whole number, 1 to 64")]
Failures = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=1, le=1000), Allowed("a whole number, 1 to 1000")]
Count = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=0, le=10000), Allowed("a whole number, 0 to 10000")]
AtLeastOne = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=1, le=10000), Allowed("a whole number, 1 to 10000")]
ReadDays = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=1, le=366), Allowed("whole days, 1 to 366")]
Percent = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=1, le=100), Allowed("a whole number, 1 to 100")]
ImmutableDays = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=0, le=3650), Allowed("whole days, 0 to 3650")]
Bandwidth = Annotated[
    Annotated[int, Field(ge=1024, le=1 << 50)] | None,
    BeforeValidator(_no_truth_value),
    Allowed("whole bytes per second, 1024 or more"),
]
SizeBytes = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=0, le=1 << 50), Allowed("whole bytes, 0 or more")]
OptionalSizeBytes = Annotated[
    Annotated[int, Field(ge=1, le=1 << 60)] | None, BeforeValidator(_no_truth_value), Allowed("whole bytes, 1 or more")
]
Level = Annotated[int | None, BeforeValidator(_no_truth_value), Allowed("1 to 9 with gzip, 1 to 19 with zstd")]
Names = Annotated[
    list[str],
    NoDecode,
    BeforeValidator(_names),
    AfterValidator(_known_form),
    Allowed("names of small letters and digits, with commas between them"),
]
Places = Annotated[
    list[str],
    NoDecode,
    BeforeValidator(_names),
    AfterValidator(_known_places),
    Allowed("names of BackupStorage blocks, or URLs (file:///path, s3://bucket/prefix, gs://…, az://account/container/prefix)"),
]
Providers = Annotated[
    list[str],
    NoDecode,
    BeforeValidator(_names),
    AfterValidator(_known_providers),
    Allowed("prefect, aws, supabase, postgres-roles, supabase-vault"),
]
Patterns = Annotated[list[str], NoDecode, BeforeValidator(_names), Allowed("patterns with * and ?, with commas between them")]
ProjectRef = Annotated[str | None, AfterValidator(_project), Allowed("small letters and digits")]
OptionalTruth = Annotated[bool | None, Allowed("true or false")]
StorageClass = Annotated[str | None, Allowed("a class of the storage from which objects can be read at once")]
Home = Annotated[Path, AfterValidator(_folder_of_home), Allowed("a folder")]
OptionalPath = Annotated[Path | None, AfterValidator(_absolute), Allowed("a path")]
Bucket = Annotated[str, AfterValidator(_bucket), Allowed("2 to 222 letters, digits, '.', '_' and '-'")]
Region = Annotated[str, AfterValidator(_region), Allowed("letters, digits and '-'")]
Endpoint = Annotated[str | None, AfterValidator(_endpoint), Allowed("a URL such as http://minio:9000")]
ServiceAddress = Annotated[str | None, AfterValidator(_endpoint), Allowed("a URL such as https://example.com/functions/v1")]
Address = Annotated[str, AfterValidator(_endpoint), Allowed("a URL such as https://api.example.com")]
Token = Annotated[SecretStr | None, Allowed("what the service gave you")]
Prefix = Annotated[str | None, AfterValidator(_prefix), Allowed("a relative path such as production/content")]
DatabaseAddress = Annotated[
    SecretStr | None, AfterValidator(_database_url), Allowed("postgresql://user:password@host:5432/database")
]
EncryptionKeyText = Annotated[
    SecretStr | None,
    AfterValidator(_encryption_key),
    Allowed("32 bytes in base64 or hex, or a passphrase of 12 characters or more"),
]
StorageSecret = Annotated[SecretStr | None, Allowed("what the storage's provider gave you")]
ChannelSecret = Annotated[SecretStr | None, Allowed("what the service gave you")]
WebAddress = Annotated[SecretStr | None, AfterValidator(_web_address), Allowed("a URL such as https://hc-ping.com/…")]
MailAddress = Annotated[str | None, AfterValidator(_mail_address), Allowed("an e-mail address")]
Addresses = Annotated[
    list[str],
    NoDecode,
    BeforeValidator(_names),
    AfterValidator(_mail_addresses),
    Allowed("e-mail addresses, with commas between them"),
]
TargetName = Annotated[str | None, AfterValidator(_target), Allowed("small letters, digits and '-', at most 40")]
OptionalName = Annotated[str | None, AfterValidator(_name), Allowed("small letters, digits and '-', at most 40")]
