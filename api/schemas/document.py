"""What all documents of the HTTP API have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Json = dict[str, Any]


class Document(BaseModel):
    """A document, in camelCase. A later version may have more fields, and a client is to take those as they come."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)
