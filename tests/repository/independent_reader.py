"""A second reader of format 1, from docs/repository-format.md alone: FOLDER [KEY] lists the backups and reads every byte."""

import base64
import gzip
import hashlib
import hmac
import json
import struct
import sys
from contextlib import suppress
from pathlib import Path

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KINDS = {"chunk": 1, "manifest": 2, "pin": 6, "cleanup": 7, "check": 8, "audit": 9}


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def hkdf(secret, salt, info):  # RFC 5869, one block
    return hmac.digest(hmac.digest(salt, secret, "sha256"), info.encode() + b"\x01", "sha256")


class Reader:
    def __init__(self, folder, key=None):
        self.folder = Path(folder)
        self.description = self.checked_json("repository.json")
        assert self.description["format"] == 1
        self.encrypted = self.description["cipher"] == "aes-256-gcm"
        self.master = self.unwrap(key) if self.encrypted else None

    def checked_json(self, name):
        value = json.loads((self.folder / name).read_bytes())
        assert value.pop("checksum") == hashlib.sha256(canonical(value)).hexdigest(), name
        return value

    def unwrap(self, key):
        kind = "raw" if len(key) == 44 and key.endswith("=") else "passphrase"
        for path in sorted((self.folder / "keys").iterdir()):
            file = self.checked_json(f"keys/{path.name}")
            if (file["state"], file["kind"], file["repository_id"]) != ("active", kind, self.description["id"]):
                continue
            kdf, salt = file["kdf"], base64.b64decode(file["kdf"]["salt"])
            if kind == "raw":
                wrapping = hkdf(base64.b64decode(key), salt, "holdfast/1/wrap")
            else:
                wrapping = hashlib.scrypt(key.encode(), salt=salt, n=kdf["n"], r=kdf["r"], p=kdf["p"], dklen=32, maxmem=1 << 30)
            box, _ = base64.b64decode(file.pop("wrapped")), file.pop("mac")
            with suppress(InvalidTag):
                return base64.b64decode(json.loads(AESGCM(wrapping).decrypt(box[:12], box[12:], canonical(file)))["master_key"])
        raise SystemExit("this key opens no key file")

    def derived(self, purpose):
        return hkdf(self.master, bytes.fromhex(self.description["id"]), f"holdfast/1/{purpose}")

    def unseal(self, kind, bound_name, sealed):
        header, body = sealed[:16], sealed[16:]
        *found, compression, cipher, length = struct.unpack(">5sBBBQ", header)
        assert (*found, cipher) == (b"HOLD\x01", KINDS[kind], int(self.encrypted))
        if self.encrypted:
            payload = AESGCM(self.derived(kind)).decrypt(body[:12], body[12:], header + bound_name)
        else:
            payload = body[32:]
            assert hashlib.sha256(header + bound_name + payload).digest() == body[:32]
        plain = {0: bytes, 1: gzip.decompress, 2: lambda data: zstandard.decompress(data, length)}[compression](payload)
        assert len(plain) == length
        return plain

    def records(self, kind, pattern):
        for path in sorted(self.folder.glob(pattern)):
            yield json.loads(self.unseal(kind, path.relative_to(self.folder).as_posix().encode(), path.read_bytes()))

    def backups(self):
        return self.records("manifest", "manifests/*/*")

    def chunk(self, chunk_id):
        plain = self.unseal("chunk", chunk_id, (self.folder / "chunks" / chunk_id.hex()[:2] / chunk_id.hex()).read_bytes())
        expected = hmac.digest(self.derived("id"), plain, "sha256") if self.encrypted else hashlib.sha256(plain).digest()
        assert chunk_id == expected
        return plain

    def below(self, chunk_id, depth):
        plain = self.chunk(chunk_id)
        return plain if depth == 0 else b"".join(self.below(one, depth - 1) for one, _ in struct.iter_unpack(">32sI", plain))

    def read(self, entry):
        data = self.below(bytes.fromhex(entry["root"]["id"]), entry["root"]["depth"])
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["size_bytes"], entry["sha256"])
        return data


if __name__ == "__main__":
    reader = Reader(*sys.argv[1:])
    for backup in reader.backups():
        for entry in backup["entries"]:
            print(backup["type"], backup["id"], backup["snapshot_at"], entry["name"], len(reader.read(entry)))
