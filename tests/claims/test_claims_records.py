"""Records survive JSON: what `to_dict` writes, `from_dict` reads back, infinities included."""

import json
import math

from explorer.claims import Arm, Claim, Estimate, Factor, Value, Variant


def _arm(**changes):
    given = {
        "name": "A",
        "label": "short",
        "context_length": 2048.0,
        "d_model": 4096.0,
        "n_layers": 32.0,
        "schedule": "constant",
        "n_params": 6.7e9,
        "n_tokens": 3e11,
        "loss": Estimate(central=2.1, p05=2.0, p50=2.1, p95=2.2),
        "levers": {"n_kv_heads": 8.0},
        "limits": {"gpu_memory": 0.97},
        "binds": ("gpu_memory",),
        "edges": ("n_layers ≥",),
        "extrapolated": ("D",),
    }
    return Arm(**(given | changes))


def test_round_trip_through_json():
    arm = _arm(context_spread=Estimate(central=2048.0))
    assert Arm.from_dict(json.loads(json.dumps(arm.to_dict()))) == arm


def test_infinity_survives_and_nan_becomes_null():
    value = Value(
        name="width",
        label="value of trading width",
        nats=Estimate(central=0.01),
        compute=Estimate(central=math.inf),
        pays=1.0,
    )
    text = json.dumps(value.to_dict(), allow_nan=False)
    assert Value.from_dict(json.loads(text)) == value
    assert Estimate(central=math.nan).to_dict()["central"] is None


def test_claims_and_factors_are_plain_data():
    variant = Variant(axis="counting", setting="causal", figure=12.0, unit="d", verdict="fails")
    claim = Claim(
        number=3, key="crossover", statement="s", naive="n", full="f", verdict="fails", figure=6.0,
        unit="d", figure_name="c at equality", reason="r", variants=(variant,),
        table=({"context_length": 2048, "share": 0.1},),
    )  # fmt: skip
    assert Claim.from_dict(json.loads(json.dumps(claim.to_dict()))) == claim
    factor = Factor(
        name="aspect", label="aspect", low=None, high=None, value_low=0.0, value_high=0.1,
        holds_low=0.0, holds_high=1.0, variance_share=0.4, decided_by="runs",
    )  # fmt: skip
    assert Factor.from_dict(factor.to_dict()) == factor


def test_changes_name_every_setting_that_differs():
    def variant(axis, setting, verdict):
        return Variant(axis=axis, setting=setting, figure=1.0, unit="× d", verdict=verdict)

    claim = Claim(
        number=1, key="k", statement="s", naive="n", full="f", verdict="fails", figure=1.0, unit="× d", figure_name="c",
        reason="r",
        variants=(
            variant("kernel", "flash", "fails"), variant("kernel", "naive", "holds"), variant("kernel", "fused", "fails"),
            variant("GQA", "8 heads", "depends"),
        ),
    )  # fmt: skip
    assert claim.changes() == [
        "kernel: fails in 2 of 3 settings; holds for naive",
        "GQA: depends for 8 heads",
    ]
