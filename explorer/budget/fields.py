"""Field types of the budget's models: a reader, and what JSON Schema says of the same values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from explorer.budget import readers

_COUNT = r"^\s*([0-9][0-9_]*(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*[kKmMbBgGtT]?\s*$"
_SIZE = r"^\s*([0-9][0-9_]*(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*([KMGT]i?B|B)\s*$"
_RATE = r"^\s*[0-9].*(/\s*s|ps)\s*$"
_SHARE = r"^\s*([0-9]+(\.[0-9]*)?|\.[0-9]+)\s*%\s*$"


def _read(reader: Callable[[Any], Any], *forms: dict[str, Any]) -> tuple[BeforeValidator, WithJsonSchema]:
    shape: dict[str, Any] = dict(forms[0]) if len(forms) == 1 else {"anyOf": list(forms)}
    return BeforeValidator(reader), WithJsonSchema({**shape, "x-reader": reader.__name__})


_POSITIVE = {"type": "number", "exclusiveMinimum": 0}
_COUNT_TEXT = {"type": "string", "pattern": _COUNT}
_SHARE_TEXT = {"type": "string", "pattern": _SHARE}

Count: TypeAlias = Annotated[float, *_read(readers.count, _POSITIVE, _COUNT_TEXT)]
Whole: TypeAlias = Annotated[int, *_read(readers.whole, {"type": "number", "minimum": 1}, _COUNT_TEXT)]
Index: TypeAlias = Annotated[int, *_read(readers.index, {"type": "number", "minimum": 0}, _COUNT_TEXT)]
KvHeads: TypeAlias = Annotated[
    int | Literal["all"],
    *_read(readers.kv_heads, {"type": "number", "minimum": 1}, _COUNT_TEXT, {"const": "all"}),
]
Size: TypeAlias = Annotated[float, *_read(readers.size, {"type": "string", "pattern": _SIZE})]
Rate: TypeAlias = Annotated[float, *_read(readers.rate, {"type": "string", "pattern": _RATE})]
Amount: TypeAlias = Annotated[float, *_read(readers.amount, _POSITIVE)]
Number: TypeAlias = Annotated[float, *_read(readers.number, {"type": "number", "minimum": 0})]
Share: TypeAlias = Annotated[float, *_read(readers.share, {**_POSITIVE, "maximum": 1}, _SHARE_TEXT)]
Gain: TypeAlias = Annotated[float, *_read(readers.gain, {"type": "number", "minimum": 0}, _SHARE_TEXT)]
Name: TypeAlias = Annotated[str, *_read(readers.name, {"type": "string", "minLength": 1})]
FolderName: TypeAlias = Annotated[
    str, *_read(readers.folder_name, {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"})
]
Truth: TypeAlias = Annotated[bool, *_read(readers.truth, {"type": "boolean"})]


class Section(BaseModel):
    """A mapping of the budget: unknown keys are errors, values never change."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True
    )


class OneOrMany:
    """A tuple field that also takes one value without its brackets; in a tuple, every one is searched."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        many = handler(core)
        return {"anyOf": [many["items"], {"type": "array", "items": many["items"], "minItems": 1}]}


def as_tuple(value: Any) -> Any:
    """One value as a tuple of one; an empty list is refused."""
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("at least one value")
        return tuple(value)
    return (value,)
