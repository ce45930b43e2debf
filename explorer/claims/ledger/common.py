"""What several claims share: whom they judge, and in which words."""

from __future__ import annotations

from explorer import catalog, quality
from explorer.claims import words
from explorer.claims.records import Estimate
from explorer.design import Plan

JUDGED = ("gpt3-175b", "llama-65b", "llama-2-70b", "falcon-180b")
"""Published models whose contexts are judged."""
BUDGETS = (1e9, 7e9, 70e9)
"""Parameters whose training FLOPs are judged with nothing else to limit them."""
KORTHIKANTI = "Korthikanti et al. 2022 (arXiv:2205.05198), section 4.1"
FLASH = "Dao et al. 2022 (arXiv:2205.14135)"


def gains(corpus: str) -> bool:
    """Whether the corpus gains from context at all."""
    return catalog.corpus(corpus).has_context_benefit


def corpora() -> tuple[str, ...]:
    return tuple(catalog.corpora())


def centre(law: quality.Law, corpus: str, nu: float | None = None) -> quality.Coefficients:
    return quality.central(law, corpus, aspect="none", nu=nu)


def context_range(value: Estimate) -> str:
    if value.p05 is None or value.p95 is None:
        return f"{value.central:,.0f}"
    return f"{value.central:,.0f} ({value.p05:,.0f} to {value.p95:,.0f})"


def nats(value: float) -> str:
    return words.nats(Estimate(central=float(value)))


def plan_of(kernel: str, recompute: str = "none") -> Plan:
    return Plan(attention_kernel=kernel, recompute=recompute, precision="bf16")  # type: ignore[arg-type]
