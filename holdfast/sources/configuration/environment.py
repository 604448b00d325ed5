"""Which environment variables are backed up: those that a pattern allows and none denies, without what looks like a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from holdfast.sources.configuration.never import NeverKept
from holdfast.sources.configuration.secretness import looks_secret
from holdfast.sources.contract import LeftOut
from holdfast.sources.files import shown

SUSPECTED = "it looks like a secret; BACKUP_CONFIG_INCLUDE_SECRETS=true keeps such, too"
NO_VARIABLE = "no variable has such a name"
NEVER = "it is a secret of Holdfast or Prefect, and no backup ever holds those"


@dataclass(slots=True)
class Environment:
    """What was selected: variables with their values; the names of those that look secret; and why each that was left out was."""

    variables: dict[str, str] = field(default_factory=dict)
    secret: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def select(
    environment: Mapping[str, str],
    allow: Sequence[str],
    deny: Sequence[str] = (),
    *,
    include_secrets: bool = False,
    never: NeverKept,
) -> Environment:
    """Select variables by patterns such as `APP_*`, case and all; a pattern that allows nothing is named: it may be a slip."""
    found = Environment()
    names = sorted(name for name in environment if _any(allow, name))
    for name in names:
        if not _any(deny, name):
            _take(found, name, environment[name], include_secrets=include_secrets, never=never)
    for pattern in allow:
        if not any(fnmatchcase(name, pattern) for name in names):
            found.left_out.append(LeftOut(f"environment:{pattern}", NO_VARIABLE))
    return found


def _take(found: Environment, name: str, value: str, *, include_secrets: bool, never: NeverKept) -> None:
    reason = None
    if never.has(name, value):
        reason = NEVER
    elif looks_secret(name, value):
        found.secret.append(shown(name))
        reason = None if include_secrets else SUSPECTED
    if reason is None and not _is_text(name + value):
        reason = "it is not UTF-8"
    if reason is None:
        found.variables[name] = value
    else:
        found.left_out.append(LeftOut(f"environment:{shown(name)}", reason, withheld=reason in (NEVER, SUSPECTED)))


def _any(patterns: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
