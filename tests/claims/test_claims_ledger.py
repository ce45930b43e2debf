"""All eleven claims: complete, computed, and agreeing with what is known."""

import importlib
import json
import math
from pathlib import Path

import pytest

from explorer import quality
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


def test_the_ledger_is_kept_among_cached_files_and_made_anew_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = importlib.import_module("explorer.claims.ledger.every")
    ledger_room = importlib.import_module("explorer.claims.ledger")
    made: list[tuple[str, int]] = []
    real = rooms.every

    def counted(law: quality.Law, n_draws: int, seed: int) -> tuple[Claim, ...]:
        made.append((law.name, n_draws))
        return real(law, n_draws, seed)

    monkeypatch.setattr(rooms, "every", counted)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ask = ledger_room._ledger.__wrapped__
    first = ask("besiroglu-2024", 20, 0)
    assert first == real(quality.law("besiroglu-2024"), 20, 0)
    assert ask("besiroglu-2024", 20, 0) == first
    assert made == [("besiroglu-2024", 20)]
    # Another question, another state of the program, and a file that cannot be read are made anew.
    ask("kaplan-2020", 20, 0)
    monkeypatch.setattr(ledger_room, "digest_of_package", lambda: "another")
    assert ask("besiroglu-2024", 20, 0) == first
    for file in (tmp_path / "explorer" / "ledger").iterdir():
        file.write_text("[{}]")
    assert ask("besiroglu-2024", 20, 0) == first
    assert [name for name, _ in made] == ["besiroglu-2024", "kaplan-2020", "besiroglu-2024", "besiroglu-2024"]
