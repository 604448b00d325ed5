"""The same record is always the same bytes, and other bytes are never taken for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import WorkFailedError
from holdfast.repository import canonical

_text = st.text(st.characters(exclude_categories=["Cs"]))
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=8,
)
_records = st.dictionaries(_text, _values, max_size=5)


@given(_records)
def test_a_record_comes_back_as_it_was_written(record: dict[str, Any]) -> None:
    assert canonical.from_bytes(canonical.to_bytes(record)) == record
    record.pop("checksum", None)
    assert canonical.from_bytes_with_checksum(canonical.with_checksum(record)) == record


@given(_records)
def test_the_order_in_which_a_record_was_made_does_not_show(record: dict[str, Any]) -> None:
    backwards = dict(reversed(record.items()))
    assert canonical.to_bytes(backwards) == canonical.to_bytes(record)
    assert canonical.checksum(backwards) == canonical.checksum(record)


@given(_records, st.data())
def test_a_changed_byte_is_never_taken_for_the_record(record: dict[str, Any], data: st.DataObject) -> None:
    written = bytearray(canonical.with_checksum({**record, "a": "something"}))
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="it"):
        canonical.from_bytes_with_checksum(bytes(written))


@pytest.mark.parametrize(
    "text", ['{"a": 1}', '{"b":1,"a":2}', '{"a":1,"a":1}', '{"a":"\\u00e9"}', '{"a":1}\n', '{"a":1.0e0}', "[]", "1", "", "{"]
)
def test_json_that_is_not_in_canonical_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it is"):
        canonical.from_bytes(text.encode())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object(), b"bytes"])
def test_what_json_or_utf8_can_not_say_is_refused_when_written(value: object) -> None:
    with pytest.raises(WorkFailedError):
        canonical.to_bytes({"a": value})


def test_the_form_is_sorted_keys_no_spaces_utf8() -> None:
    assert canonical.to_bytes({"b": [1, 2.5, None], "a": "é\n"}) == '{"a":"é\\n","b":[1,2.5,null]}'.encode()
    assert json.loads(canonical.to_bytes({"b": 1})) == {"b": 1}


@given(
    st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-9))]),
        min_value=datetime(1000, 1, 2),
        max_value=datetime(9999, 12, 30),
    )
)
def test_times_come_back_to_the_microsecond_and_sort_as_text(moment: datetime) -> None:
    written = canonical.time_text(moment)
    assert canonical.time_from(written) == moment
    assert len(written) == len("2025-11-23T20:04:12.123456Z")


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(WorkFailedError, match="time zone"):
        canonical.time_text(datetime(2025, 1, 1))
