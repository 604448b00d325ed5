"""Values that examples carry in the place of a secret. Whoever reads the example knows them, so they are nobody's secret."""

from __future__ import annotations

import re

from pydantic import SecretStr

_EXAMPLE = re.compile(
    r"""
    ((your|my|our|the|some|an?|example|sample|dummy|test)[-_ ]*)? ((super[-_ ]*)?secret[-_ ]*)?
        (backup|encryption|access|secret|api|private)[-_ ]* (key|password|passphrase) ([-_ ]*(id|here))*
    | (change|replace)[-_ ]?(me|this|it)([-_ ]?(now|please|later))?!*
    | x{3,} | \.{3,} | \*{3,} | <.*> | \{\{.*\}\} | \$\{.*\}
    """,
    re.IGNORECASE | re.VERBOSE,
)


def is_placeholder(value: str | SecretStr) -> bool:
    """Tell whether a value is an example's, such as the guide's `your-encryption-key`."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return _EXAMPLE.fullmatch(text.strip()) is not None
