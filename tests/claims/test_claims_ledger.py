"""All eleven claims: complete, computed, and agreeing with what is known."""

import json
import math

import pytest

from explorer.claims import Claim, ledger


@pytest.fixture(scope="module")
def claims():
    return {c.number: c for c in ledger(n_draws=60)}


def test_eleven_in_order(claims):
    assert list(claims) == list(range(1, 12))
    assert len({c.key for c in claims.values()}) == 11


@pytest.mark.parametrize("number", range(1, 12))
def test_every_record_is_whole(claims, number):
    c = claims[number]
    for text in (c.statement, c.naive, c.full, c.reason, c.figure_name, c.unit):
        assert text.strip()
    assert math.isfinite(c.figure)
    assert c.variants
    assert c.sources
    assert Claim.from_dict(json.loads(json.dumps(c.to_dict(), allow_nan=False))) == c


def variant(claim, setting):
    (found,) = [v for v in claim.variants if v.setting == setting]
    return found


def test_equality(claims):
    c = claims[3]
    assert c.verdict == "fails"
    assert c.figure == pytest.approx(12)
    assert "c = 1.00d" in c.naive
    assert "7.7%" in c.full
    assert "14.3%" in c.full
    assert variant(c, "full, model FLOPs").figure == pytest.approx(6)
    assert variant(c, "causal, flash's backward counted").figure == pytest.approx(10.3, abs=0.05)
    assert variant(c, "full, flash's backward counted").figure == pytest.approx(5.1, abs=0.05)
    assert variant(c, "fused block 34d + 5hc, naive kernel").figure == pytest.approx(6.8, abs=0.01)
    assert variant(c, "gpt2, naive kernel").figure == pytest.approx(16, abs=0.05)
    assert variant(c, "llama-7b, naive kernel").figure == pytest.approx(7.6, abs=0.05)
    assert variant(c, "gpt-neox-20b, naive kernel").figure == pytest.approx(5, abs=0.05)
    assert variant(c, "flash").figure == math.inf
    seconds = [v for v in c.variants if v.axis == "seconds"]
    assert {v.setting.split(",")[0] for v in seconds} == {"a100-sxm-80gb", "h100-sxm-80gb"}
    # An accelerator multiplies matrices better than it attends: the crossover comes earlier than in FLOPs.
    assert all(v.figure < 12 for v in seconds)


def test_published_models_on_every_corpus(claims):
    c = claims[4]
    assert {(r["model"], r["corpus"]) for r in c.table} >= {
        (m, k) for m in ("llama-65b", "llama-2-70b", "falcon-180b") for k in ("short", "web", "books", "code")
    }
    for row in c.table:
        if row["corpus"] == "short":
            assert row["context_best"] is None
        else:
            assert row["gain_p05"] <= row["gain_nats"] <= row["gain_p95"]
    assert "3.8%" in c.full
    assert "1.3%" in c.full


def test_width_is_worth_nothing_without_nu(claims):
    for row in claims[6].table:
        assert row["value_of_width_nu_zero"] < 0.001
        assert row["value_of_width_nats"] >= 0


def test_memory_of_8k(claims):
    c = claims[8]
    assert variant(c, "llama-2-7b: cache alone").figure == pytest.approx(4)
    assert variant(c, "llama-2-7b: flash, equal tokens in flight").figure == pytest.approx(1, abs=0.01)
    served = [variant(c, f"{m}: batch 1").figure for m in ("llama-2-7b", "llama-3-8b")]
    assert 1 < served[1] < served[0] < 4


def test_sparse_patterns_save_what_their_keys_say(claims):
    rows = claims[10].table
    (row,) = [
        r
        for r in rows
        if r["pattern"] == "longformer" and r["d_model"] == 768 and r["context_length"] == 4096
    ]
    # 24d² + 4cd against 24d² + 4wd, no mask, no head.
    d, c, w = 768, 4096, 512
    assert row["training_flops_saved_share"] == pytest.approx(1 - (24 * d + 4 * w) / (24 * d + 4 * c))


def test_interpolation_states_its_gap(claims):
    c = claims[11]
    bare = [v for v in c.variants if v.axis == "without further training"]
    assert bare
    assert all(v.verdict == "fails" for v in bare)
    assert c.gaps


def test_interpolation_catalogue():
    from explorer.catalog.interpolation import interpolations

    for row in interpolations():
        assert row.context > row.context_trained
        assert row.source.startswith("github.com/")
