"""AWS Secrets Manager as a place of secrets.

A secret that holds a JSON object has several values; one of them is named as `secret#field`. Where AWS rotates a secret by a
function, that function is asked, for it alone knows where else the value must be put.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from holdfast.errors import HoldfastError, NotFoundError, RefusedError, SourceDeniedError, SourceFailedError
from holdfast.repository import canonical
from holdfast.sources.contract import LeftOut
from holdfast.sources.secrets.aws_client import aws_errors, make_client, pages
from holdfast.sources.secrets.aws_policy import readers_of
from holdfast.sources.secrets.contract import (
    Digest,
    Json,
    RestoredSecrets,
    Rotation,
    SecretProvider,
    SecretRecord,
    SecretsFound,
    new_value,
    placeholder,
    require_replaceable,
    state_of,
)

if TYPE_CHECKING:
    from boto3 import Session

_FIELD = "#"  # no secret's name may hold it
_RESERVED_TAG = "aws:"
_BINARY_BYTES = 32
Answer = TypeVar("Answer")


class AwsSecrets(SecretProvider):
    """The secrets of one account in one region; `session` is boto3's, else AWS's default chain finds credentials."""

    kind: ClassVar[str] = "aws"
    can_rotate = True
    can_restore = True

    def __init__(
        self,
        *,
        region: str | None = None,
        endpoint: str | None = None,
        session: Session | None = None,
        name: str | None = None,
        tries: int = 5,
    ) -> None:
        super().__init__(name)
        self._region, self._endpoint, self._session, self._tries = region, endpoint, session, tries

    @property
    def description(self) -> Json:
        return {"kind": self.kind, "name": self.name, "region": self._client.meta.region_name}

    def read(self, digest: Digest) -> SecretsFound:
        """Raises SettingsError, SourceDeniedError, SourceFailedError, SourceUnreachableError."""
        with aws_errors("listing the secrets"):
            listed = sorted(pages(self._client.list_secrets, "SecretList"), key=lambda one: str(one["Name"]))
        found, lacking = SecretsFound(), _Lacking()
        for one in listed:
            try:
                found.records.append(self._record(one, digest, lacking))
            except NotFoundError:
                found.left_out.append(LeftOut(f"{self.name}, {one['Name']}", "it was deleted while it was read"))
        found.notes = lacking.notes()
        return found

    def rotate(self, name: str) -> Rotation:
        """Raises NotFoundError, RefusedError, and what `read` raises. Where AWS rotates by a function, that is only begun."""
        secret, _, key = name.partition(_FIELD)
        described = self._described(secret)
        if service := described.get("OwningService"):
            raise RefusedError(f"secret {secret} was not rotated", reason=f"the service {service} manages it")
        with aws_errors(f"rotating secret {secret}"):
            if described.get("RotationEnabled"):
                answer = self._client.rotate_secret(SecretId=secret)
            else:
                value = self._value(secret)
                answer = self._client.put_secret_value(SecretId=secret, **_next_value(name, key, value))
        return Rotation(self.name, name, canonical.now(), answer.get("VersionId"))

    def restore(self, records: Iterable[SecretRecord], *, dry_run: bool = False) -> RestoredSecrets:
        """Recreate what is missing, and give back tags and rotation settings that are missing. Raises what `read` raises."""
        with aws_errors("listing the secrets"):
            listed = pages(lambda **token: self._client.list_secrets(IncludePlannedDeletion=True, **token), "SecretList")
            present = {one["Name"]: one for one in listed}
        done = RestoredSecrets(self.name, dry_run)
        for record in sorted(records, key=lambda one: one.name):
            there = present.get(record.name)
            try:
                if there is None:
                    self._create(record, done)
                elif there.get("DeletedDate"):
                    reason = (
                        "it is scheduled for deletion; undo that with 'aws secretsmanager restore-secret' to get its value back"
                    )
                    done.left_out.append(LeftOut(record.name, reason))
                else:
                    self._amend(record, there, done)
            except (SourceFailedError, SourceDeniedError, NotFoundError) as error:
                done.left_out.append(LeftOut(record.name, error.what_and_why))
        return done

    def close(self) -> None:
        if "_client" in self.__dict__:
            self._client.close()

    @cached_property
    def _client(self) -> Any:
        """Made when first needed: boto3 is slow to import."""
        return make_client(self._session, region=self._region, endpoint=self._endpoint, tries=self._tries)

    def _record(self, one: dict[str, Any], digest: Digest, lacking: _Lacking) -> SecretRecord:
        name = str(one["Name"])
        value = lacking.unless_refused("value", lambda: self._current(name))
        policy = lacking.unless_refused("policy", lambda: self._policy(name))
        plain = None if value is None else _bytes(value)
        current = [version for version, stages in one.get("SecretVersionsToStages", {}).items() if "AWSCURRENT" in stages]
        return SecretRecord(
            provider=self.name,
            name=name,
            digest=None if plain is None else digest(plain),
            version=current[0] if current else None,
            created_at=one.get("CreatedDate"),
            changed_at=one.get("LastChangedDate"),
            last_accessed_at=one.get("LastAccessedDate"),
            rotation=_rotation(one),
            tags={tag["Key"]: tag["Value"] for tag in one.get("Tags", [])},
            readers=None if policy is None else readers_of(policy),
            attributes={
                "description": one.get("Description"),
                "key": one.get("KmsKeyId"),
                "owning_service": one.get("OwningService"),
                "state": "unknown" if value is None else "empty" if plain is None else state_of(plain),
            },
        )

    def _current(self, name: str) -> dict[str, Any]:
        """Return the value's fields; none where the secret has no value yet."""
        try:
            with aws_errors(f"reading the value of secret {name}"):
                return self._value(name)
        except NotFoundError:
            self._described(name)  # raises where the secret itself is gone
            return {}

    def _value(self, name: str) -> dict[str, Any]:
        answer = self._client.get_secret_value(SecretId=name)
        return {field: answer[field] for field in ("SecretString", "SecretBinary") if field in answer}

    def _policy(self, name: str) -> str:
        with aws_errors(f"reading who may read secret {name}"):
            return str(self._client.get_resource_policy(SecretId=name).get("ResourcePolicy") or "")

    def _described(self, name: str) -> dict[str, Any]:
        with aws_errors(f"looking for secret {name}"):
            found: dict[str, Any] = self._client.describe_secret(SecretId=name)
            return found

    def _create(self, record: SecretRecord, done: RestoredSecrets) -> None:
        given = {"Description": record.attributes.get("description"), "KmsKeyId": record.attributes.get("key")}
        if not done.dry_run:
            with aws_errors(f"making secret {record.name}"):
                self._client.create_secret(
                    Name=record.name,
                    SecretString=placeholder(),
                    Tags=_tags(record.tags),
                    **{field: value for field, value in given.items() if value},
                )
        done.created.append(record.name)
        self._rotate_as_before(record, {}, done)

    def _amend(self, record: SecretRecord, there: dict[str, Any], done: RestoredSecrets) -> None:
        present = {tag["Key"] for tag in there.get("Tags", [])}
        missing = _tags({key: value for key, value in record.tags.items() if key not in present})
        if missing and not done.dry_run:
            with aws_errors(f"giving back tags to secret {record.name}"):
                self._client.tag_resource(SecretId=record.name, Tags=missing)
        rotates = self._rotate_as_before(record, there, done)
        (done.amended if missing or rotates else done.kept).append(record.name)

    def _rotate_as_before(self, record: SecretRecord, there: dict[str, Any], done: RestoredSecrets) -> bool:
        """Turn rotation on again where it was on, from its next date on; tell whether there was something to do."""
        was = record.rotation or {}
        if not was.get("enabled") or there.get("RotationEnabled"):
            return False
        if done.dry_run:
            return True
        given = {"RotationLambdaARN": was.get("function"), "RotationRules": was.get("rules")}
        try:
            with aws_errors(f"turning on the rotation of secret {record.name}"):
                self._client.rotate_secret(
                    SecretId=record.name, RotateImmediately=False, **{field: value for field, value in given.items() if value}
                )
        except HoldfastError as error:
            done.left_out.append(LeftOut(f"{record.name}, rotation", error.what_and_why))
            return False
        return True


class _Lacking:
    """Counts what could not be read, so that it is said once and not for each secret."""

    def __init__(self) -> None:
        self._errors: dict[str, list[HoldfastError]] = {"value": [], "policy": []}

    def unless_refused(self, what: str, read: Callable[[], Answer]) -> Answer | None:
        try:
            return read()
        except (SourceDeniedError, SourceFailedError) as error:
            self._errors[what].append(error)
            return None

    def notes(self) -> list[str]:
        said = {
            "value": "the values of {} secrets could not be read, so they have no digest: {}",
            "policy": "the policies of {} secrets could not be read, so it is not known who may read them: {}",
        }
        return [said[what].format(len(errors), errors[0].what_and_why) for what, errors in self._errors.items() if errors]


def _rotation(one: dict[str, Any]) -> Json | None:
    if "RotationEnabled" not in one and not one.get("RotationRules"):
        return None
    return {
        "enabled": bool(one.get("RotationEnabled")),
        "rules": one.get("RotationRules"),
        "function": one.get("RotationLambdaARN") or None,
    }


def _bytes(value: dict[str, Any]) -> bytes | None:
    """Return the value as it is digested; None where there is none."""
    if "SecretString" in value:
        return str(value["SecretString"]).encode()
    return bytes(value["SecretBinary"]) if "SecretBinary" in value else None


def _next_value(name: str, key: str, value: dict[str, Any]) -> dict[str, Any]:
    """Make a new value of the same form. Raises RefusedError, NotFoundError."""
    if "SecretBinary" in value:
        return {"SecretBinary": secrets.token_bytes(_BINARY_BYTES)}
    text = str(value.get("SecretString", ""))
    fields = _fields(text)
    if not key and fields is None:
        require_replaceable(f"secret {name}", text)
        return {"SecretString": new_value()}
    if not key:
        raise RefusedError(
            f"secret {name} was not rotated",
            reason="it holds several values, and some may be no secrets",
            next_step=f"Name one as {name}#FIELD",
        )
    if fields is None or key not in fields:
        raise NotFoundError(f"there is no {name!r} in AWS Secrets Manager", reason="the secret has no such field")
    if not isinstance(fields[key], str):
        raise RefusedError(f"{name} was not rotated", reason="its value is no text")
    require_replaceable(f"secret {name}", fields[key])
    return {"SecretString": json.dumps(fields | {key: new_value()}, ensure_ascii=False)}


def _fields(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items()) if not key.startswith(_RESERVED_TAG)]
