"""Who asks: the name of a token with what it allows, from which address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.errors import ScopeMissingError
from holdfast.tokens import Scope

Via = Literal["token", "page", "loopback"]
"""token: it came with the request. page: somebody has logged in at the page. loopback: no token is configured."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose request was let in."""

    name: str
    scopes: frozenset[Scope]
    address: str
    via: Via = "token"

    def require(self, scope: Scope) -> None:
        """Raise ScopeMissingError where this caller may not."""
        if scope not in self.scopes:
            raise ScopeMissingError(
                f"the token {self.name} does not allow this",
                reason=f"it takes the scope {scope}, and the token has {', '.join(sorted(self.scopes)) or 'none'}",
                next_step=f"Make one that has it: holdfast tokens create NAME --scopes {scope}",
            )
