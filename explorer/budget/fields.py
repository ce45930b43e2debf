"""Field types of the budget's models: a reader, what JSON Schema says of the same values, and how they print.

The schema's own keywords are `x-reader` (which reader the file checker uses) and `x-names` (which catalogue
holds the names); editors never see them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import CoreSchema

from explorer.budget import readers
from explorer.units import format_duration

Json: TypeAlias = dict[str, Any]

_NUMBER = r"([0-9]+(_[0-9]+)*(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
_POSITIVE: Json = {"type": "number", "exclusiveMinimum": 0}
_COUNT: Json = {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*[kKmMbBgGtT]?\s*$"}
_SHARE: Json = {"type": "string", "pattern": r"^\s*([0-9]+(\.[0-9]*)?|\.[0-9]+)\s*%\s*$"}
_SIZE: Json = {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)\s*$"}
_TIME: Json = {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*[smhd]?\s*$"}
_RATE: Json = {
    "type": "string",
    "pattern": rf"^\s*({_NUMBER}\s*([KMGT]i?B|B)|[0-9]+(\.[0-9]*)?\s*[MGT]bit)\s*(/\s*s|ps)\s*$",
}


def schema_of(reader: Callable[[Any], Any], *forms: Json, **more: Any) -> Json:
    """What JSON Schema says of the values a reader takes."""
    shape: Json = dict(forms[0]) if len(forms) == 1 else {"anyOf": list(forms)}
    return {**shape, "x-reader": reader.__name__, **more}


def _read(reader: Callable[[Any], Any], *forms: Json) -> tuple[BeforeValidator, WithJsonSchema]:
    return BeforeValidator(reader), WithJsonSchema(schema_of(reader, *forms))


def _named(catalogue: str) -> tuple[BeforeValidator, WithJsonSchema]:
    named = schema_of(readers.name, {"type": "string", "minLength": 1}, **{"x-names": catalogue})
    return BeforeValidator(readers.name), WithJsonSchema(named)


WHOLE = schema_of(readers.whole, {"type": "integer", "minimum": 1}, _COUNT)
SHARE = schema_of(readers.share, {**_POSITIVE, "maximum": 1}, _SHARE)

Count: TypeAlias = Annotated[float, *_read(readers.count, _POSITIVE, _COUNT)]
Whole: TypeAlias = Annotated[int, BeforeValidator(readers.whole), WithJsonSchema(WHOLE)]
Index: TypeAlias = Annotated[int, *_read(readers.index, {"type": "integer", "minimum": 0}, _COUNT)]
KvHeads: TypeAlias = Annotated[
    int | Literal["all"],
    *_read(readers.kv_heads, {"type": "integer", "minimum": 1}, _COUNT, {"const": "all"}),
]
Size: TypeAlias = Annotated[
    float, *_read(readers.size, _SIZE), PlainSerializer(readers.written_size, when_used="json")
]
Bytes: TypeAlias = Annotated[
    float,
    *_read(readers.byte_count, _POSITIVE, _SIZE),
    PlainSerializer(readers.written_size, when_used="json"),
]
Rate: TypeAlias = Annotated[
    float, *_read(readers.rate, _RATE), PlainSerializer(readers.written_rate, when_used="json")
]
BytesPerSecond: TypeAlias = Annotated[
    float,
    *_read(readers.byte_rate, _POSITIVE, _RATE),
    PlainSerializer(readers.written_rate, when_used="json"),
]
Amount: TypeAlias = Annotated[float, *_read(readers.amount, _POSITIVE)]
Number: TypeAlias = Annotated[float, *_read(readers.number, {"type": "number", "minimum": 0})]
Share: TypeAlias = Annotated[float, BeforeValidator(readers.share), WithJsonSchema(SHARE)]
Gain: TypeAlias = Annotated[
    float, *_read(readers.gain, {"type": "number", "minimum": 0, "maximum": 1}, _SHARE)
]
Duration: TypeAlias = Annotated[
    float, *_read(readers.duration, _POSITIVE, _TIME), PlainSerializer(format_duration, when_used="json")
]
Name: TypeAlias = Annotated[str, *_read(readers.name, {"type": "string", "minLength": 1})]
FolderName: TypeAlias = Annotated[
    str, *_read(readers.folder_name, {"type": "string", "pattern": f"^{readers.FOLDER_NAME}$"})
]
Truth: TypeAlias = Annotated[bool, *_read(readers.truth, {"type": "boolean"})]
AcceleratorName: TypeAlias = Annotated[str, *_named("accelerators")]
LawName: TypeAlias = Annotated[str, *_named("laws")]
CorpusName: TypeAlias = Annotated[str, *_named("corpora")]
ModelName: TypeAlias = Annotated[str, *_named("models")]


class Section(BaseModel):
    """A mapping of the budget: unknown keys are errors, values never change.

    The docstrings below fields describe them; `json_schema` reads them, since pydantic would in every run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    forms: ClassVar[tuple[Json, ...]] = ()
    """Other ways to write it than as a mapping of its fields."""
    replaced: ClassVar[bool] = False
    """Only `forms` may be written in a file, never the fields."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        reference = handler(core)
        if cls.forms:
            fields = handler.resolve_ref_schema(reference)
            own = () if cls.replaced else (dict(fields),)
            fields.clear()
            fields["anyOf"] = [*own, *cls.forms]
        return reference


class OneOrMany:
    """A tuple field that also takes one value without its brackets; in a tuple, every one is searched."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        items = handler(core)["items"]
        return {"anyOf": [items, {"type": "array", "items": items, "minItems": 1}]}


def as_tuple(value: Any) -> Any:
    """One value as a tuple of one; an empty list is refused."""
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("at least one value")
        return tuple(value)
    return (value,)


def many(items: Json) -> Json:
    """One value, or a list of them, in JSON Schema."""
    return {"anyOf": [items, {"type": "array", "items": items, "minItems": 1}]}
