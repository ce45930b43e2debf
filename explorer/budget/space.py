"""Which designs may be chosen: the section `space` of budget.yaml."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self, TypeAlias

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from explorer.budget.fields import (
    SHARE,
    WHOLE,
    Amount,
    Index,
    Json,
    KvHeads,
    Number,
    OneOrMany,
    Section,
    Truth,
    Whole,
    as_tuple,
    many,
)
from explorer.budget.grids import LARGEST_AXIS, grid, length
from explorer.budget.readers import whole
from explorer.design import Ffn, Norm, Position, QkNorm, choices


class Axis(Section):
    """The values one size may take: every multiple in a range, a geometric grid, or a list."""

    forms: ClassVar[tuple[Json, ...]] = (WHOLE, {"type": "array", "items": WHOLE, "minItems": 1})

    low: Whole = Field(alias="from")
    """Smallest value; in the axis's own unit: tokens, elements or layers."""
    high: Whole = Field(alias="to")
    """Largest value; in the axis's own unit: tokens, elements or layers."""
    multiple_of: Whole = 1
    """Every value is a multiple of this; in the axis's own unit."""
    per_octave: Whole | None = None
    """Values per doubling, rounded to multiples; default: every multiple in the range."""
    listed: tuple[Whole, ...] = Field(default=(), exclude=True, json_schema_extra={"x-hidden": True})
    """The values, where they were given one by one."""

    @model_validator(mode="before")
    @classmethod
    def _of_values(cls, value: Any) -> Any:
        if isinstance(value, list | tuple | int | float | str):
            values = sorted({whole(v) for v in as_tuple(value)})
            return {"from": values[0], "to": values[-1], "listed": tuple(values)}
        return value

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if (
            not self.listed
            and not 0 < length(self.low, self.high, self.multiple_of, self.per_octave) <= LARGEST_AXIS
        ):
            raise ValueError("a range with at least one value and at most 1,000,000")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> Any:
        return list(self.listed) if self.listed else handler(self)

    @property
    def points(self) -> tuple[int, ...]:
        """Every value, ascending."""
        return self.listed or grid(self.low, self.high, self.multiple_of, self.per_octave)


class FfnChoice(Section):
    """A feed-forward part."""

    forms: ClassVar[tuple[Json, ...]] = ({"enum": list(choices(Ffn))},)

    kind: Ffn = "swiglu"
    """`swiglu` and `geglu` are gated (three matrices); `gelu`, `relu` and its square `relu2` plain (two)."""
    ratio: Amount = Field(default=0.0, validate_default=False)
    """Inner width over d_model; default: 8/3 for gated and 4 for plain kinds."""

    @model_validator(mode="before")
    @classmethod
    def _of_kind(cls, value: Any) -> Any:
        given = {"kind": value} if isinstance(value, str) else value
        if isinstance(given, dict) and "ratio" not in given:
            return {**given, "ratio": usual_ratio(given.get("kind", "swiglu"))}
        return given


def usual_ratio(kind: Any) -> float:
    """Inner width over d_model: gated kinds have a third matrix and make up for it (LLaMA's 8/3)."""
    return 8 / 3 if kind in ("swiglu", "geglu") else 4.0


class Attention(Section):
    """What a token attends to: everything (`full`) or a window with additions."""

    model_config = ConfigDict(json_schema_extra={"required": ["window"]})
    forms: ClassVar[tuple[Json, ...]] = ({"const": "full"},)

    window: Index = 0
    """Keys a windowed layer sees, itself included (tokens)."""
    global_every: Index = 0
    """One layer in this many attends to everything; 0: every layer is windowed."""
    global_tokens: Index = Field(default=0, alias="global")
    """Tokens that every token attends to (Longformer, BigBird)."""
    random_tokens: Index = Field(default=0, alias="random")
    """Keys drawn at random for every query (BigBird)."""

    @model_validator(mode="before")
    @classmethod
    def _of_full(cls, value: Any) -> Any:
        return {} if isinstance(value, str) and value == "full" else value

    @model_validator(mode="after")
    def _windowed(self) -> Self:
        if not self.window and (self.global_every or self.global_tokens or self.random_tokens):
            raise ValueError("a window above 0 where global_every, global or random are set")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> Any:
        return {k: v for k, v in handler(self).items() if v} if self.window else "full"


class Schedule(Section):
    """How context length moves in training; `staged_from` 0 is the constant schedule."""

    forms: ClassVar[tuple[Json, ...]] = (
        {"const": "constant"},
        {
            "type": "object",
            "properties": {
                "staged": {
                    "type": "object",
                    "description": "Most tokens at a short window, the last share at the context length.",
                    "properties": {
                        "from": {
                            **many(WHOLE),
                            "description": "The short window (tokens); several are searched.",
                        },
                        "share": {
                            **many(SHARE),
                            "description": "Share of the tokens at the context length; several are searched.",
                        },
                    },
                    "required": ["from", "share"],
                    "additionalProperties": False,
                }
            },
            "required": ["staged"],
            "additionalProperties": False,
        },
    )
    replaced: ClassVar[bool] = True

    staged_from: Index = 0
    """Context length of most of the training (tokens)."""
    staged_share: Number = 0.0
    """Share of the training tokens at the full context length."""

    @model_serializer(mode="plain")
    def _as_written(self) -> Any:
        if not self.staged_from:
            return "constant"
        return {"staged": {"from": self.staged_from, "share": self.staged_share}}


def _schedules(value: Any) -> Any:
    """`constant` and `{staged: {from, share}}` one by one, each short window with each share."""
    from explorer.budget.readers import share as read_share

    flat: list[Any] = []
    for item in as_tuple(value):
        if isinstance(item, str) and item == "constant":
            flat.append({})
        elif isinstance(item, dict) and set(item) == {"staged"} and isinstance(item["staged"], dict):
            staged = item["staged"]
            if set(staged) != {"from", "share"}:
                raise ValueError("staged: a mapping of from and share")
            flat += [
                {"staged_from": whole(start), "staged_share": read_share(part)}
                for start in as_tuple(staged["from"])
                for part in as_tuple(staged["share"])
            ]
        else:
            flat.append(item)
    return tuple(flat)


Wholes: TypeAlias = Annotated[tuple[Whole, ...], BeforeValidator(as_tuple), OneOrMany()]


class Space(Section):
    """The designs to choose from: three axes, and whatever else is listed."""

    context_length: Axis = Field(default=Axis(low=1024, high=131_072, per_octave=4, multiple_of=256))
    """Tokens in one training sequence."""
    d_model: Axis = Field(default=Axis(low=512, high=16_384, multiple_of=128))
    """Width of the residual stream, in elements."""
    n_layers: Axis = Field(default=Axis(low=4, high=128))
    """Transformer blocks (layers)."""
    d_head: Wholes = (128,)
    """Width of one attention head, in elements."""
    n_kv_heads: Annotated[tuple[KvHeads, ...], BeforeValidator(as_tuple), OneOrMany()] = ("all",)
    """Key-value heads; 'all' is multi-head attention. The loss is blind to it."""
    ffn: Annotated[tuple[FfnChoice, ...], BeforeValidator(as_tuple), OneOrMany()] = (
        FfnChoice(kind="swiglu", ratio=usual_ratio("swiglu")),
    )
    """Feed-forward part: kind, and ratio of its inner width to d_model. The loss is blind to it."""
    vocab_size: Wholes = (32_000,)
    """Rows of the embedding (tokens). The loss is blind to it."""
    attention: Annotated[tuple[Attention, ...], BeforeValidator(as_tuple), OneOrMany()] = (Attention(),)
    """`full`, {window: 4096, global_every: 6} or {window, global, random}. The loss is blind to it."""
    schedule: Annotated[tuple[Schedule, ...], BeforeValidator(_schedules), OneOrMany()] = (Schedule(),)
    """`constant`: all tokens at the context length; `staged`: most at a short window, a last share there."""
    tied_embeddings: Truth = False
    """The output head shares the embedding's weights."""
    norm: Norm = "rmsnorm"
    """Normalisation."""
    position: Position = "rope"
    """Position encoding."""
    bias: Truth = False
    """Biases in attention and feed-forward."""
    qk_norm: QkNorm = "none"
    """Norms on queries and keys: per head, over all heads, or none."""
