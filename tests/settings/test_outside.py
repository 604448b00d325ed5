"""From outside only those settings change that move no backup, read nothing else, and have no other address called."""

from __future__ import annotations

from holdfast.settings import Settings
from holdfast.settings.keys import kept_in_catalog
from holdfast.settings.outside import CHANGEABLE, why_not

NEVER = {"path", "url", "endpoint", "bucket", "prefix", "region", "files", "file", "env", "email", "replicas", "providers"}
"""Parts of names of settings that say where something is, or what is read."""


def test_what_may_be_changed_are_settings_that_the_catalog_keeps() -> None:
    assert set(Settings.model_fields) >= CHANGEABLE
    assert [field for field in CHANGEABLE if not kept_in_catalog(field)] == []


def test_nothing_that_says_where_or_what_may_be_changed() -> None:
    wrong = [
        field for field in CHANGEABLE if set(field.split("_")) & set(NEVER) or field.startswith(("storage_type", "supabase"))
    ]
    assert wrong == []


def test_encryption_may_be_switched_on_and_not_off() -> None:
    assert why_not("enable_encryption", True) is None
    assert why_not("enable_encryption", "true") is None
    assert why_not("enable_encryption", False)
    assert why_not("enable_encryption", "false")
    assert why_not("enable_encryption", 0)
