"""Keys: each opens the repository while it is active, the last can't be lost by accident, and none is ever shown."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from holdfast.errors import (
    DamagedError,
    HoldfastError,
    KeyFileDamagedError,
    KeyMissingError,
    LastKeyError,
    NotFoundError,
    SettingsError,
    WrongKeyError,
)
from holdfast.repository import Repository, UserKey, canonical, check_storage, repair_description
from holdfast.storage import LocalStorage, MemoryStorage, Storage

from .making import back_up, read_all

_RAW = bytes(range(100, 132))
_PASSPHRASE = "correct horse battery"


@pytest.fixture
def other() -> UserKey:
    return UserKey.generate()[0]


@pytest.mark.parametrize(
    "text",
    [
        _RAW.hex(),
        _RAW.hex().upper(),
        base64.b64encode(_RAW).decode(),
        base64.b64encode(_RAW).decode().rstrip("="),
        base64.urlsafe_b64encode(_RAW).decode(),
        f"  {_RAW.hex()}\n",
        SecretStr(_RAW.hex()),
    ],
)
def test_the_same_key_in_any_writing_opens_the_same_repository(text: str | SecretStr) -> None:
    storage = MemoryStorage()
    Repository.create(storage, key=UserKey.parse(_RAW.hex()))
    assert Repository.open(storage, key=UserKey.parse(text)).encrypted


def test_a_generated_key_is_used_by_its_text() -> None:
    key, text = UserKey.generate()
    storage = MemoryStorage()
    Repository.create(storage, key=key)
    Repository.open(storage, key=UserKey.parse(text))
    assert UserKey.parse(text).fingerprint == key.fingerprint
    assert UserKey.generate()[1] != text


def test_a_passphrase_opens_what_it_made_and_another_does_not() -> None:
    storage = MemoryStorage()
    Repository.create(storage, key=UserKey.parse(_PASSPHRASE))
    assert Repository.open(storage, key=UserKey.parse(_PASSPHRASE)).keys.list()[0].kind == "passphrase"
    with pytest.raises(WrongKeyError):
        Repository.open(storage, key=UserKey.parse(_PASSPHRASE + "!"))
    file = json.loads(storage.get(next(storage.list("keys")).name))
    assert file["kdf"]["name"] == "scrypt"
    assert file["kdf"]["n"] * file["kdf"]["r"] * 128 >= 64 << 20


@pytest.mark.parametrize("text", ["short", "elevenchars"])
def test_a_key_too_short_to_be_a_passphrase_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(SettingsError, match="32 bytes in base64 or hex") as caught:
        UserKey.parse(text)
    assert text not in str(caught.value)


def test_an_empty_key_is_a_missing_key() -> None:
    with pytest.raises(KeyMissingError, match="keys generate"):
        UserKey.parse("  \n")


def test_no_key_is_ever_shown_pickled_or_copied_into_a_record() -> None:
    for secret in (_RAW.hex(), _PASSPHRASE):
        key = UserKey.parse(secret)
        storage = MemoryStorage()
        repository = Repository.create(storage, key=key)
        shown = f"{key!r} {key} {repository!r} {vars(repository)} {repository.keys.list()} {vars(repository.keys)}"
        for form in (secret, _RAW.hex(), base64.b64encode(_RAW).decode(), repr(_RAW)):
            assert form not in shown
        for take in (pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError, match="can't be pickled"):
                take(key)


def test_errors_about_keys_never_hold_a_key(storage: Storage) -> None:
    Repository.create(storage, key=UserKey.parse(_RAW.hex()))
    wrong = "aa" * 32
    with pytest.raises(WrongKeyError) as caught:
        Repository.open(storage, key=UserKey.parse(wrong))
    error: BaseException | None = caught.value
    while error is not None:
        assert wrong not in f"{error!r} {vars(error)}"
        assert repr(bytes.fromhex(wrong)) not in f"{error!r} {vars(error)}"
        error = error.__cause__ or error.__context__


def test_encryption_without_a_key_writes_nothing(storage: Storage) -> None:
    with pytest.raises(KeyMissingError, match="nothing was written"):
        Repository.create(storage, key=None, encrypt=True)
    assert list(storage.list()) == []


def test_wrong_missing_and_damaged_key_are_three_different_errors(storage: Storage, key: UserKey, other: UserKey) -> None:
    Repository.create(storage, key=key)
    with pytest.raises(WrongKeyError, match="intact"):
        Repository.open(storage, key=other)
    with pytest.raises(KeyMissingError, match="BACKUP_ENCRYPTION_KEY"):
        Repository.open(storage, key=None)
    name = next(storage.list("keys")).name
    data = bytearray(storage.get(name))
    data[len(data) // 2] ^= 1
    storage.put(name, data, replace=True)
    for given in (key, other):
        with pytest.raises(KeyFileDamagedError, match=name):
            Repository.open(storage, key=given)
    storage.delete(name)
    with pytest.raises(KeyFileDamagedError, match=f"{name}.*it is missing"):
        Repository.open(storage, key=key)


def test_there_is_no_repository_is_an_error_of_its_own(storage: Storage, key: UserKey) -> None:
    with pytest.raises(NotFoundError, match="no repository") as caught:
        Repository.open(storage, key=key)
    assert not isinstance(caught.value, DamagedError)
    assert not Repository.exists(storage)


def test_creating_twice_opens_and_keeps_the_first(storage: Storage, key: UserKey, other: UserKey) -> None:
    first = Repository.create(storage, key=key, label="first")
    again = Repository.create(storage, key=key, label="second")
    assert again.id == first.id
    assert [info.label for info in again.keys.list()] == ["first"]
    with pytest.raises(WrongKeyError):
        Repository.create(storage, key=other)


def test_two_that_create_at_once_share_one_repository(folder: Path, key: UserKey) -> None:
    def create(_: int) -> str:
        return Repository.create(LocalStorage(folder), key=key).id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(create, range(4)))) == 1
    storage = LocalStorage(folder)
    assert len(list(storage.list("keys"))) == 1
    assert check_storage(storage, key).ok


def test_a_creation_that_died_before_its_end_is_begun_again(storage: Storage, key: UserKey) -> None:
    Repository.create(storage, key=key)
    storage.delete("repository.json")  # as if the process had died before the last step
    repository = Repository.create(storage, key=key)
    back_up(repository, "backup_1", {"a": b"1"})
    assert Repository.open(storage, key=key).check().ok


def test_a_lost_repository_json_is_never_covered_with_a_new_repository(storage: Storage, key: UserKey) -> None:
    made = Repository.create(storage, key=key)
    back_up(made, "backup_1", {"a": b"precious"})
    storage.delete("repository.json")
    for use in (lambda: Repository.create(storage, key=key), lambda: Repository.open(storage, key=key)):
        with pytest.raises(DamagedError, match="missing, and there are backups"):
            use()
    repair_description(storage, key)
    repository = Repository.open(storage, key=key)
    assert repository.id == made.id
    assert repository.check().ok
    assert read_all(repository, repository.latest("database")) == {"a": b"precious"}
    with pytest.raises(HoldfastError, match="nothing to repair"):
        repair_description(storage, key)


def test_encryption_is_fixed_when_a_repository_is_made(key: UserKey) -> None:
    encrypted, plain = MemoryStorage(), MemoryStorage()
    Repository.create(encrypted, key=key)
    Repository.create(plain, key=None, encrypt=False)
    with pytest.raises(SettingsError, match="is not encrypted, and the settings say otherwise"):
        Repository.create(plain, key=key, encrypt=True)
    with pytest.raises(SettingsError, match="is encrypted, and the settings say otherwise"):
        Repository.create(encrypted, key=key, encrypt=False)
    assert Repository.open(plain, key=key).encrypted is False
    assert list(plain.list("keys")) == []


def test_an_added_key_opens_everything_and_rewrites_no_chunk(storage: Storage, key: UserKey, other: UserKey) -> None:
    repository = Repository.create(storage, key=key, label="first")
    manifest = back_up(repository, "backup_1", {"a": b"content" * 1000})
    before = {info.name: storage.get(info.name) for info in storage.list("chunks")}
    added = repository.keys.add(other, "second")
    assert added.label == "second"
    assert {info.name: storage.get(info.name) for info in storage.list("chunks")} == before
    opened = Repository.open(storage, key=other)
    assert read_all(opened, opened.manifest(manifest.id)) == {"a": b"content" * 1000}
    assert [(info.label, info.state, info.usable_with_current) for info in opened.keys.list()] == [
        ("first", "active", False),
        ("second", "active", True),
    ]


def test_a_rotated_key_opens_no_more_and_the_new_one_does(storage: Storage, key: UserKey, other: UserKey) -> None:
    repository = Repository.create(storage, key=key, label="old")
    back_up(repository, "backup_1", {"a": b"content"})
    repository.keys.rotate(other, "new")
    assert [(info.label, info.state) for info in repository.keys.list()] == [("old", "removed"), ("new", "active")]
    with pytest.raises(WrongKeyError):
        Repository.open(storage, key=key)
    opened = Repository.open(storage, key=other)
    assert read_all(opened, opened.latest("database")) == {"a": b"content"}
    back_up(repository, "backup_2", {"a": b"the open repository goes on"})
    assert opened.check().ok


def test_a_removed_keys_file_holds_no_wrapped_key(storage: Storage, key: UserKey, other: UserKey) -> None:
    repository = Repository.create(storage, key=key)
    added = repository.keys.add(other)
    repository.keys.remove(added.id)
    file = json.loads(storage.get(f"keys/{added.id}.json"))
    assert file["state"] == "removed"
    assert "wrapped" not in file
    assert "kdf" not in file
    with pytest.raises(WrongKeyError):
        Repository.open(storage, key=other)
    assert repository.check().ok


def test_the_last_usable_key_can_not_be_removed(storage: Storage, key: UserKey, other: UserKey) -> None:
    repository = Repository.create(storage, key=key)
    first = repository.keys.list()[0].id
    with pytest.raises(LastKeyError, match="keys rotate"):
        repository.keys.remove(first)
    added = repository.keys.add(other)
    repository.keys.remove(first)
    with pytest.raises(LastKeyError):
        Repository.open(storage, key=other).keys.remove(added.id)
    Repository.open(storage, key=other)


def test_a_damaged_key_file_does_not_count_as_a_key_that_stays(storage: Storage, key: UserKey, other: UserKey) -> None:
    repository = Repository.create(storage, key=key)
    added = repository.keys.add(other)
    name = f"keys/{added.id}.json"
    storage.put(name, storage.get(name)[:-10], replace=True)
    assert Repository.open(storage, key=key).encrypted, "the key that is intact still opens"
    with pytest.raises(LastKeyError):
        repository.keys.remove(next(info.id for info in repository.keys.list() if info.state == "active"))
    assert [info.state for info in repository.keys.list() if info.id == added.id] == ["damaged"]
    repository.keys.remove(added.id)
    assert repository.check().ok


def test_two_that_remove_each_others_key_at_once_never_both_succeed(folder: Path, key: UserKey, other: UserKey) -> None:
    repository = Repository.create(LocalStorage(folder), key=key)
    ids = [repository.keys.list()[0].id, repository.keys.add(other).id]

    def remove(key_id: str) -> bool:
        try:
            Repository.open(LocalStorage(folder), key=key if key_id == ids[1] else other).keys.remove(key_id)
        except (LastKeyError, WrongKeyError):
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(remove, ids)) == [False, True]


def test_removing_what_is_not_there_or_gone_already_says_so(sealed_in_memory: Repository, other: UserKey) -> None:
    added = sealed_in_memory.keys.add(other)
    sealed_in_memory.keys.remove(added.id)
    for key_id in (added.id, "0" * 16, "../x"):
        with pytest.raises(NotFoundError):
            sealed_in_memory.keys.remove(key_id)


def test_a_repository_that_is_not_encrypted_has_no_keys_to_change(other: UserKey) -> None:
    repository = Repository.create(MemoryStorage(), key=None, encrypt=False)
    assert repository.keys.list() == []
    for change in (repository.keys.add, repository.keys.rotate):
        with pytest.raises(SettingsError, match="not encrypted"):
            change(other)


def test_keys_can_be_changed_while_a_backup_runs(sealed_in_memory: Repository, other: UserKey) -> None:
    with sealed_in_memory.lease("backup"):
        sealed_in_memory.keys.rotate(other)


def test_a_forged_tombstone_or_label_is_noticed_by_every_other_key(storage: Storage, key: UserKey, other: UserKey) -> None:
    """Somebody who can write to the storage, but has no key, recomputes the checksum: the MAC still tells."""
    repository = Repository.create(storage, key=key)
    added = repository.keys.add(other, "laptop")
    name = f"keys/{added.id}.json"
    original = storage.get(name)
    label = {**canonical.from_bytes_with_checksum(original), "label": "server"}
    tombstone = {name: value for name, value in label.items() if name not in ("wrapped", "kdf")} | {"state": "removed"}
    for forged in (label, tombstone):
        storage.put(name, canonical.with_checksum(forged), replace=True)
        report = repository.check(level="stored")
        assert [problem.object for problem in report.problems] == [name]
        assert "changed by somebody who has no key" in report.problems[0].what
        with pytest.raises((WrongKeyError, KeyFileDamagedError)):
            Repository.open(storage, key=other)


def test_a_tampered_repository_json_is_noticed_when_it_is_opened(storage: Storage, key: UserKey) -> None:
    Repository.create(storage, key=key)
    value = canonical.from_bytes_with_checksum(storage.get("repository.json"))
    for forged in ({**value, "created_at": "2020-01-01T00:00:00.000000Z"}, {**value, "first_key_id": "0" * 16}):
        storage.put("repository.json", canonical.with_checksum(forged), replace=True)
        with pytest.raises(DamagedError, match=r"repository\.json"):
            Repository.open(storage, key=key)
    storage.put("repository.json", canonical.with_checksum({**value, "cipher": "none"}), replace=True)
    assert not check_storage(storage, key).ok, "an encrypted repository that says it is not is found out"


def test_a_repository_of_a_newer_format_asks_for_a_newer_holdfast(storage: Storage, key: UserKey) -> None:
    Repository.create(storage, key=key)
    value = canonical.from_bytes_with_checksum(storage.get("repository.json"))
    storage.put("repository.json", canonical.with_checksum({**value, "format": 2}), replace=True)
    with pytest.raises(HoldfastError, match="newer Holdfast"):
        Repository.open(storage, key=key)
