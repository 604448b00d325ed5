"""Storage classes and access tiers: which ones each kind of storage has from which objects can be read at once.

Others are refused: what can't be read at once can be neither verified nor restored.
"""

from __future__ import annotations

from holdfast.errors import SettingsError

CLASSES = {
    "s3": ("STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"),
    "gcs": ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"),
    "azure": ("Hot", "Cool", "Cold"),
}
_FROZEN = {"s3": ("GLACIER", "DEEP_ARCHIVE"), "azure": ("Archive",)}


def checked_class(kind: str, value: str | None) -> str | None:
    """Return the class as the service writes it. Raises SettingsError, whose reason names those that can be used."""
    if value is None:
        return None
    choices = CLASSES.get(kind, ())
    for choice in choices:
        if choice.lower() == value.lower():
            return choice
    if not choices:
        reason = f"a storage of type {kind} has no classes"
    elif value.lower() in (frozen.lower() for frozen in _FROZEN.get(kind, ())):
        reason = f"nothing in it can be read at once, so nothing could be verified or restored; {kind} has {_list(choices)}"
    else:
        reason = f"{kind} has {_list(choices)}"
    raise SettingsError(f"The storage class {value!r} can't be used", reason=reason)


def _list(choices: tuple[str, ...]) -> str:
    return f"{', '.join(choices[:-1])} and {choices[-1]}"
