"""A realistic result made from closed forms, so that pages can be tested without running a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from explorer.budget import Budget
from explorer.claims.records import (
    Arm,
    AspectTrade,
    Claim,
    ContextPoint,
    CorpusTrade,
    CurvePoint,
    Estimate,
    Factor,
    LimitEffect,
    Statement,
    Trade,
    Value,
    Variant,
    Verdict,
)
from explorer.evidence.others import others
from explorer.report.figures.designs import MOST_ROWS
from explorer.result import Evidence, Result, SearchSummary
from explorer.search.front import Objective

GIB = 2.0**30
AMPLITUDES = {"short": 0.0, "web": 0.45, "books": 0.9, "code": 2.5}
LIMITS = {"parameters": 8e9, "gpu_memory": 79.6 * GIB, "gpu_hours": 20_000.0, "serving": 24 * GIB}


def make_budget(name: str = "one-node", corpus: str = "books", **given: Any) -> Budget:
    """The budget that `LIMITS` writes out."""
    return Budget.model_validate(
        {
            "name": name,
            "budget": {
                "parameters": "8B", "gpu_memory": "80GiB", "training": {"gpu_hours": "20k"},
                "serving": {"gpu_memory": "24GiB"},
            },
            "hardware": {"accelerator": "h100-sxm-80gb", "gpus": 8},
            "quality": {"law": "besiroglu-2024", "corpus": corpus},
            **given,
        }
    )  # fmt: skip


def loss(n: Any, tokens: Any, c: Any, amplitude: float) -> Any:
    """A Chinchilla form with a context term."""
    base = 1.8172 + 482.0 / n**0.3478 + 2085.4 / tokens**0.3658
    window = amplitude * 0.129 * (n / 7e9) ** -0.12 * ((c / 2048) ** -0.48 - 1)
    return base + window + 0.012 * np.log(np.maximum(c, 2048) / 2048)


def table(designs: dict[str, Any], corpus: str = "books", scale: float = 1.0) -> pd.DataFrame:
    """The columns of a trials table for designs given by c, d and L."""
    t = pd.DataFrame(designs).astype(float)
    c, d, layers = t["context_length"], t["d_model"], t["n_layers"]
    t["n_heads"] = d / 128
    t["n_kv_heads"], t["d_head"] = 8.0, 128.0
    t["d_ff"] = 3.5 * d
    t["ffn"], t["vocab_size"], t["attention"] = "swiglu", 32_000.0, "full"
    t["schedule"] = np.where(np.arange(len(t)) % 4 == 3, "staged", "constant")
    t.loc[c <= 4096, "schedule"] = "constant"
    t["staged_from"] = np.where(t["schedule"] == "staged", 4096.0, 0.0)
    t["staged_share"] = np.where(t["schedule"] == "staged", 0.05, 0.0)
    per_layer = 2 * d * d + 2 * d * 1024 + 3 * d * 3.5 * d
    n = 2 * 32_000 * d + layers * per_layer
    t["n_params"] = n
    flops = 6 * (n - 32_000 * d) + 6 * layers * c * d
    flops = np.where(t["schedule"] == "staged", 6 * n + 6 * layers * (4096 + 0.05 * c) * d, flops)
    mfu = 0.46 - 0.04 * (c > 32_768)
    per_gpu = 989e12 * mfu / flops
    t["n_tokens"] = np.minimum(20_000.0 * 3600 * per_gpu, 3e12) * scale
    for name, amplitude in AMPLITUDES.items():
        t[f"loss_{name}"] = loss(n, t["n_tokens"], c, amplitude) + 0.012 * np.log(d / layers / 90) ** 2
    t["loss"] = t[f"loss_{corpus}"]
    for name, amplitude in AMPLITUDES.items():
        for q, off in (("p05", -0.03), ("p50", -0.006), ("p95", 0.028)):
            t[f"loss_{name}_{q}"] = t[f"loss_{name}"] + off * (1 + amplitude)
    for q in ("p05", "p50", "p95"):
        t[f"loss_{q}"] = t[f"loss_{corpus}_{q}"]
    t["train_flops"] = flops * t["n_tokens"]
    t["gpu_hours"] = t["n_tokens"] / per_gpu / 3600
    t["days"] = t["gpu_hours"] / 8 / 24
    t["tokens_per_second_per_gpu"] = per_gpu
    t["step_seconds"] = 4e6 / per_gpu / 8
    t["mfu"] = mfu
    t["parameter_bytes"], t["optimizer_bytes"] = 2 * n, 12 * n / 8
    t["gradient_bytes"] = 2 * n
    t["saved_activation_bytes"] = 2 * c * d * layers + 16 * c * d
    t["peak_allocated_bytes"] = 5.5 * n + t["saved_activation_bytes"] + 8 * c * 4000
    t["peak_reserved_bytes"] = 1.04 * t["peak_allocated_bytes"]
    t["peak_device_bytes"] = t["peak_reserved_bytes"] + 1.2 * GIB
    t["kv_cache_bytes"] = 8 * 1024 * layers * c
    t["serving_bytes"] = 2 * n + t["kv_cache_bytes"]
    t["micro_batch"], t["recompute"] = 1.0, np.where(c > 16_384, "full", "none")
    t["tensor_parallel"] = np.where(c > 32_768, 2.0, 1.0)
    t["pipeline_parallel"], t["context_parallel"] = 1.0, 1.0
    t["data_parallel"] = 8 / t["tensor_parallel"]
    t["zero_stage"] = 3.0
    t["excess_parameters"] = n / LIMITS["parameters"] - 1
    t["excess_gpu_memory"] = t["peak_device_bytes"] / LIMITS["gpu_memory"] - 1
    t["excess_training"] = t["gpu_hours"] / LIMITS["gpu_hours"] - 1
    t["excess_serving"] = t["serving_bytes"] / LIMITS["serving"] - 1
    excess = t[[k for k in t if k.startswith("excess_")]]
    t["feasible"] = (excess <= 1e-9).all(axis=1)
    t["binding"] = excess.idxmax(axis=1).str.removeprefix("excess_")
    t["extrapolated"] = (c > 65_536) | (t["n_tokens"] / n > 1000)
    return t


def front_of(t: pd.DataFrame) -> pd.DataFrame:
    """Feasible rows that no other one beats in loss and context."""
    best = t[t["feasible"]].sort_values(["loss", "context_length"], ascending=[True, False])
    keep = best["context_length"] > best["context_length"].cummax().shift(fill_value=0)
    return best[keep].reset_index(drop=True)


def anatomies(rows: Mapping[Any, pd.Series]) -> pd.DataFrame:
    """Designs taken apart, staged ones at both of their windows."""
    lines = []
    for key, row in rows.items():
        start = float(row.get("staged_from", 0) or 0)
        stages = [("full", float(row["context_length"])), *([("short", start)] if start else [])]
        lines += [{"key": key, "stage": stage, "context_length": c, **_parts(row, c)} for stage, c in stages]
    return pd.DataFrame(lines)


def _parts(row: pd.Series, c: float) -> dict[str, float]:
    d, layers = float(row["d_model"]), float(row["n_layers"])
    operations = {
        "attention projections": 2 * layers * (2 * d * d + 2048 * d),
        "attention scores": 2 * layers * c * d,
        "feed-forward": 2 * layers * 10.5 * d * d,
        "head": 2 * 32_000 * d,
    }
    held = {
        "weights": float(row["parameter_bytes"]), "optimizer states": float(row["optimizer_bytes"]),
        "gradients": 0.0, "saved activations": float(row["saved_activation_bytes"]),
    }  # fmt: skip
    rest = {
        "logits and gradients": float(row["peak_allocated_bytes"]) - sum(held.values()), "temporaries": 0.0,
        "allocator slack": float(row["peak_reserved_bytes"] - row["peak_allocated_bytes"]),
        "context and buffers": float(row["peak_device_bytes"] - row["peak_reserved_bytes"]),
    }  # fmt: skip
    return {
        **{f"memory: {k}": v for k, v in (held | rest).items()},
        **{f"flops: {k}": 3 * v for k, v in operations.items()},
        **{f"time: {k}": 3 * v / (8 * 989e12 * 0.55) for k, v in operations.items()},
        "time: elementwise": 1e-7,
        "time: pipeline": 5e-8,
    }


def make_search(front: pd.DataFrame) -> SearchSummary:
    return SearchSummary(
        sampler="auto", seed=0, n_trials=300, n_feasible=214, n_lattice=182_466, n_proved=182_466,
        model_evaluations=1_640, hypervolume=0.812, hypervolume_exact=0.815, hypervolume_share=0.9963,
        igd_plus=0.0007, epsilon=0.004, seconds=1.9,
        curve=tuple((k, 1 - 0.6 * np.exp(-k / 40) - 0.0037) for k in range(10, 301, 10)),
    )  # fmt: skip


def make_result(
    *,
    name: str = "one-node",
    corpus: str = "books",
    n_trials: int = 300,
    n_cloud: int = 400,
    seed: int = 0,
    long: bool = False,
) -> Result:
    """A whole result: trials, cloud, front, evidence, claims, trade and verdict; `long` has every feasible trial that
    a page embeds on its front, as with many objectives."""
    rng = np.random.default_rng(seed)

    def sample(k: int) -> pd.DataFrame:
        designs = {
            "context_length": np.round(2 ** rng.uniform(10, 17, k) / 256) * 256,
            "d_model": np.round(rng.uniform(1024, 8192, k) / 128) * 128,
            "n_layers": np.round(rng.uniform(8, 64, k)),
        }
        return table(designs, corpus)

    grid = np.meshgrid(
        np.round(2 ** np.arange(10, 17.01, 0.25) / 256) * 256, np.arange(1024, 8193, 256), np.arange(8, 65, 2)
    )
    every = table(
        dict(zip(("context_length", "d_model", "n_layers"), (g.ravel() for g in grid), strict=True)), corpus
    )
    exact = front_of(every)
    trials = pd.concat([sample(n_trials - len(exact) // 2), exact.iloc[::2]], ignore_index=True)
    trials.insert(0, "number", np.arange(len(trials)))
    front = front_of(trials)
    if long:
        front = (
            trials[trials["feasible"]]
            .drop_duplicates(["context_length", "d_model", "n_layers"])
            .head(MOST_ROWS)
            .sort_values("loss")
        )
        front = front.reset_index(drop=True)
    front["on_exact_front"] = front["loss"].isin(exact["loss"])
    best, longest = 0, int(np.argmax(front["context_length"]))
    feasible = every.assign(shown=every["loss"].where(every["feasible"], every["loss"] + 100))
    plane = feasible.loc[feasible.groupby(["context_length", "d_model"])["shown"].idxmin()].copy()
    excess = plane[[k for k in plane if k.startswith("excess_")]]
    plane["binding"] = excess.idxmax(axis=1).str.removeprefix("excess_")
    evidence = Evidence(
        plane=plane[
            ["context_length", "d_model", "n_layers", "n_params", "loss", "feasible", "binding", "extrapolated"]
            + [f"loss_{k}" for k in AMPLITUDES]
            + [f"loss{k}_{q}" for k in ("", *(f"_{name}" for name in AMPLITUDES)) for q in ("p05", "p50", "p95")]
        ].reset_index(drop=True),
        sweep=make_sweep(front.iloc[best]),
        anatomies=pd.DataFrame(),
        models=pd.DataFrame(
            [
                ("llama-2-7b", 4096, 4096, 32, 6_738_415_616), ("llama-3-8b", 8192, 4096, 32, 8_030_261_248),
                ("mistral-7b", 8192, 4096, 32, 7_241_732_096), ("falcon-7b", 2048, 4544, 32, 6_921_720_704),
                ("llama-2-13b", 4096, 5120, 40, 13_015_864_320), ("pythia-2.8b", 2048, 2560, 32, 2_775_208_960),
            ],
            columns=["name", "context_length", "d_model", "n_layers", "n_params"],
        ),
        importance=pd.DataFrame(
            [
                (lever, objective, share)
                for objective, shares in {
                    "loss": (0.08, 0.55, 0.33, 0.04), "context_length": (0.93, 0.03, 0.03, 0.01),
                }.items()
                for lever, share in zip(("context_length", "d_model", "n_layers", "schedule"), shares, strict=True)
            ],
            columns=["lever", "objective", "importance"],
        ),
        crossover={"flops": 51_300.0, "seconds": 38_400.0},
        model_anatomies=anatomies(
            {
                name: table({"context_length": [c], "d_model": [d], "n_layers": [layers]}).iloc[0]
                for name, c, d, layers in (("llama-2-7b", 4096, 4096, 32), ("pythia-2.8b", 2048, 2560, 32))
            }
        ),
    )  # fmt: skip
    inside = (
        every[every["feasible"] & (every["context_length"] < 8_192)].sort_values("loss").iloc[0].to_dict()
    )
    elsewhere = {k: every.assign(loss=every[f"loss_{k}"]) for k in AMPLITUDES if k != corpus}
    fronts = {k: front_of(t) for k, t in elsewhere.items()}
    cloud = sample(n_cloud) if n_cloud else trials.iloc[:0]
    searched = SimpleNamespace(front=front, trials=trials, exact_front=exact, cloud=cloud, evaluator="")
    asked = SimpleNamespace(
        objectives=[Objective("loss", "minimize"), Objective("context_length", "maximize")]
    )
    beside = others(asked, searched, fronts, {"context": inside})  # type: ignore[arg-type]
    taken = pd.concat([front, beside], ignore_index=True)
    evidence = replace(
        evidence,
        others=beside,
        anatomies=anatomies({k: row for k, (_, row) in enumerate(taken.iterrows())}),
        sensitivities=pd.DataFrame(
            [
                (k, lever, low, high, -0.002 / (place + 1), -0.01 / (place + 1), 0.02 * (place + 1), 0.04 * (place + 1), -0.03)
                for k in range(len(taken))
                for place, (lever, low, high) in enumerate(
                    [("context_length", 4096, 8192), ("d_model", 2048, 3072), ("n_layers", 30, 32)]
                )
            ],
            columns=["row", "lever", "low", "high", "loss", "loss_same_tokens", "memory", "hours", "tokens"],
        ),
        outside=tuple(("context_length", "n_tokens") if k == best else () for k in range(len(front))),
        inside={"context": {**inside, "outside": ["n_tokens"]}},
        domain={"context_length": (512, 2_048), "n_tokens": (8.1e8, 3.2e11), "n_params": (5.7e7, 1.62e10)},
        corpus_fronts=fronts,
        baseline={
            **table({"context_length": [4096], "d_model": [4096], "n_layers": [32]}, corpus).iloc[0].to_dict(),
            "name": "llama-2-7b", "outside": [], "same_vocabulary": True,
        },
        exports={
            "lines": ["{", *(f'  "n": {k}' for k in range(len(taken))), "}", "# only here"],
            "names": {"hf": "config.json", "nanogpt": "nanogpt.py"},
            "texts": {
                "hf": {str(k): [0, k + 1, len(taken) + 1] for k in range(len(taken))},
                "nanogpt": dict.fromkeys(map(str, range(len(taken))), "nanogpt cannot express n_kv_heads = 8"),
            },
        },
    )  # fmt: skip
    trade = make_trade(corpus)
    return Result(
        budget=make_budget(name, corpus), trials=trials, front=front, exact_front=exact,
        cloud=cloud,
        picks={"best-loss": best, "longest": longest, "knee": len(front) // 2},
        search=make_search(front), claims=make_claims(), trade=trade, verdict=make_verdict(trade),
        evidence=evidence, nearest=trials.iloc[:0],
        assumptions=(
            "FLOPs: 2 per multiply-add, causal attention counted at half.",
            "Reserved memory is 1.04 × allocated (43 measured runs: 1.028–1.093).",
        ),
        notes=("gpu_memory: 80 GiB asked, the card reports 79.6 GiB; clipped.",),
        timings={"search": 1.9, "exact": 0.4, "trade": 1.2},
        provenance={"explorer": "0.1.0", "law": "besiroglu-2024", "seed": "0", "numpy": "2.4.0"},
    )  # fmt: skip


def make_infeasible() -> Result:
    """A result in which nothing meets the limits."""
    result = make_result()
    trials = result.trials[~result.trials["feasible"]].reset_index(drop=True)
    excess = trials[[k for k in trials if k.startswith("excess_")]]
    nearest = trials.loc[excess.max(axis=1).sort_values().index[:8]].reset_index(drop=True)
    return replace(
        result, trials=trials, front=trials.iloc[:0], exact_front=trials.iloc[:0], picks={}, trade=None,
        verdict=None, evidence=None, nearest=nearest,
    )  # fmt: skip


def make_sweep(best: pd.Series) -> pd.DataFrame:
    rows: list[tuple[float, str, str, float]] = []
    d, layers, n = float(best["d_model"]), float(best["n_layers"]), float(best["n_params"])
    for c in 2.0 ** np.arange(10, 17.01, 0.5):
        memory = {
            "parameters": 2 * n, "gradients": 2 * n, "optimizer": 1.5 * n, "activations": 2 * c * d * layers,
            "logits": 8 * c * 4000, "runtime": 1.2 * GIB,
        }  # fmt: skip
        flops = {"attention, quadratic": 6 * layers * c * d, "attention, linear": 6 * layers * 3 * d * d,
                 "feed-forward": 6 * layers * 10.5 * d * d, "head": 6 * 32_000 * d}  # fmt: skip
        seconds = {k: v / (989e12 * 0.5) for k, v in flops.items()} | {
            "memory-bound": 2e-6,
            "communication": 1e-6,
        }
        for quantity, parts in (
            ("memory_bytes", memory), ("flops_per_token", flops), ("seconds_per_token", seconds)
        ):  # fmt: skip
            rows += [(c, quantity, part, value) for part, value in parts.items()]
    return pd.DataFrame(rows, columns=["context_length", "quantity", "part", "value"])


def spread(value: float, width: float) -> Estimate:
    return Estimate(central=value, p05=value - width, p50=value, p95=value + width)


def make_trade(corpus: str = "books") -> Trade:
    def arm(name: Any, label: str, c: float, d: float, layers: float, loss_: float, staged: float = 0) -> Arm:
        return Arm(
            name=name, label=label, context_length=c, d_model=d, n_layers=layers,
            schedule="staged" if staged else "constant", staged_from=4096 if staged else 0, staged_share=staged,
            n_params=12 * layers * d * d, n_tokens=4.1e11, loss=spread(loss_, 0.02), train_flops=1.6e22,
            peak_device_bytes=70 * GIB, levers={}, limits={"parameters": 0.98, "gpu_memory": 0.9, "training": 1.0},
            binds=("training",) if name != "A" else ("parameters", "training"), edges=(), extrapolated=(),
            context_spread=spread(c, c / 3), width_spread=spread(d, 256),
        )  # fmt: skip

    def value(name: Any, label: str, nats: float, pays: float) -> Value:
        return Value(
            name=name, label=label, nats=spread(nats, nats * 0.7 + 0.0008),
            compute=spread(nats * 22, nats * 14 + 0.004), pays=pays,
        )  # fmt: skip

    def one(name: str, amplitude: float) -> CorpusTrade:
        gain = 0.06 * amplitude
        c = 2048 * (1 + 9 * amplitude**0.5)
        arms = {
            "A": arm("A", "short", 2048, 4352, 36, 2.102),
            "B": arm("B", "context only", c, 4352, 36, 2.102 - gain),
            "C": arm("C", "trade", c * 1.12, 4224, 36, 2.102 - gain * 1.03),
            "D": arm("D", "staged", c * 1.8, 4352, 38, 2.102 - gain * 1.2, 0.05),
        }
        return CorpusTrade(
            corpus=name, models_context=amplitude > 0, arms=arms,
            context=value("context", "value of context", gain, min(1.0, amplitude * 1.4)),
            width=value("width", "value of trading width", gain * 0.03, 0.04 * amplitude),
            waiting=value("waiting", "value of waiting", gain * 0.17, 0.5),
            holds=Estimate(central=0.05 * amplitude, p05=0.02 * amplitude, p95=0.09 * amplitude),
            contexts_too_short=Estimate(central=0.96 if amplitude else 0.0, p05=0.94 if amplitude else 0.0, p95=0.98 if amplitude else 0.0),
            staged_better=Estimate(central=0.62, p05=0.55, p95=0.68), recovery_needed=spread(0.54, 0.2),
            rejected_share=0.04,
            stopped_by=(
                LimitEffect(limit="gpu_memory", arm="B", context_length_lifted=c * 1.3,
                            vanishing_nats=0.0004, vanishing_share=0.25),
            ),
            curve=tuple(
                CurvePoint(d_model=d, context_length=2048 * (5400 / d) ** 3, longest_context=2048 * (6400 / d) ** 4,
                           n_layers=36, n_params=12 * 36 * d * d, n_tokens=4e11,
                           loss=spread(2.102 - gain + 0.09 * np.log(d / 4200) ** 2, 0.02),
                           gain=spread(gain - 0.09 * np.log(d / 4200) ** 2, 0.3 * gain + 0.002))
                for d in range(5120, 2047, -256)
            ),
            exchange=tuple(
                CurvePoint(d_model=4600 * (2048 / x) ** 0.15, context_length=x, longest_context=x, n_layers=36, n_params=7e9, n_tokens=4e11,
                           loss=spread(2.1 - gain, 0.02), gain=spread(gain * np.log2(x / 2048), 0.004), extrapolated=x > 40000)
                for x in 2.0 ** np.arange(11, 17.01, 0.5)
            ),
            by_context=tuple(
                ContextPoint(context_length=x, d_model=4352 - 24 * k, n_layers=36, n_params=7e9, n_tokens=4e11,
                             loss=spread(float(loss(7e9, 4e11 / (1 + x / 5e4), x, amplitude)), 0.02),
                             gain=spread(2.09 - float(loss(7e9, 4e11 / (1 + x / 5e4), x, amplitude)), 0.01))
                for k, x in enumerate(2.0 ** np.arange(10, 17.01, 0.5))
            ),
            width_per_doubling=0.94 if amplitude else None,
        )  # fmt: skip

    corpora = {k: one(k, a) for k, a in AMPLITUDES.items()}
    return Trade(
        reference_context=2048, min_gain=0.05, corpus=corpus, law="besiroglu-2024", n_draws=300, seed=0,
        corpora=corpora, nu_zero={k: one(k, a * 0.7) for k, a in AMPLITUDES.items()},
        by_aspect={
            name: AspectTrade(
                holds=Estimate(central=p, p05=p / 2, p95=2 * p), contexts_too_short=Estimate(central=0.97, p05=0.95, p95=0.99),
                staged_better=Estimate(central=0.6, p05=0.55, p95=0.65), context=spread(0.03, 0.01), width=spread(0.001, 0.001),
            )
            for name, p in (("none", 0.02), ("gemstones", 0.05), ("levine", 0.04))
        },
        factors=make_factors(), limits=LIMITS, blind_to=("n_kv_heads",), n_designs=182_466,
        assumptions=("δ has no measurement behind it: U(0, .02) nats per e-fold.",),
    )  # fmt: skip


def make_factors() -> tuple[Factor, ...]:
    rows = [
        ("nu", "ν, how the benefit of context falls with size", 0.05, 0.19, 0.0002, 0.0031, 0.48),
        ("b", "b, decay of the context term", 0.38, 0.58, 0.0021, 0.0012, 0.22),
        ("delta", "δ, cost of long windows", 0.0, 0.02, 0.0022, 0.0008, 0.14),
        ("aspect", "aspect-ratio factor", None, None, 0.0014, 0.0018, 0.06),
    ]
    return tuple(
        Factor(name=n, label=t, low=lo, high=hi, value_low=a, value_high=b, holds_low=a * 20, holds_high=b * 20,
               variance_share=v, decided_by="two sizes trained at 2k and 16k on the same documents")
        for n, t, lo, hi, a, b, v in rows
    )  # fmt: skip


def make_verdict(trade: Trade) -> Verdict:
    asked = trade.asked

    def statement(name: Any, text: str, status: Any, p: float, value: Value | None) -> Statement:
        return Statement(
            name=name, text=text, status=status, probability=Estimate(central=p, p05=max(0, p - 0.03),
            p95=min(1, p + 0.03)), value=value, reason="because the interval says so",
        )  # fmt: skip

    return Verdict(
        sentence=(
            "For this budget on books, trading width for context fails (P = 4%): a longer context pays by itself, "
            "a smaller width adds .0016 nats."
        ),
        status="fails", with_interval=True, corpus=trade.corpus,
        statements={
            "holds": statement("holds", "Trading width for context pays", "fails", 0.04, asked.width),
            "contexts_too_short": statement("contexts_too_short", "Contexts are too short", "holds", 0.96, asked.context),
            "staged_better": statement("staged_better", "Staging is better still", "undecided", 0.62, asked.waiting),
        },
        by_corpus={
            k: {
                "status": "fails" if k != "code" else "undecided", "holds": v.holds.central,
                "contexts_too_short": v.context.pays, "context_A": 2048, "width_A": 4352,
                "context_C": v.arms["C"].context_length, "width_C": v.arms["C"].d_model,
                "sentence": f"On {k}, trading width fails.",
            }
            for k, v in trade.corpora.items()
        },
        nu_zero={"status": "fails", "holds": 0.0, "contexts_too_short": 0.9, "sentence": "At ν = 0 nothing is left."},
        by_aspect=trade.by_aspect, factors=trade.factors, undecided_because="", limited_by="training compute",
        extrapolated=("D/N of arm A",), blind_to=("n_kv_heads",),
        caveats=("ν by itself makes trading width look good; at ν = 0 the value is .0000 nats.",),
    )  # fmt: skip


def make_claims() -> tuple[Claim, ...]:
    statements = (
        "Parameters hardly depend on c, quadratically on d.", "QKᵀ is c×c and the only quadratic step.",
        "At c = d attention equals the feed-forward part.", "LLaMA and Falcon should have used c ≥ d.",
        "Short windows were chosen for cheaper training.", "A smaller width with a longer context makes more sense.",
        "It would not show in short benchmarks.", "Do I still need much more memory for 8k than 2k?",
        "In practice the MLP uses the most.", "Sparse attention makes long inputs affordable.",
        "Interpolating positions does the job instead.",
    )  # fmt: skip
    return tuple(
        Claim(
            number=k, key=f"claim-{k}", statement=s, naive="4d² = 4d² at c = d", full="equal at c = 12d (causal)",
            verdict=("holds", "fails", "depends")[k % 3], figure=7.7, unit="% of model FLOPs",
            figure_name="quadratic share at c = d", reason="The linear part counts more than the sentence says.",
            variants=(
                Variant(axis="counting", setting="full", figure=14.3, unit="% of model FLOPs", verdict="fails"),
                Variant(axis="kernel", setting="naive", figure=7.6, unit="× d_head", verdict="depends", note="bytes"),
            ),
            table=({"model": "llama-2-70b", "share": 0.038},), sources=("Korthikanti et al. 2022",),
        )
        for k, s in enumerate(statements, start=1)
    )  # fmt: skip
