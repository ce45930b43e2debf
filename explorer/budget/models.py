"""What was asked: the budget as immutable models, one class per section of budget.yaml.

Field docstrings are the descriptions in the JSON Schema; units stand in them. The schema that editors and
the file checker use is made from these classes (`explorer.budget.schema`), so nothing is written twice.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from explorer.budget.fields import (
    Amount,
    Count,
    FolderName,
    Gain,
    Index,
    KvHeads,
    Name,
    Number,
    OneOrMany,
    Rate,
    Section,
    Share,
    Size,
    Truth,
    Whole,
    as_tuple,
)
from explorer.budget.grids import grid
from explorer.design import (
    AttentionKernel,
    CrossEntropy,
    Ffn,
    Implementation,
    Norm,
    Optimizer,
    Position,
    Precision,
    QkNorm,
    Recompute,
)


class TrainingLimits(Section):
    """Upper bounds on the training; all that are given hold together, and the tightest decides."""

    flops: Count | None = None
    """Model FLOPs of the whole training (2 per multiply-add, causal attention at half, no recompute)."""
    tokens: Count | None = None
    """Training tokens: how much data there is."""
    gpu_hours: Count | None = None
    """GPU-hours of the whole training."""
    days: Amount | None = None
    """Calendar days of training on all of the hardware."""


class Serving(Section):
    """A card that the trained model must also fit for serving: weights and the full-context KV cache."""

    gpu_memory: Size
    """Memory of the serving GPU, bytes with a unit, e.g. 24GiB."""
    batch: Whole = 1
    """Sequences served at once, each at full context."""
    weight_bits: Literal[4, 8, 16, 32] = 16
    """Bits per weight."""
    kv_bits: Literal[4, 8, 16, 32] = 16
    """Bits per key or value in the cache."""
    tokens: Count | None = None
    """Tokens expected to be served over the model's life (for the objective lifetime_flops)."""


class Limits(Section):
    """What may be spent; every limit is an upper bound."""

    parameters: Count
    """Largest total number of parameters, e.g. 8B."""
    gpu_memory: Size | None = None
    """Peak device memory per training GPU, bytes with a unit, e.g. 80GiB; default: what the accelerator offers."""
    training: TrainingLimits
    """Limits on the training: flops, tokens, gpu_hours, days; at least one."""
    serving: Serving | None = None
    """Optional: the model must also fit this card when it is served."""


class AcceleratorSpec(Section):
    """An accelerator the catalogue does not hold, with the same figures as the catalogue's."""

    name: Name
    """What reports call it."""
    memory: Size
    """Memory the device reports as usable, bytes with a unit."""
    peak_flops: dict[Literal["fp32", "tf32", "fp16", "bf16", "fp8", "int8"], Count] = Field(min_length=1)
    """Dense peak per number type, FLOP/s (operations/s for int8), e.g. {bf16: 989T}; no peak, no estimate."""
    hbm_bandwidth: Rate
    """Memory bandwidth, bytes per second with a unit, e.g. 3.35TB/s."""
    link_bandwidth: Rate | None = None
    """Bandwidth between the GPUs of one node, per GPU and direction, bytes per second with a unit."""
    network_bandwidth: Rate | None = None
    """Bandwidth between nodes, per GPU and direction, bytes per second with a unit."""
    gpus_per_node: Whole = 8
    """GPUs in one node."""
    tdp_watts: Amount | None = None
    """Board power, watts; no energy estimate without it."""
    like: Name | None = None
    """A catalogue accelerator of the same generation, whose efficiency curves are used."""


class Hardware(Section):
    """What the model is trained on."""

    accelerator: Name | AcceleratorSpec
    """A name from `explore list accelerators`, or the figures of one that is not in it."""
    gpus: Whole
    """Number of GPUs."""
    gpus_per_node: Whole | None = None
    """GPUs in one node; default: the accelerator's usual node."""
    network_bandwidth: Rate | None = None
    """Between nodes, per GPU and direction, bytes per second with a unit, e.g. 50GB/s or 400Gbit/s."""
    price_per_gpu_hour: Amount | None = None
    """Price of one GPU-hour, in any currency; no price is reported without it."""
    goodput: Share = 1.0
    """Share of wall time that trains (failures, restarts and checkpoints take the rest)."""
    mfu: Share | None = None
    """Your own measured model FLOPs utilisation (causal, no recompute); replaces the model's level."""


class Axis(Section):
    """The values one size may take: every multiple in a range, a geometric grid, or a list."""

    low: Whole = Field(alias="from")
    """Smallest value."""
    high: Whole = Field(alias="to")
    """Largest value."""
    multiple_of: Whole = 1
    """Every value is a multiple of this."""
    per_octave: Whole | None = None
    """Values per doubling, rounded to multiples; default: every multiple in the range."""
    listed: tuple[Whole, ...] = Field(default=(), exclude=True, json_schema_extra={"x-hidden": True})
    """The values, where they were listed one by one."""

    @model_validator(mode="before")
    @classmethod
    def _of_values(cls, value: Any) -> Any:
        if isinstance(value, list | tuple | int | float | str) and not isinstance(value, bool):
            from explorer.budget.readers import whole

            values = tuple(sorted({whole(v) for v in as_tuple(value)}))
            return {"from": values[0], "to": values[-1], "listed": values}
        return value

    @property
    def points(self) -> tuple[int, ...]:
        """Every value, ascending."""
        return self.listed or grid(self.low, self.high, self.multiple_of, self.per_octave)


class FfnChoice(Section):
    """A feed-forward part."""

    kind: Ffn = "swiglu"
    """`swiglu` and `geglu` are gated (three matrices), `gelu` and `relu` plain (two)."""
    ratio: Amount
    """Inner width over d_model; default 8/3 for gated and 4 for plain kinds."""

    @model_validator(mode="before")
    @classmethod
    def _of_kind(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"kind": value}
        if isinstance(value, dict) and "ratio" not in value:
            gated = value.get("kind", "swiglu") in ("swiglu", "geglu")
            return {**value, "ratio": 8 / 3 if gated else 4.0}
        return value


class Attention(Section):
    """What a token attends to: everything (`full`) or a window with additions."""

    window: Index = 0
    """Keys a windowed layer sees, itself included (tokens); 0 is full attention."""
    global_every: Index = 0
    """One layer in this many attends to everything; 0: every layer is windowed."""
    global_tokens: Index = Field(default=0, alias="global")
    """Tokens that every token attends to (Longformer, BigBird)."""
    random_tokens: Index = Field(default=0, alias="random")
    """Keys drawn at random for every query (BigBird)."""

    @model_validator(mode="before")
    @classmethod
    def _of_full(cls, value: Any) -> Any:
        return {} if value == "full" else value


class Schedule(Section):
    """How context length moves in training; `staged_from` 0 is the constant schedule."""

    staged_from: Index = 0
    """Context length of most of the training (tokens)."""
    staged_share: Number = 0.0
    """Share of the training tokens at the full context length."""


def _schedules(value: Any) -> Any:
    """`constant` and `{staged: {from, share}}`, shares and short windows listed or not, one by one."""
    flat: list[Any] = []
    for item in as_tuple(value):
        if item == "constant":
            flat.append({})
        elif isinstance(item, dict) and set(item) == {"staged"} and isinstance(item["staged"], dict):
            staged = item["staged"]
            flat += [
                {"staged_from": start, "staged_share": share}
                for start in as_tuple(staged.get("from"))
                for share in as_tuple(staged.get("share"))
            ]
        else:
            flat.append(item)
    return tuple(flat)


Ints: TypeAlias = Annotated[tuple[Whole, ...], BeforeValidator(as_tuple), OneOrMany()]


class Space(Section):
    """The designs to choose from: three axes, and whatever else is listed."""

    context_length: Axis = Axis.model_validate(
        {"from": 1024, "to": 131072, "per_octave": 4, "multiple_of": 256}
    )
    """Tokens in one training sequence."""
    d_model: Axis = Axis.model_validate({"from": 512, "to": 16384, "multiple_of": 128})
    """Width of the residual stream."""
    n_layers: Axis = Axis.model_validate({"from": 4, "to": 128})
    """Transformer blocks."""
    d_head: Ints = (128,)
    """Width of one attention head."""
    n_kv_heads: Annotated[tuple[KvHeads, ...], BeforeValidator(as_tuple), OneOrMany()] = ("all",)
    """Key-value heads; 'all' is multi-head attention. The loss does not see this lever."""
    ffn: Annotated[tuple[FfnChoice, ...], BeforeValidator(as_tuple), OneOrMany()] = (
        FfnChoice(kind="swiglu", ratio=8 / 3),
    )
    """Feed-forward part: kind and ratio of its inner width to d_model. The loss does not see this lever."""
    vocab_size: Ints = (32_000,)
    """Rows of the embedding. The loss does not see this lever."""
    attention: Annotated[tuple[Attention, ...], BeforeValidator(as_tuple), OneOrMany()] = (Attention(),)
    """`full`, or a window: {window: 4096, global_every: 6} or {window, global, random}. The loss does not see it."""
    schedule: Annotated[tuple[Schedule, ...], BeforeValidator(_schedules), OneOrMany()] = (Schedule(),)
    """`constant`: all tokens at the context length; `staged`: most at a short window, the last share at it."""
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


class PlanChoice(Section):
    """Parts of the plan that are fixed; what is left out stays free."""

    micro_batch: Whole | None = None
    """Sequences in one forward pass of one data-parallel rank."""
    recompute: Recompute | None = None
    """Activations recomputed in the backward pass."""
    tensor_parallel: Whole | None = None
    """GPUs a layer's matrices are split over."""
    pipeline_parallel: Whole | None = None
    """Pipeline stages."""
    context_parallel: Whole | None = None
    """GPUs a sequence is split over."""
    data_parallel: Whole | None = None
    """Replicas (or ZeRO/FSDP shards)."""
    zero_stage: Literal[0, 1, 2, 3] | None = None
    """0 replicated; 1 shards optimizer states, 2 also gradients, 3 also parameters."""

    @model_validator(mode="before")
    @classmethod
    def _of_auto(cls, value: Any) -> Any:
        return {} if value == "auto" else value

    @property
    def fixed(self) -> dict[str, Any]:
        """The fixed parts, by name."""
        return self.model_dump(exclude_none=True)


class Training(Section):
    """How any design of the space is trained."""

    precision: Precision = "bf16-mixed"
    """Number types of weights, gradients and states."""
    optimizer: Optimizer = "adamw"
    """Optimizer; `adamw` is fused."""
    attention_kernel: AttentionKernel = "flash"
    """`naive` keeps the attention matrix, `flash` does not."""
    implementation: Implementation = "torch"
    """Whose activations are kept: eager `torch` modules, or fused `megatron`."""
    global_batch_tokens: Whole = 1_000_000
    """Tokens in one optimizer step over all GPUs."""
    plan: PlanChoice = PlanChoice()
    """`auto`: the fastest plan that fits each design; or parts of it fixed, e.g. {tensor_parallel: 2}."""
    cross_entropy: CrossEntropy = "full"
    """`chunked` never holds all logits at once."""
    dropout: Truth = False
    """Dropout in training."""
    fused_activation: Truth = True
    """A plain activation (GELU) is one kernel."""
    sequence_parallel: Truth = True
    """Norms and residuals are split over tensor-parallel GPUs."""
    offload_optimizer: Truth = False
    """Optimizer states live in host memory."""


class CorpusSpec(Section):
    """A corpus of your own: how much a longer context lowers its loss."""

    name: Name
    """What reports call it."""
    amplitude: tuple[Number, Number]
    """Amplitude of the context term relative to the reference curve, low and high end (see `explore fit`)."""


class Quality(Section):
    """How loss is predicted."""

    law: Name = "besiroglu-2024"
    """A name from `explore list laws`, or a law file written by `explore fit`."""
    corpus: Name | CorpusSpec = "web"
    """What the loss is judged on: a name from `explore list corpora`, a file, or {name, amplitude: [low, high]}."""
    aspect: Literal["mixed", "none", "gemstones", "levine"] = "mixed"
    """How the aspect ratio d_model / n_layers counts; `mixed` draws among the others."""
    nu: Number | None = None
    """Fixes how fast the context gain falls with model size; default: drawn from its prior."""


class Objective(Section):
    """One figure to make better."""

    metric: Name
    """A name from the table of metrics."""
    direction: Literal["minimize", "maximize"]
    """Which way is better."""

    @model_validator(mode="before")
    @classmethod
    def _of_pair(cls, value: Any) -> Any:
        from explorer.catalog.metrics import METRICS

        if isinstance(value, str) and value in METRICS:
            return {"metric": value, "direction": METRICS[value].direction}
        if isinstance(value, dict) and len(value) == 1:
            ((direction, metric),) = value.items()
            if direction in ("minimize", "maximize"):
                return {"metric": metric, "direction": direction}
        return value


class Trade(Section):
    """The idea under test: a smaller width for a longer context."""

    reference_context: Whole = 2048
    """Context length of the arm that context is not traded in (tokens)."""
    min_gain: Gain = 0.05
    """What pays, as a share of equivalent training compute."""


class Search(Section):
    """How designs are picked."""

    trials: Whole = 300
    """Designs the study asks for."""
    sampler: Literal["auto", "exact", "tpe", "nsga2", "nsga3", "gp", "qmc", "random"] = "auto"
    """`auto`, `exact` (enumerates), or an Optuna sampler by name."""
    seed: Index = 0
    """Same input and seed, same answer."""


class Budget(Section):
    """A whole budget.yaml."""

    name: FolderName
    """Name of the study; also of its output folder."""
    limits: Limits = Field(alias="budget")
    """The limits."""
    hardware: Hardware
    """What the model is trained on."""
    space: Space = Space()
    """The designs to choose from."""
    training: Training = Training()
    """How any design is trained."""
    quality: Quality = Quality()
    """How loss is predicted."""
    objectives: Annotated[tuple[Objective, ...], BeforeValidator(as_tuple), OneOrMany()] = (
        Objective(metric="loss", direction="minimize"),
        Objective(metric="context_length", direction="maximize"),
    )
    """What is made better, most important first."""
    trade: Trade = Trade()
    """The idea under test."""
    search: Search = Search()
    """How designs are picked."""
    baseline: Name | None = None
    """A model to compare with: a name from `explore list models`, or a Hugging Face config.json."""
