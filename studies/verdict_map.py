"""Question: where on the map does the idea hold?

Asks the trade for training budgets of 1B to 70B parameters (each with the FLOPs of 20 tokens per
parameter at a context of 2,048), for GPUs of 24 to 141 GB, on all four corpora, and draws the verdict
into one picture: how probable it is that a smaller width with a longer context makes more sense, that
a longer context pays by itself, and what context and width the best design has. No search is made:
the trade enumerates. Run it with `python studies/verdict_map.py [PICTURE.svg|.png|.html]`; the figures
go into a .csv beside the picture.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import altair as alt
import pandas as pd

import explorer
from explorer.claims import trade, verdict
from explorer.claims.unlimited import budget as chinchilla_flops
from explorer.errors import NothingFits
from explorer.search.problem import Problem

# Parameter limit in billions → GPUs that share the training: few, so that memory is felt.
SIZES: dict[float, int] = {1: 1, 3: 2, 7: 8, 13: 16, 30: 32, 70: 64}
MEMORIES_GB = (24, 40, 80, 141)

BUDGET = """
name: map-{size:g}b-{memory}gb
budget:
  parameters: {size:g}B
  gpu_memory: {memory}GB
  training: {{flops: {flops:.4g}}}
hardware: {{accelerator: h200-sxm-141gb, gpus: {gpus}}}
space:
  context_length: {{from: 1024, to: 131072, per_octave: 2, multiple_of: 256}}
  d_model: {{from: {narrowest}, to: {widest}, multiple_of: {step}}}
  n_layers: {{from: 8, to: 128, multiple_of: 2}}
  n_kv_heads: all
  ffn: {{kind: swiglu, ratio: 2.6667}}
  vocab_size: 32000
  schedule: [constant, {{staged: {{from: 4096, share: 0.2}}}}]
training: {{implementation: megatron, precision: bf16-mixed, global_batch_tokens: 4M}}
quality: {{corpus: books}}
"""


def verdict_map(
    sizes: dict[float, int] | None = None,
    memories_gb: Sequence[int] = MEMORIES_GB,
    n_draws: int = 100,
    on_progress: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """One row per budget and corpus: probabilities, values in nats, and the designs of arms A and C."""
    rows = []
    for size, gpus in (sizes or SIZES).items():
        for memory in memories_gb:
            on_progress(f"{size:g}B on {gpus} GPUs of {memory} GB")
            cell = {"budget": f"{size:g}B", "n_params_limit": size * 1e9, "gpu_memory_gb": memory}
            try:
                made = trade(Problem(explorer.load(_yaml(size, gpus, memory))), n_draws=n_draws)
            except NothingFits as reason:
                on_progress(f"  {reason}")
                continue
            for corpus, found in verdict(made).by_corpus.items():
                if corpus not in ("short", "web", "books", "code"):
                    continue
                rows.append(
                    cell
                    | {
                        "corpus": corpus,
                        "status": found["status"],
                        "p_holds": found["holds"],
                        "p_contexts_too_short": found["contexts_too_short"],
                        "p_staged_better": found["staged_better"],
                        "context_best": found["context_C"],
                        "d_model_best": found["width_C"],
                        "context_alone": found["context_B"],
                        "d_model_short": found["width_A"],
                        "value_of_context_nats": found["context_nats"]["central"],
                        "value_of_width_nats": found["width_nats"]["central"],
                        "models_context": found["models_context"],
                    }
                )
    return pd.DataFrame(rows)


def picture(table: pd.DataFrame) -> alt.VConcatChart:
    """Two rows of maps, one map per corpus: does the idea hold, and are contexts too short?"""
    return alt.vconcat(
        _row(
            table,
            "p_holds",
            "context_best",
            "d_model_best",
            "A smaller width with a longer context makes more sense",
        ),
        _row(
            table,
            "p_contexts_too_short",
            "context_alone",
            "d_model_short",
            "A longer context pays at the same shape",
        ),
        title=alt.TitleParams(
            "Where on the map does the idea hold?",
            subtitle="Probability over the law's posterior, called at 90% and 10%; below it the best design.",
        ),
    ).configure_view(stroke=None)


def _row(table: pd.DataFrame, value: str, context: str, width: str, title: str) -> alt.HConcatChart:
    columns = zip(table[context], table[width], table.models_context, strict=True)
    table = table.assign(
        shape=[f"c {c / 1024:.0f}k, d {d:,.0f}" if m else "no benefit modelled" for c, d, m in columns]
    )
    sizes = list(dict.fromkeys(table.budget))[::-1]
    maps = []
    for corpus in ("short", "web", "books", "code"):
        cells = alt.Chart(table[table.corpus == corpus]).encode(
            x=alt.X("gpu_memory_gb:O", title="memory per GPU, GB", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("budget:O", sort=sizes, title="parameter limit" if corpus == "short" else None),
        )
        colour = alt.Color(
            f"{value}:Q",
            scale=alt.Scale(scheme="blueorange", domain=[0, 1], reverse=True),
            legend=alt.Legend(title="probability", format=".0%") if corpus == "code" else None,
        )
        modelled = "datum.models_context"
        fill = alt.condition(modelled, colour, alt.value("#d9d9d9"))
        rectangles = cells.mark_rect(stroke="white").encode(color=fill)
        dark = f"{modelled} && (datum.{value} < 0.2 || datum.{value} > 0.8)"
        ink = alt.condition(dark, alt.value("white"), alt.value("black"))
        chances = cells.mark_text(dy=-6, fontSize=12).encode(
            text=alt.Text(f"{value}:Q", format=".0%"), color=ink
        )
        shapes = cells.mark_text(dy=8, fontSize=9).encode(text="shape:N", color=ink)
        maps.append((rectangles + chances + shapes).properties(width=360, height=210, title=corpus))
    return alt.hconcat(*maps, title=title)


def _yaml(size: float, gpus: int, memory: int) -> str:
    n = size * 1e9
    # Widths from a third of the size at 100 d/L to twice what 24 layers of the limit would have.
    step = 128 if size <= 7 else 256
    narrowest = max(512, int((n / 12 / 6 * 40) ** (1 / 3)) // step * step)
    widest = int((n / 12 / 12) ** 0.5) // step * step
    return BUDGET.format(
        size=size,
        memory=memory,
        gpus=gpus,
        flops=chinchilla_flops(n),
        narrowest=narrowest,
        widest=max(widest, narrowest + 8 * step),
        step=step,
    )


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "verdict-map.svg")
    result = verdict_map(on_progress=lambda text: print(text, file=sys.stderr))
    result.to_csv(target.with_suffix(".csv"), index=False)
    picture(result).save(str(target))
    print(result.to_string(index=False))
