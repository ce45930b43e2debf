"""The answer in words: sentences, the table of picks, and both as a notebook shows them."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from explorer.result.records import Result


def lines(result: Result) -> list[str]:
    """The answer in sentences: the verdict, and how good the search was; `picked` has the designs."""
    if not result.feasible:
        return _nothing(result)
    said = [str(result.verdict)] if result.verdict is not None else []
    s = result.search
    trials = f"{s.n_trials} trial{'' if s.n_trials == 1 else 's'} ({s.sampler})"
    for a in s.agreement:
        said.append(
            f"{a.metric}: the model is off by {a.median_error:.1%} in the median of {a.n} measurements "
            f"(bias {a.bias:+.1%}, {a.spread:.1%} without it)"
            + (f"; corrected by earlier trials, by {a.corrected_error:.1%}" if a.n_corrected else "")
        )
    inside = f"; {s.inside}" if s.inside else ""
    if s.evaluator:
        said.append(f"{trials} measured by {s.evaluator}{inside}")
        return said + _failed(result)
    said.append(
        f"{trials} reached {s.reached} of {s.measure}"
        + (
            f", {s.closeness.removeprefix('exact, ')}"
            if s.proven
            else f"; the enumerated front is {s.closeness}"
        )
        + inside
    )
    return said


def picked(result: Result) -> pd.DataFrame:
    """The designs a reader asks for first, one per row, under headings with units.

    Indexed by pick; empty where no design meets every limit. All columns are in `front`.
    """
    import pandas as pd

    from explorer.units import GIB

    rows = result.front.iloc[list(result.picks.values())]

    def spread(q: str) -> list[float]:
        return [float(v) for v in rows.get(f"loss_{q}", [math.nan] * len(rows))]

    columns = {
        "c (tokens)": rows["context_length"].map("{:,.0f}".format),
        "d": rows["d_model"].map("{:,.0f}".format),
        "L": rows["n_layers"].map("{:,.0f}".format),
        "parameters (10⁹)": (rows["n_params"] / 1e9).map("{:,.2f}".format),
        "tokens (10⁹)": (rows["n_tokens"] / 1e9).map("{:,.1f}".format),
        "loss (nats/token)": rows["loss"].map("{:.4f}".format),
        "loss, 5 to 95%": [_range(low, high) for low, high in zip(spread("p05"), spread("p95"), strict=True)],
        "loss, median": ["-" if math.isnan(v) else f"{v:.3f}" for v in spread("p50")],
        "GPU-hours": rows["gpu_hours"].map("{:,.0f}".format),
        "memory (GiB/GPU)": (rows["peak_device_bytes"] / GIB).map("{:.1f}".format),
        "tokens/s/GPU": rows["tokens_per_second_per_gpu"].map("{:,.0f}".format),
        "limited by": rows["binding"],
        "beyond the law's domain": ["yes" if v else "no" for v in rows["extrapolated"]],
    }
    return pd.DataFrame(columns).set_axis(list(result.picks), axis="index")


def html(result: Result) -> str:
    """The verdict and the designs a reader asks for first, with units, for notebooks."""
    head = f"<h3>{escape(result.budget.name)}</h3>"
    if not result.feasible:
        return head + "".join(f"<p>{escape(line)}</p>" for line in lines(result))
    verdict = f"<p>{escape(str(result.verdict))}</p>" if result.verdict is not None else ""
    return head + verdict + picked(result).to_html(border=0) + f"<p>{escape(lines(result)[-1])}</p>"


def _nothing(result: Result) -> list[str]:
    """The answer where no trial is feasible: whether any design is, and how far off the nearest one is."""
    s, said = result.search, "no design meets every limit"
    if not s.proven:
        undecided = f"{s.n_undecided:,} of {s.n_lattice:,} are undecided"
        said = f"no design was found that meets every limit ({undecided})"
    if result.missed:
        n = result.search.n_trials + len(result.search.failures)
        said = f"none of {n} trials meets every limit; {len(result.exact_front):,} designs on the model's own front do"
    if not len(result.nearest):
        return [said, *_failed(result)]
    row = result.nearest.iloc[0]
    over = {c.removeprefix("excess_"): float(row[c]) for c in result.nearest.columns if c[:7] == "excess_"}
    broken = {k: v for k, v in sorted(over.items(), key=lambda kv: -kv[1]) if v > 0}
    most = max(over, key=over.__getitem__)
    return [
        f"{said}; the one that binds is {most}",
        f"nearest {'trial' if result.missed else 'design'}: c = {row['context_length']:,.0f}, "
        f"d = {row['d_model']:,.0f}, L = {row['n_layers']:,.0f}, over by "
        + ", ".join(f"{v:.1%} in {k}" for k, v in broken.items()),
        *_failed(result),
    ]


def _failed(result: Result) -> list[str]:
    """How many trials failed, and the first one's error; nothing where none did."""
    failures = result.search.failures
    if not failures:
        return []
    first = next(iter(failures[0].error.splitlines()), "")
    return [f"{len(failures)} trial{'s' if len(failures) > 1 else ''} failed; the first: {first}"]


def _range(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"{low:.3f} to {high:.3f}"
