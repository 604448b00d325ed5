"""3-2-1 holds only where three copies are stored, on two media, one off-site; and what is lacking is said plainly."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from holdfast.copies import Place, place_of, three_two_one
from holdfast.storage import StorageSettings


def _places(*described: tuple[str, bool]) -> list[Place]:
    return [Place(f"{number}", f"at {number}", medium, offsite) for number, (medium, offsite) in enumerate(described)]


@pytest.mark.parametrize(
    ("described", "missing"),
    [
        ([("disk", False), ("nas", False), ("s3", True)], ()),
        ([("s3", True), ("s3", True), ("azure", True)], ()),
        ([("disk", False), ("s3", True)], ("1 more copy",)),
        ([("disk", False)], ("2 more copies", "a second medium", "a copy off-site")),
        ([], ("3 more copies", "a second medium", "a copy off-site")),
        ([("disk", False), ("disk", False), ("nas", False)], ("a copy off-site",)),
        ([("s3", True), ("s3", True), ("s3", True)], ("a second medium",)),
        ([("disk", False), ("disk", False), ("disk", False)], ("a second medium", "a copy off-site")),
    ],
)
def test_the_rule_and_what_is_lacking(described: list[tuple[str, bool]], missing: tuple[str, ...]) -> None:
    found = three_two_one(_places(*described))
    assert found.missing == missing
    assert found.holds == (not missing)


def test_one_place_by_two_names_is_one_copy(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    one = place_of("primary", StorageSettings(path=tmp_path / "backups"))
    other = place_of("replica", StorageSettings(path=tmp_path / "link" / ".." / tmp_path.name / "backups"))
    assert one.location == other.location
    assert three_two_one([one, other]).missing[0] == "2 more copies"


def test_two_folders_of_one_disk_are_one_medium_and_another_file_system_is_another(tmp_path: Path) -> None:
    one = place_of("a", StorageSettings(path=tmp_path / "not" / "made" / "yet"))
    two = place_of("b", StorageSettings(path=tmp_path))
    elsewhere = place_of("c", StorageSettings(path=Path("/proc/self")))
    assert one.medium == two.medium != elsewhere.medium
    assert one.location != two.location
    assert not (tmp_path / "not").exists(), "looking must make nothing"
    assert not any(place.offsite for place in (one, two, elsewhere))


@pytest.mark.parametrize(
    ("endpoint", "offsite"),
    [
        (None, True),
        ("https://s3.eu-central-1.amazonaws.com", True),
        ("https://minio.example.org:9000", True),
        ("https://203.0.114.7", True),
        ("http://127.0.0.1:5000", False),
        ("http://[::1]:5000", False),
        ("http://localhost:9000", False),
        ("https://10.1.2.3", False),
        ("https://192.168.0.9:9000", False),
        ("https://169.254.1.1", False),
        ("https://[fd00::5]:9000", False),
        ("https://nas", False),
        ("https://NAS.local", False),
        ("https://nas.local.:9000", False),
        ("https://minio.home.arpa", False),
        ("minio:9000", False),
        ("minio.example.org:9000", True),
        ("http://[::1", False),
        ("https://host:port", False),
    ],
)
def test_a_server_of_the_local_network_is_not_off_site_unless_the_settings_say_so(endpoint: str | None, offsite: bool) -> None:
    settings = StorageSettings(type="s3", bucket="b", endpoint=endpoint)
    assert place_of("x", settings).offsite is offsite
    for told in (True, False):
        assert place_of("x", settings.model_copy(update={"offsite": told})).offsite is told


def test_a_disk_elsewhere_is_off_site_when_the_settings_say_so(tmp_path: Path) -> None:
    assert place_of("x", StorageSettings(path=tmp_path, offsite=True)).offsite


def test_one_provider_is_one_medium_whatever_the_region_or_account() -> None:
    amazon = [
        place_of("a", StorageSettings(type="s3", bucket="one")),
        place_of("b", StorageSettings(type="s3", bucket="two", endpoint="https://s3.eu-west-1.amazonaws.com")),
    ]
    azure = [
        place_of("a", StorageSettings(type="azure", bucket="one", access_key=SecretStr("account1"))),
        place_of(
            "b",
            StorageSettings(
                type="azure", bucket="one", connection_string=SecretStr("AccountName=account2;AccountKey=very/secret==;")
            ),
        ),
    ]
    assert {place.medium for place in amazon} == {"s3 amazonaws.com"}
    assert {place.medium for place in azure} == {"azure core.windows.net"}
    assert [place.location for place in amazon] == ["s3://one", "s3://two"]
    assert [place.location for place in azure] == ["az://account1/one", "az://account2/one"]
    own = place_of("c", StorageSettings(type="s3", bucket="one", endpoint="https://minio.example.org"))
    assert own.medium == "s3 minio.example.org"
    assert three_two_one([*amazon, own]).holds


@pytest.mark.parametrize(
    "text",
    [
        "UseDevelopmentStorage=true",
        "AccountName=a;AccountKey=very/secret==;BlobEndpoint=http://127.0.0.1:10000/a;",
        "BlobEndpoint=http://localhost:10000/a;SharedAccessSignature=sv=very-secret",
    ],
)
def test_a_connection_string_tells_where_the_server_is_and_nothing_secret(text: str) -> None:
    place = place_of("x", StorageSettings(type="azure", bucket="c", connection_string=SecretStr(text)))
    assert not place.offsite
    assert "secret" not in repr(place)


def test_one_bucket_by_two_addresses_is_one_copy() -> None:
    places = [
        place_of("x", StorageSettings(type="s3", bucket="b")),
        place_of("y", StorageSettings(type="s3", bucket="b", endpoint="https://s3.amazonaws.com/")),
        place_of("z", StorageSettings(type="s3", bucket="b", endpoint="https://s3.dualstack.eu-west-1.amazonaws.com")),
    ]
    assert three_two_one(places).missing[0] == "2 more copies"


def test_one_container_by_two_addresses_is_one_copy() -> None:
    connection = SecretStr("AccountName=account1;AccountKey=x")
    places = [
        place_of("x", StorageSettings(type="azure", bucket="c", access_key=SecretStr("account1"))),
        place_of("y", StorageSettings(type="azure", bucket="c", endpoint="https://ACCOUNT1.blob.core.windows.net/")),
        place_of("z", StorageSettings(type="azure", bucket="c", connection_string=connection)),
    ]
    assert three_two_one(places).missing[0] == "2 more copies"


def test_two_accounts_of_one_server_are_two_places() -> None:
    endpoints = ("http://127.0.0.1:10000/account1", "http://127.0.0.1:10000/account2")
    places = [place_of("x", StorageSettings(type="azure", bucket="c", endpoint=endpoint)) for endpoint in endpoints]
    assert three_two_one(places).missing[0] == "1 more copy"


def test_a_password_in_an_address_is_not_shown() -> None:
    place = place_of("x", StorageSettings(type="s3", bucket="b", endpoint="https://user:very-secret@minio.example.org"))
    assert place.location == "s3+https://minio.example.org/b"


def test_two_servers_of_one_host_are_two_places_on_one_medium() -> None:
    places = [
        place_of("x", StorageSettings(type="s3", bucket="b", endpoint=f"https://minio.example.org:{port}")) for port in (1, 2)
    ]
    assert three_two_one(places).missing == ("1 more copy", "a second medium")


def test_prefixes_of_one_bucket_are_two_places() -> None:
    places = [place_of("x", StorageSettings(type="gcs", bucket="b", prefix=prefix)) for prefix in (None, "other/")]
    assert [place.location for place in places] == ["gs://b", "gs://b/other"]


def test_an_address_from_the_environment_counts_as_the_storages_heed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9001")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "UseDevelopmentStorage=true")
    for kind, location in (
        ("s3", "s3+http://127.0.0.1:9000/b"),
        ("gcs", "gs+http://127.0.0.1:9001/b"),
        ("azure", "az+http://127.0.0.1:10000/devstoreaccount1/b"),
    ):
        place = place_of("x", StorageSettings.model_validate({"type": kind, "bucket": "b"}))
        assert (place.location, place.offsite) == (location, False)
