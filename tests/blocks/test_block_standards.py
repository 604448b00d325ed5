"""One sweep over every block in the package, so that none can be forgotten."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import get_args

import pytest
from prefect.blocks.core import Block
from pydantic import SecretStr

import blocks

SECRET_NAME = re.compile(r"(^|_)(key|url|password|token|secret)$")
NOT_SECRET = {"key_file"}


def all_blocks() -> list[type[Block]]:
    found = set()
    for module in pkgutil.walk_packages(blocks.__path__, "blocks."):
        for one in vars(importlib.import_module(module.name)).values():
            if isinstance(one, type) and issubclass(one, Block) and one.__module__.startswith("blocks."):
                found.add(one)
    return sorted(found, key=lambda one: one.__name__)


every_block = pytest.mark.parametrize("block", all_blocks(), ids=lambda block: block.__name__)


def test_the_sweep_finds_every_block_that_is_exported() -> None:
    assert {block.__name__ for block in all_blocks()} == set(blocks.__all__)


@every_block
def test_a_person_finds_the_block_and_reads_what_it_is_for(block: type[Block]) -> None:
    assert block._block_type_name
    assert not block._block_type_name.lower().startswith("prefect")  # such names are Prefect's own, and its server refuses them
    assert re.fullmatch(r"holdfast(-[a-z]+)+", block._block_type_slug or "")
    assert block._description
    assert block._description.endswith(".")
    assert "from blocks import" in (block.get_code_example() or "")


def test_no_two_blocks_share_a_slug_or_name() -> None:
    assert len({block.get_block_type_slug() for block in all_blocks()}) == len(all_blocks())
    assert len({block.get_block_type_name() for block in all_blocks()}) == len(all_blocks())


@every_block
def test_every_field_is_described(block: type[Block]) -> None:
    for name, field in block.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@every_block
def test_what_could_be_a_secret_is_typed_as_one(block: type[Block]) -> None:
    hidden = set(block.model_json_schema()["secret_fields"])
    for name, field in block.model_fields.items():
        if SECRET_NAME.search(name) and name not in NOT_SECRET:
            assert SecretStr in (field.annotation, *get_args(field.annotation)), name
            assert name in hidden


@every_block
def test_the_documented_example_runs_as_far_as_names_go(block: type[Block]) -> None:
    code = re.findall(r"```python\n(.*?)```", block.get_code_example() or "", re.DOTALL)[0]
    compile(code, block.__name__, "exec")
    for line in code.splitlines():
        if line.startswith(("from ", "import ")):
            exec(line, {})
