"""The nouns everyone shares: a design (what is trained) and a plan (how it is run).

Numeric fields are single numbers or broadcastable float64 arrays, so one design, a table of
designs and an open grid of axes go through the same code. Categorical fields are single values:
a mixed table is evaluated one category at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from explorer.errors import ExplorerError, UnknownName
from explorer.units import Num

if TYPE_CHECKING:
    import numpy as np

Ffn: TypeAlias = Literal["gelu", "relu", "relu2", "swiglu", "geglu"]
Norm: TypeAlias = Literal["layernorm", "rmsnorm", "layernorm-nobias", "layernorm-noweight"]
Position: TypeAlias = Literal["learned", "rope", "alibi", "none"]
QkNorm: TypeAlias = Literal["none", "head", "full"]
Implementation: TypeAlias = Literal["torch", "megatron"]
AttentionKernel: TypeAlias = Literal["flash", "naive"]
Recompute: TypeAlias = Literal["none", "selective", "selective-op", "full"]
Precision: TypeAlias = Literal["fp32", "amp", "bf16-mixed", "fsdp-mixed", "bf16", "fp8"]
Optimizer: TypeAlias = Literal[
    "adamw", "adamw-foreach", "sgd", "momentum", "amsgrad", "adafactor", "muon", "adamw-8bit"
]
CrossEntropy: TypeAlias = Literal["full", "fused", "chunked-cast", "chunked"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """A decoder-only transformer with its context schedule. `Design.of` fills in the obvious."""

    context_length: Num
    """Tokens in one training sequence (c)."""
    d_model: Num
    """Width of the residual stream (d)."""
    n_layers: Num
    """Transformer blocks (L)."""
    n_heads: Num
    """Query heads (h)."""
    n_kv_heads: Num
    """Key-value heads; equal to n_heads for multi-head, 1 for multi-query attention."""
    d_head: Num
    """Width of one head; free of d_model / n_heads."""
    d_ff: Num
    """Inner width of the (dense) feed-forward part."""
    vocab_size: Num
    """Rows of the embedding (V)."""

    ffn: Ffn = "swiglu"
    """`swiglu` and `geglu` are gated (three matrices); `gelu`, `relu` and its square `relu2` plain (two)."""
    tied_embeddings: bool = False
    """The output head shares the embedding's weights."""
    norm: Norm = "rmsnorm"
    norms_per_layer: Num = 2
    """Norms in a block: 1 for one shared norm before parallel parts, 4 with pre- and post-norms."""
    final_norm: bool = True
    embedding_norm: bool = False
    """A norm after the embedding (BLOOM)."""
    parallel_block: bool = False
    """Attention and feed-forward read the same input (GPT-J, NeoX, Falcon, Command-R)."""
    position: Position = "rope"
    position_offset: Num = 0
    """Extra rows of a learned position table (OPT: 2)."""
    d_embedding: Num = 0
    """Width of the embedding where it is projected to d_model and back (OPT-350M); 0 is d_model."""
    qkv_bias: bool = False
    output_bias: bool = False
    """Bias on the attention's output projection."""
    ffn_bias: bool = False
    head_bias: bool = False
    """Bias on the output head (GPT-J, Phi)."""
    qk_norm: QkNorm = "none"
    """`head`: one norm of d_head each for Q and K (Qwen 3, Gemma 3); `full`: over all heads (OLMo 2)."""
    qk_norm_bias: bool = False
    """The QK-norm has a bias beside its weight (Phi)."""
    attention_sinks: bool = False
    """One learned logit per head beside the keys (gpt-oss)."""

    n_experts: Num = 0
    """Routed experts per layer; 0 is a dense model."""
    n_experts_active: Num = 0
    """Routed experts a token passes through."""
    n_experts_shared: Num = 0
    """Experts every token passes through."""
    d_ff_expert: Num = 0
    """Inner width of one expert."""
    n_dense_layers: Num = 0
    """Leading layers of a mixture model whose feed-forward part is dense, of width d_ff."""
    router_bias: bool = False
    shared_expert_gate: bool = False
    """A learned scalar gate on the shared experts (Qwen 1.5 and 2 MoE)."""

    kv_lora_rank: Num = 0
    """Rank of the compressed keys and values (multi-head latent attention); 0 is ordinary attention."""
    q_lora_rank: Num = 0
    d_head_rope: Num = 0
    """Part of d_head that carries positions, shared by all heads (latent attention)."""
    d_head_v: Num = 0
    """Width of a value head (latent attention)."""

    window: Num = 0
    """Keys a windowed layer sees, itself included; 0 is full attention."""
    global_every: Num = 0
    """One layer in this many attends to everything; 0: every layer is windowed (if `window` is set)."""
    global_tokens: Num = 0
    """Tokens that every token attends to (Longformer, BigBird)."""
    random_tokens: Num = 0
    """Keys drawn at random for every query (BigBird)."""

    staged_from: Num = 0
    """Short window of a staged schedule; 0 is the constant schedule (all tokens at context_length)."""
    staged_share: Num = 0
    """Share of the training tokens at context_length under a staged schedule."""

    @classmethod
    def of(cls, context_length: Num, d_model: Num, n_layers: Num, **given: Any) -> Design:
        """A design from its three sizes and whatever else is given; the rest takes its obvious default.

        n_heads = d_model / d_head with d_head 128 (or d_head = d_model / n_heads), n_kv_heads =
        n_heads, d_ff = 4·d_model (plain) or ⅔ of that rounded up to 256 (gated, as LLaMA), and
        vocab_size 32,000. `bias=True` sets every bias. Raises ExplorerError on an unknown field.
        """
        bias = given.pop("bias", None)
        if bias is not None:
            for name in ("qkv_bias", "output_bias", "ffn_bias"):
                given.setdefault(name, bool(bias))
        _check_names(cls, given)
        if "n_heads" not in given:
            given["d_head"] = given.get("d_head", 128)
            given["n_heads"] = _whole(d_model / given["d_head"])
        if "d_head" not in given:
            given["d_head"] = _whole(d_model / given["n_heads"])
        given.setdefault("n_kv_heads", given["n_heads"])
        if "d_ff" not in given:
            gated = given.get("ffn", "swiglu") in ("swiglu", "geglu")
            given["d_ff"] = _round_up(8 * d_model / 3, 256) if gated else 4 * d_model
        if "n_experts" in given:
            given.setdefault("d_ff_expert", given["d_ff"])
        given.setdefault("vocab_size", 32_000)
        return cls(context_length=context_length, d_model=d_model, n_layers=n_layers, **given)

    @property
    def gated(self) -> bool:
        """Three feed-forward matrices instead of two."""
        return self.ffn in ("swiglu", "geglu")

    @property
    def n_global_layers(self) -> Num:
        """Layers that attend to everything: all without a window, else ⌊n_layers / global_every⌋."""
        import numpy as np

        every = np.maximum(self.global_every, 1)
        among = np.floor_divide(self.n_layers, every) * (np.asarray(self.global_every) > 0)
        layers = np.where(np.asarray(self.window) > 0, among, self.n_layers)
        return layers if layers.ndim else int(layers)

    def with_(self, **changes: Any) -> Design:
        """A copy with some fields changed, by their exact names."""
        return replace(self, **changes)

    def expand(self) -> Design:
        """A copy whose arrays have one more trailing axis, for plans to broadcast along."""
        changes: dict[str, Any] = {k: v[..., None] for k, v in arrays(self).items()}
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How a design is trained: numeric fields may be arrays of shape (n_plans,)."""

    implementation: Implementation = "torch"
    """Whose activations are kept: `torch` eager modules as Transformers runs them, or fused `megatron`."""
    attention_kernel: AttentionKernel = "flash"
    recompute: Recompute = "none"
    precision: Precision = "bf16-mixed"
    optimizer: Optimizer = "adamw"
    cross_entropy: CrossEntropy = "full"
    """`full` makes fp32 logits, `fused` (a compiled loss) leaves them as the product made them,
    `chunked-cast` (torchtune) makes all of them but casts by chunks, `chunked` never holds all at once."""
    dropout: bool = False
    fused_activation: bool = True
    """The plain activation (GELU) is one kernel that keeps its input only."""
    sequence_parallel: bool = True
    """Norms and residuals are split along the sequence over tensor-parallel ranks."""
    compiled: bool = False
    """Blocks run under torch.compile, which keeps fewer activations than eager modules."""
    repeated_kv: bool = False
    """Keys and values are copied for every query head before flash attention (torchtune, torchtitan)."""
    offload_optimizer: bool = False
    """Optimizer states live in host memory."""
    offload_activations: bool = False
    """Inputs of recomputed layers wait in host memory for the backward pass."""
    optimizer_in_backward: bool = False
    """Each parameter is updated as soon as its gradient is made, which is then freed."""

    micro_batch: Num = 1
    """Sequences in one forward pass of one data-parallel rank."""
    global_batch: Num = 1
    """Sequences in one optimizer step, over all ranks."""
    tensor_parallel: Num = 1
    pipeline_parallel: Num = 1
    context_parallel: Num = 1
    data_parallel: Num = 1
    zero_stage: Num = 0
    """0 replicated; 1 shards optimizer states, 2 also gradients, 3 also parameters (over data × context)."""

    @property
    def n_gpus(self) -> Num:
        """Accelerators the plan fills."""
        return self.tensor_parallel * self.pipeline_parallel * self.context_parallel * self.data_parallel

    def with_(self, **changes: Any) -> Plan:
        """A copy with some fields changed."""
        return replace(self, **changes)


def arrays(record: Design | Plan) -> dict[str, np.ndarray[Any, Any]]:
    """The fields of a design or plan that hold arrays, by name."""
    return {k: v for k in type(record).__slots__ if getattr(v := getattr(record, k), "ndim", 0)}


def tables(designs: Sequence[Design]) -> Iterator[tuple[list[int], Design]]:
    """Single designs as tables, one per combination of categorical fields: (their places, the table)."""
    import numpy as np

    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, design in enumerate(designs):
        values = (getattr(design, f.name) for f in fields(design))
        groups.setdefault(tuple(v for v in values if isinstance(v, str | bool)), []).append(place)
    for places in groups.values():
        first = designs[places[0]]
        numeric = [f.name for f in fields(first) if not isinstance(getattr(first, f.name), str | bool)]
        yield (
            places,
            first.with_(**{n: np.array([float(getattr(designs[k], n)) for k in places]) for n in numeric}),
        )


def choices(kind: Any) -> tuple[str, ...]:
    """The values a categorical type allows, e.g. `choices(Ffn)`."""
    return tuple(get_args(kind))


def _check_names(cls: type, given: dict[str, Any]) -> None:
    known = [f.name for f in fields(cls)]
    for name in given:
        if name not in known:
            raise UnknownName("design field", name, [*known, "bias"])


def _whole(value: Num) -> Num:
    """`value` as an integer if it is one; a design with 8.25 heads cannot be built."""
    import numpy as np

    rounded = np.rint(value)
    if np.any(rounded != value):
        raise ExplorerError(f"n_heads = d_model / d_head must be whole, got {np.unique(value)[:3]}")
    return rounded if isinstance(value, np.ndarray) else int(rounded)


def _round_up(value: Num, multiple: int) -> Num:
    import numpy as np

    rounded = np.ceil(value / multiple) * multiple
    return rounded if isinstance(value, np.ndarray) else int(rounded)
