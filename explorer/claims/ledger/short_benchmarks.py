"""7: it would not show in short benchmarks."""

from __future__ import annotations

from typing import Any

from explorer import catalog, quality
from explorer.claims.arms import losses_at, solve
from explorer.claims.ledger.common import (
    BUDGETS,
    centre,
    nats,
)
from explorer.claims.records import Claim, Variant
from explorer.claims.statistics import estimate
from explorer.claims.unlimited import REFERENCE, landscape
from explorer.units import format_count


def not_in_benchmarks(law: quality.Law, n_draws: int, seed: int) -> Claim:
    """7: it would not show in short benchmarks."""
    rows: list[dict[str, Any]] = []
    for n in BUDGETS:
        g = landscape(n, per_octave=12)
        books = centre(law, "books")
        c = solve([g], REFERENCE, {"x": books})["x"].arms
        pair = [(0, int(c[arm].context[0]), int(c[arm].shape[0])) for arm in ("A", "C")]
        central = losses_at([g], pair, centre(law, "short"))[0]
        draws = (
            losses_at([g], pair, quality.posterior(law, "short", n_draws, seed, aspect="none").coefficients)
            if n_draws
            else None
        )
        lost = estimate(central[1] - central[0], draws[:, 1] - draws[:, 0] if draws is not None else None)
        gain = losses_at([g], pair, books)[0]
        fewer = losses_at([g], pair, centre(law, "short").with_(delta=0.0))[0]
        rows.append(
            {
                "budget_params": n,
                "context_length": float(g.contexts[pair[1][1]]),
                "loss_on_short_nats": lost.central,
                "loss_on_short_p05": lost.p05,
                "loss_on_short_p95": lost.p95,
                "of_which_fewer_tokens_nats": float(fewer[1] - fewer[0]),
                "gain_on_books_nats": float(gain[0] - gain[1]),
            }
        )
    main = rows[1]
    return Claim(
        number=7,
        key="short-benchmarks",
        statement="It would not show in short benchmarks.",
        naive="A benchmark shorter than the window never uses it.",
        full=f"At the compute of 7B the design that gains {nats(main['gain_on_books_nats'])} on books (c "
        f"= {main['context_length']:,.0f}) loses {nats(main['loss_on_short_nats'])} on short documents: "
        f"{nats(main['of_which_fewer_tokens_nats'])} by the fewer tokens and weights its FLOPs buy, the "
        "rest by what training at long windows costs (δ, weakly founded).",
        verdict="holds",
        figure=1e3 * float(main["loss_on_short_nats"]),
        unit="thousandths of a nat",
        figure_name="loss on short documents of the design that is best on books",
        reason="Short documents do not only hide the gain, they show a loss about as large; what helps "
        "books looks like a mistake on them.",
        variants=tuple(
            Variant(
                axis="budget",
                setting=format_count(float(r["budget_params"])),
                figure=1e3 * float(r["loss_on_short_nats"]),
                unit="thousandths of a nat",
                verdict="holds" if float(r["loss_on_short_nats"]) >= 0 else "fails",
                note=f"gain on books {nats(r['gain_on_books_nats'])}",
            )
            for r in rows
        ),
        table=tuple(rows),
        gaps=("that short documents gain nothing from a window beyond 2,048 is the corpus' definition here",),
        sources=(law.source, catalog.corpus("short").source),
    )
