"""What no backup of the configuration ever holds, whoever asks for it: Holdfast's and Prefect's own secrets.

The key that opens a backup is lost with all else if it lies in that backup alone, and in it gives away all others. So it is known
by its name, by its file and by its text.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.sources.configuration.secretness import assignments_in, name_looks_secret, says_nothing, value_looks_secret

if TYPE_CHECKING:
    from pydantic import SecretStr

    from holdfast.settings import Settings

_SHORTEST_TEXT = 8


@dataclass(frozen=True, slots=True)
class NeverKept:
    """Names of variables, texts, and files."""

    names: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    files: frozenset[Path] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> NeverKept:
        """Take every secret setting by name, and the key by its text and file as well."""
        from holdfast.settings.keys import variable_of
        from holdfast.settings.kinds import is_secret

        names = {variable_of(name) for name, field in type(settings).model_fields.items() if is_secret(field)}
        ours = cls(names=frozenset({*names, "BACKUP_TARGET_URL"}))
        return ours.and_key(settings.encryption_key, settings.encryption_key_file)

    def and_key(self, key: SecretStr | None, file: Path | None) -> NeverKept:
        """Add a key: its text, or its file and the text in it."""
        texts = {key.get_secret_value()} if key else set()
        if file is not None:
            with suppress(OSError):  # a key that can't be read here can't be backed up here, either
                texts.add(file.read_text("utf-8", "replace"))
        stripped = {text.strip() for text in texts}
        return replace(
            self,
            texts=self.texts | {text for text in stripped if len(text) >= _SHORTEST_TEXT},
            files=self.files if file is None else self.files | {file.resolve()},
        )

    def has(self, name: str, value: str) -> bool:
        """Tell whether a variable is never kept; an example's value under such a name is nobody's secret."""
        if any(text in value for text in self.texts):
            return True
        return any(self._is_ours(*pair) for pair in ((name, value), *assignments_in(value)))

    def in_text(self, text: str) -> bool:
        """Tell whether one of the texts occurs anywhere."""
        return any(one in text for one in self.texts)

    def _is_ours(self, name: str, value: str) -> bool:
        if says_nothing(name, value):
            return False
        from holdfast.settings.kinds import OUR_VARIABLES

        return name in self.names or (
            name.startswith(OUR_VARIABLES) and (name_looks_secret(name) or value_looks_secret(value, name))
        )
