"""Somebody deploys a function that can't start any more."""

from __future__ import annotations

from examples.content_pipeline.fault import Fault, Parts

_FILE = "functions/summarise/main.ts"


class FunctionBroken(Fault):
    name = "function-broken"
    part = "function"
    plan = "function_failure"
    trigger = "function_runtime_error"
    title = "a function deployed that can't start"

    def _break(self, parts: Parts) -> str:
        with (parts.functions / _FILE).open("a", encoding="utf-8") as file:
            file.write("\n}}} this was merged by mistake\n")
        return f"a line that is no TypeScript written into {_FILE}"


FAULT = FunctionBroken()
