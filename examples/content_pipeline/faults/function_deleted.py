"""Somebody deletes a function's folder."""

from __future__ import annotations

import shutil

from examples.content_pipeline.fault import Fault, Parts

_SLUG = "search-index"


class FunctionDeleted(Fault):
    name = "function-deleted"
    part = "function"
    plan = "function_failure"
    trigger = "function_deployment_failed"
    title = "a function's folder deleted"

    def _break(self, parts: Parts) -> str:
        shutil.rmtree(parts.functions / "functions" / _SLUG)
        return f"functions/{_SLUG} deleted"


FAULT = FunctionDeleted()
