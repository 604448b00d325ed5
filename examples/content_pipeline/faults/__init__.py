"""The faults: every module beside this one is one, so that another is added by writing one file."""

from __future__ import annotations

import importlib
import pkgutil

from examples.content_pipeline.fault import Fault


def faults() -> dict[str, Fault]:
    """Return every fault by its name."""
    modules = sorted(one.name for one in pkgutil.iter_modules(__path__, f"{__name__}."))
    found = [importlib.import_module(name).FAULT for name in modules]
    return {one.name: one for one in found}
