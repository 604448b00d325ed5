"""What can't be rolled back is said for what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import NotFoundError, RefusedError, SettingsError
from holdfast.rolling_back import PREFECT_KEPT, roll_back
from holdfast.settings import load_settings


def test_what_was_kept_of_prefect_alone_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / PREFECT_KEPT).write_text("{}")
    with pytest.raises(RefusedError, match="Prefect's own objects"):
        roll_back(tmp_path, load_settings())
    assert (tmp_path / PREFECT_KEPT).read_text() == "{}"


def test_a_folder_that_no_restore_has_kept_is_refused_and_one_that_is_gone_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nothing that a restore has kept"):
        roll_back(tmp_path, load_settings())
    with pytest.raises(NotFoundError, match="gone"):
        roll_back(tmp_path / "gone", load_settings())
