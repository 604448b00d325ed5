"""Azure Blob Storage keeps the contract, as Azurite shows it, and does what is Azure's alone: blocks, tiers, its credentials.

Azurite lacks, and so it is not shown here: immutability policies (it answers 501) and the versions below them. Of locks only what
is sent is looked at, and what is said where there are none. It keeps a small put-if-absent away from a name whose blocks were
sent and never made an object, which Azure does not say of itself. Of tokens it checks issuer, audience and time, no signature.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient, StandardBlobTier, generate_container_sas
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from holdfast.errors import SettingsError, StorageDeniedError
from holdfast.storage import Storage, StorageSettings, open_storage
from holdfast.storage.azure import AzureStorage
from tests.storage.answering import answering
from tests.storage.conformance import MIB, BucketConformance, RefusalConformance
from tests.storage.fault_proxy import FaultProxy
from tests.storage.servers import AZURE_ACCOUNT, AZURE_KEY, Server, own_server

PART = 4 * MIB


class TestAzureStorage(BucketConformance):
    @pytest.fixture
    def settings(self, azurite: Server) -> StorageSettings:
        return azurite.new_storage()

    def opened(self, settings: StorageSettings) -> Storage:
        storage = AzureStorage(settings, large_bytes=PART, part_bytes=PART)
        self._open.callback(storage.close)
        return storage


class TestAzureRefuses(RefusalConformance):
    @pytest.fixture(params=["wrong key", "unknown account", "expired signature"])
    def refused(self, request: pytest.FixtureRequest, azurite: Server) -> Iterator[Storage]:
        right = azurite.new_storage()
        wrong = {
            "wrong key": {"secret_key": SecretStr("AAAA" + AZURE_KEY[4:])},
            "unknown account": {"access_key": SecretStr("nobodysaccount")},
            "expired signature": {"connection_string": SecretStr(_signed(right, timedelta(hours=-1)))},
        }[request.param]
        with closing(AzureStorage(right.model_copy(update=wrong), large_bytes=PART, part_bytes=PART)) as storage:
            yield storage


@pytest.fixture
def settings(azurite: Server, monkeypatch: pytest.MonkeyPatch) -> StorageSettings:
    """Name an empty container; the machine's environment names none."""
    for name in ("ACCOUNT", "ACCOUNT_NAME", "KEY", "SAS_TOKEN", "CONNECTION_STRING"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    return azurite.new_storage()


def _client(settings: StorageSettings) -> ContainerClient:
    """Look at the server without the storage."""
    key = {"account_name": AZURE_ACCOUNT, "account_key": AZURE_KEY}
    return ContainerClient(settings.endpoint or "", settings.bucket or "", credential=key)


def _signed(settings: StorageSettings, lasts: timedelta) -> str:
    """A connection string that holds a shared access signature and no key."""
    ends = datetime.now(UTC) + lasts
    signature = generate_container_sas(
        AZURE_ACCOUNT, settings.bucket or "", account_key=AZURE_KEY, permission="racwdl", expiry=ends
    )
    return f"BlobEndpoint={settings.endpoint};SharedAccessSignature={signature}"


def test_what_is_larger_than_32_mib_is_sent_in_blocks(settings: StorageSettings) -> None:
    with closing(open_storage(settings)) as storage, _client(settings) as client:
        for name, size in (("whole", 32 * MIB), ("blocks", 32 * MIB + 1)):
            storage.put(name, b"x" * size)
            assert storage.get(name) == b"x" * size
        sent = {name: client.get_blob_client(name).get_block_list("committed")[0] for name in ("whole", "blocks")}
    assert {name: len(blocks) for name, blocks in sent.items()} == {"whole": 0, "blocks": 5}


def test_only_bulk_objects_get_the_tier(settings: StorageSettings) -> None:
    chosen = settings.model_copy(update={"storage_class": "cool"})
    with closing(AzureStorage(chosen, large_bytes=PART, part_bytes=PART)) as storage, _client(settings) as client:
        storage.put("manifest", b"1")
        storage.put("chunk", b"1", bulk=True)
        storage.put("large", bytes(5 * MIB), bulk=True)
        tiers = {blob.name: str(blob.blob_tier) for blob in client.list_blobs()}
        assert tiers == {"manifest": "Hot", "chunk": "Cool", "large": "Cool"}
        assert storage.get("chunk") == b"1"


def test_a_tier_that_can_not_be_read_at_once_is_refused(settings: StorageSettings) -> None:
    for frozen in ("Archive", "GLACIER"):
        with pytest.raises(SettingsError, match=rf"{frozen}.*Cool"):
            open_storage(settings.model_copy(update={"storage_class": frozen}))


def test_an_object_that_somebody_moved_to_the_archive_is_said_to_be(settings: StorageSettings) -> None:
    with closing(AzureStorage(settings)) as storage, _client(settings) as client:
        client.upload_blob("chunks/x", b"1", standard_blob_tier=StandardBlobTier.ARCHIVE)
        with pytest.raises(StorageDeniedError, match=r"chunks/x.*archive"):
            storage.get("chunks/x")


def test_blocks_of_an_upload_that_was_cut_off_are_no_object_and_hinder_no_other(settings: StorageSettings) -> None:
    with closing(AzureStorage(settings, large_bytes=PART, part_bytes=PART)) as storage, _client(settings) as client:
        client.get_blob_client("large").stage_block("a" * 32, b"left over")
        assert storage.head("large") is None
        assert list(storage.list()) == []
        storage.put("large", b"x" * 5 * MIB)
        assert storage.get("large") == b"x" * 5 * MIB


def test_where_nothing_can_be_locked_it_is_said_and_all_else_works(settings: StorageSettings) -> None:
    with closing(AzureStorage(settings.model_copy(update={"immutable_days": 7}))) as storage:
        storage.put("x", b"1")
        with pytest.raises(SettingsError, match=r"'x'.*can't be locked.*immutability.*BACKUP_IMMUTABLE_DAYS=0"):
            storage.lock("x", datetime.now(UTC) + timedelta(days=1))
        assert storage.locked_until("x") is None
        assert storage.locked_until("no/such") is None
        storage.put("x", b"2", replace=True)
        storage.delete("x")
        assert storage.head("x") is None


def test_a_lock_is_asked_for_in_the_mode_that_nobody_can_shorten(azurite: Server, settings: StorageSettings) -> None:
    until = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    with FaultProxy(azurite) as proxy:
        through = proxy.settings_for(settings).model_copy(update={"immutable_days": 7, "prefix": "some/folder"})
        with closing(AzureStorage(through)) as storage:
            storage.put("x", b"1")
            with pytest.raises(SettingsError):
                storage.lock("x", until)
        (sent,) = (request for request in proxy.requests if request.query.get("comp") == ["immutabilityPolicies"])
    headers = {name.lower(): value for name, value in sent.headers}
    assert sent.target.split("?")[0].endswith(f"{settings.bucket}/some/folder/x")
    assert headers["x-ms-immutability-policy-mode"] == "Locked"
    assert headers["x-ms-immutability-policy-until-date"] == "Tue, 06 May 2031 07:08:09 GMT"


def test_nothing_is_locked_where_nothing_is_to_be(settings: StorageSettings) -> None:
    with closing(AzureStorage(settings)) as storage:
        storage.put("x", b"1")
        storage.lock("x", datetime.now(UTC) + timedelta(days=1))
        assert storage.locked_until("x") is None


def _works(settings: StorageSettings, credentials: object | None = None) -> None:
    """Use both obstore and Azure's own client, each with its own copy of the credentials."""
    with closing(AzureStorage(settings, credentials=credentials, large_bytes=PART, part_bytes=PART)) as storage:
        storage.put("small", b"1", replace=True)
        storage.put("large", bytes(5 * MIB), replace=True)
        assert {info.name: info.size_bytes for info in storage.list()} == {"small": 1, "large": 5 * MIB}
        storage.delete("small")
        assert (
            storage.location
            == f"az+{settings.endpoint or storage.location.removeprefix('az+').rsplit('/', 1)[0]}/{settings.bucket}"
        )


def test_a_connection_string_is_enough(settings: StorageSettings) -> None:
    bare = StorageSettings(type="azure", bucket=settings.bucket)
    strings = (
        f"AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={settings.endpoint};",
        f"DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={settings.endpoint}/",
        _signed(settings, timedelta(hours=1)),
    )
    for text in strings:
        found = bare.model_copy(update={"connection_string": SecretStr(text)})
        assert found.location == f"az+{settings.endpoint}/{settings.bucket}"
        _works(found)


@pytest.mark.parametrize("text", ["canary", "AccountName=canary", "AccountName=x;AccountKey=canary!", "AccountKey=canary"])
def test_a_connection_string_that_is_none_is_refused_and_not_shown(settings: StorageSettings, text: str) -> None:
    with pytest.raises(SettingsError, match="BACKUP_STORAGE_CONNECTION_STRING") as caught:
        AzureStorage(StorageSettings(type="azure", bucket=settings.bucket, connection_string=SecretStr(text)))
    assert "canary" not in str(caught.value)


def test_a_key_that_is_none_is_refused_and_not_shown(settings: StorageSettings) -> None:
    with pytest.raises(SettingsError, match=r"BACKUP_STORAGE_SECRET_KEY is no key.*base64") as caught:
        AzureStorage(settings.model_copy(update={"secret_key": SecretStr("canary!")}))
    assert "canary" not in str(caught.value)


def test_what_azures_own_tools_read_from_the_environment_is_read(
    settings: StorageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = settings.model_copy(update={"access_key": None, "secret_key": None})
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", AZURE_ACCOUNT)
    with monkeypatch.context() as patch:
        patch.setenv("AZURE_STORAGE_KEY", AZURE_KEY)
        _works(bare)
        with pytest.raises(SettingsError, match="token"):  # that key is not for any other account
            AzureStorage(bare.model_copy(update={"access_key": SecretStr("another")}))
    with monkeypatch.context() as patch:
        patch.setenv("AZURE_STORAGE_SAS_TOKEN", _signed(settings, timedelta(hours=1)).partition("SharedAccessSignature=")[2])
        _works(bare)
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING", f"AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={settings.endpoint}"
    )
    _works(bare.model_copy(update={"endpoint": None}))


def test_an_account_that_is_named_nowhere_names_the_setting(settings: StorageSettings) -> None:
    with pytest.raises(SettingsError, match=r"BACKUP_STORAGE_ACCESS_KEY is not set.*name of the storage account"):
        AzureStorage(StorageSettings(type="azure", bucket="b"))
    for wrong in ("my.account", "../x", "me@host"):
        with pytest.raises(SettingsError, match=r"BACKUP_STORAGE_ACCESS_KEY is no name"):
            AzureStorage(StorageSettings(type="azure", bucket="b", access_key=SecretStr(wrong)))


def test_a_token_is_never_sent_without_encryption(settings: StorageSettings) -> None:
    with pytest.raises(SettingsError, match=r"token can't be sent.*BACKUP_STORAGE_ENDPOINT begins with http://"):
        AzureStorage(settings.model_copy(update={"secret_key": None}))


def test_what_is_no_credential_is_refused(settings: StorageSettings) -> None:
    with pytest.raises(SettingsError, match="str is no credential for Azure"):
        AzureStorage(settings.model_copy(update={"endpoint": None}), credentials="token")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate authority, and a certificate of its for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("authority")
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    own = _certificate(authority_key, authority_key.public_key(), x509.BasicConstraints(ca=True, path_length=None))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = _certificate(authority_key, key.public_key(), address)
    pem = serialization.Encoding.PEM
    (folder / "authority.pem").write_bytes(own.public_bytes(pem))
    (folder / "server.pem").write_bytes(certificate.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "server.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder


def _certificate(
    signer: ec.EllipticCurvePrivateKey, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType
) -> x509.Certificate:
    is_authority = isinstance(extension, x509.BasicConstraints)
    subject = "tests" if is_authority else "server"
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")]))
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=is_authority)
    )
    return made.sign(signer, hashes.SHA256())


def _token() -> dict[str, Any]:
    now = int(time.time())
    issuer = "https://sts.windows.net/11111111-1111-1111-1111-111111111111/"
    claims = {"aud": "https://storage.azure.com", "iss": issuer, "nbf": now - 60, "iat": now - 60, "exp": now + 3600}
    parts = (json.dumps({"alg": "none", "typ": "JWT"}), json.dumps(claims), "signature")
    token = ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)
    return {"access_token": token, "expires_on": str(now + 3600), "resource": "https://storage.azure.com", "token_type": "Bearer"}


def test_azures_default_chain_finds_a_token_that_the_service_takes(authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity of a machine in Azure: asked of the machine's own service, and taken by a server that wants tokens, over TLS.

    The other members of the chain end at Microsoft's servers, or at programs of theirs.
    """
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "authority.pem"))  # what obstore trusts
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority / "authority.pem"))  # what Azure's own client trusts
    options = ("--oauth", "basic", "--cert", str(authority / "server.pem"), "--key", str(authority / "server.key"))
    with own_server("azure", *options) as server, answering(_token()) as (address, asked):
        settings = server.new_storage()
        assert settings.endpoint is not None
        assert settings.endpoint.startswith("https://")
        without_key = settings.model_copy(update={"secret_key": None})
        with closing(AzureStorage(without_key)) as storage, pytest.raises(StorageDeniedError, match="DefaultAzureCredential"):
            storage.get("x")
        monkeypatch.setenv("IDENTITY_ENDPOINT", address)
        monkeypatch.setenv("IDENTITY_HEADER", "any")
        _works(without_key)
        assert any("resource=https://storage.azure.com" in path for path in asked)
