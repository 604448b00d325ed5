"""The step type `secrets`: those that others may know get new random values, by the providers that keep them.

What leaked is named by the assessment, by the step, or by the event. What can't be rotated by itself (addresses, certificates, a
role whose password nobody would know) is named with what to do by hand, and fails the step, but only after all the others were
rotated. A rotation is never undone. In a drill a copy of an `.env` file is rotated, and of other providers it is looked whether
they could.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import ClassVar, Literal

from pydantic import Field

from holdfast.errors import SourceUnreachableError, WorkFailedError
from holdfast.recovery.facts import leaked_in
from holdfast.recovery.outside import Rule, chosen, refused, secrets_names
from holdfast.recovery.rotating import ByHand, Noted, Rotated, Rotating
from holdfast.recovery.scratch import scratch_folder
from holdfast.recovery.step_type import Outcome, Parameters, StepType, Work
from holdfast.sources.configuration.secretness import shown_name

_NOTHING = "nothing tells which secrets others may know, so none was rotated"
_HOW_TO_NAME = (
    'Name them: holdfast emit secrets_compromise_detected --payload \'{"secrets": ["env-file/API_KEY"]}\', '
    "in the step's names, or give the step the scope 'all'"
)
_READ_AGAIN = (
    "Whoever uses a rotated secret has to read it again: restart what does. One that another service has given out has to be "
    "renewed there, too"
)


class SecretsParameters(Parameters):
    """Which secrets are rotated."""

    action: Literal["rotate"] = "rotate"
    scope: Literal["compromised", "all"] = "compromised"
    names: tuple[str, ...] = ()
    """Further ones, as provider/name."""
    into: dict[str, str] = Field(default_factory=dict)
    """Of PostgreSQL roles, as provider/name: the variable of the `.env` file that takes the new password."""


class Secrets(StepType[SecretsParameters]):
    """Rotates secrets."""

    name = "secrets"
    minutes = (1, 30)
    parameters = SecretsParameters
    outside: ClassVar[Mapping[str, Rule]] = {
        "action": chosen,
        "scope": chosen,
        "names": secrets_names,
        "into": refused("it names variables of the .env file, which programs read"),
    }

    def touches(self, parameters: SecretsParameters) -> frozenset[str]:
        del parameters
        return frozenset({"secrets"})

    def foresee(self, work: Work, parameters: SecretsParameters) -> list[str]:
        with _rotating(work, parameters) as rotating:
            names = _wanted(work, parameters, rotating)
        return [f"rotate {shown_name(name)}" for name in names] or [f"rotate nothing: {_NOTHING}"]

    def run(self, work: Work, parameters: SecretsParameters) -> Outcome:
        with _rotating(work, parameters) as rotating:
            names = _wanted(work, parameters, rotating)
            if work.is_drill:
                return _rehearsed(work, rotating, names)
            if not names:
                return Outcome(_NOTHING, Rotated().document(), (_HOW_TO_NAME,), needed=False)
            noted = Noted.of(work.world.settings.home / "kept" / work.execution_id / f"{work.step.id}-rotated.json")
            found = rotating.rotate(names, work.deadline, noted)
        for name in found.done:
            work.log.info("rotated %s", name)
        if found.by_hand:
            raise _not_all(found, len(names))
        return Outcome(f"rotated: {', '.join(found.all_done)}", found.document(), (_READ_AGAIN,))


@contextmanager
def _rotating(work: Work, parameters: SecretsParameters) -> Iterator[Rotating]:
    with ExitStack() as held:
        providers = work.world.providers()
        for provider in providers:
            held.callback(provider.close)
        yield Rotating(providers, work.world.settings, work.world.repository.secret_digest, dict(parameters.into))


def _wanted(work: Work, parameters: SecretsParameters, rotating: Rotating) -> list[str]:
    """Name what is to be rotated, each once."""
    verdict = work.verdicts.get("secrets")
    leaked = verdict.affected if verdict is not None and verdict.state == "compromised" else ()  # what is only gone is no leak
    found = [*leaked, *parameters.names, *leaked_in(work.facts)[0]]
    return list(dict.fromkeys(found + (rotating.every_name() if parameters.scope == "all" else [])))


def _rehearsed(work: Work, rotating: Rotating, names: list[str]) -> Outcome:
    """Try it on scratch. Where nothing is named it is tried on all that there are, and what can't be rotated is only told."""
    with scratch_folder(work.world.settings) as folder:
        found = rotating.rehearse(names or rotating.every_name(), work.deadline, folder)
    if names and found.by_hand:
        raise _not_all(found, len(names))
    what = f"{len(found.done)} of {len(found.done) + len(found.by_hand)} secrets could be rotated"
    return Outcome(what, found.document(), tuple(str(one) for one in found.by_hand))


def _not_all(found: Rotated, count: int) -> Exception:
    """Make the error that names what is left, and what was done."""
    by_hand: list[ByHand] = found.by_hand
    kind = SourceUnreachableError if any(one.retryable for one in by_hand) else WorkFailedError
    done = ", ".join(found.all_done) or "none"
    return kind(
        f"{len(by_hand)} of {count} secrets were not rotated: {', '.join(one.name for one in by_hand)}",
        reason="\n".join([*(str(one) for one in by_hand), f"rotated were: {done}"]),
        next_step="See to these by hand, then resume the execution: what has a new value by then is left as it is",
    )


TYPE = Secrets()
