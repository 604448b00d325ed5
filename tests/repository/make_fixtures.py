"""Makes the small repositories in fixtures/. Run it by hand, and only for a new format: format 1 must stay readable as it is.

python -m tests.repository.make_fixtures
"""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from holdfast.repository import Compression, Repository, UserKey
from holdfast.storage import LocalStorage

from .making import back_up, text

FIXTURES = Path(__file__).parent / "fixtures"
KEYS = {"raw": "aG9sZGZhc3QgZm9ybWF0IDEgZml4dHVyZSBrZXkgISE=", "passphrase": "an old passphrase, kept"}
# Long and nearly empty, so that there is a list of chunks and the files stay tiny.
LONG = text(1, 3000) + bytes(9 << 20) + text(2, 3000)
CONTENTS: dict[str, dict[str, bytes]] = {
    "backup_1764000000_00000a": {
        "globals": b"CREATE ROLE editor;\n",
        "table/public.articles": LONG,
        "truth": text(3, 2000),
        "empty": b"",
    },
    "backup_1764086400_00000b": {
        "globals": b"CREATE ROLE editor;\n",
        "table/public.articles": LONG + text(4, 500),
        "truth": text(5, 2000),
    },
}
COMPRESSIONS = (Compression("gzip"), Compression("zstd"))


def main() -> None:
    """Write both repositories and what they hold."""
    shutil.rmtree(FIXTURES, ignore_errors=True)
    for name in ("encrypted", "plain"):
        key = UserKey.parse(KEYS["raw"]) if name == "encrypted" else None
        repository = Repository.create(LocalStorage(FIXTURES / name), key=key, encrypt=key is not None, label="first")
        if key is not None:
            repository.keys.add(UserKey.parse(KEYS["passphrase"]), "passphrase")
            repository.keys.remove(repository.keys.add(UserKey.generate()[0], "removed").id)
        for (backup_id, contents), how in zip(CONTENTS.items(), COMPRESSIONS, strict=True):
            moment = datetime.fromtimestamp(int(backup_id.split("_")[1]), UTC)
            back_up(repository, backup_id, contents, compression=how, snapshot_at=moment)
    digests = {
        backup_id: {entry: hashlib.sha256(data).hexdigest() for entry, data in contents.items()}
        for backup_id, contents in CONTENTS.items()
    }
    written = json.dumps({"keys": KEYS, "sha256": digests}, indent=1, ensure_ascii=False)
    (FIXTURES / "contents.json").write_text(written + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
