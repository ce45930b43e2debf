"""Every mistake in a budget is one line, at its line and column, all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from explorer.budget import load, parse, starter
from explorer.budget.loading import check
from explorer.budget.models import Budget
from explorer.errors import ExplorerError, InputErrors

GOOD = """\
name: small
budget:
  parameters: 7B
  gpu_memory: 70GiB
  training: {gpu_hours: 20k}
  serving: {gpu_memory: 24GiB, batch: 1}
hardware: {accelerator: h100-sxm-80gb, gpus: 8}
space:
  context_length: {from: 1024, to: 65536, per_octave: 4, multiple_of: 256}
  d_model: {from: 1024, to: 8192, multiple_of: 128}
  n_layers: {from: 8, to: 64}
  d_head: 128
  n_kv_heads: 8
  ffn: {kind: swiglu, ratio: 3.5}
  vocab_size: 32000
  attention: full
  schedule: [constant, {staged: {from: 4096, share: 0.2}}]
training: {precision: bf16-mixed, global_batch_tokens: 4M, plan: auto}
quality: {law: besiroglu-2024, corpus: books}
objectives: [{minimize: loss}, {maximize: context_length}]
trade: {reference_context: 2048, min_gain: 5%}
search: {trials: 300, sampler: auto, seed: 0}
"""


def lines_of(text: str) -> tuple[str, ...]:
    with pytest.raises(InputErrors) as caught:
        parse(text, label="b.yaml")
    return caught.value.lines


def edited(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


# (what stands in GOOD, what stands there instead, line:column, path, words of the requirement, what was got)
MISTAKES = [
    ("h100-sxm-80gb", "v100-sxm-32gb", "18:23", "training.precision", "one of fp32 (v100", "got 'bf16-mixed'"),
    ("name: small", "name: two words", "1:7", "name", "a name of letters", "got 'two words'"),
    ("name: small", "name: 12", "1:7", "name", "a name of letters", "got 12"),
    ("parameters: 7B", "parameters: 7GiB", "3:15", "budget.parameters", "without a byte unit", "got '7GiB'"),
    ("parameters: 7B", "parameters: many", "3:15", "budget.parameters", "7B, 300e9 or 20k", "got 'many'"),
    ("parameters: 7B", "parameters: -7e9", "3:15", "budget.parameters", "above zero", "got -7e9"),
    ("parameters: 7B", "parameters: 0", "3:15", "budget.parameters", "above zero", "got 0"),
    ("parameters: 7B", "parameters: .nan", "3:15", "budget.parameters", "finite", "got .nan"),
    ("parameters: 7B", "parameters: .inf", "3:15", "budget.parameters", "finite", "got .inf"),
    ("parameters: 7B", "parameters: 1e999", "3:15", "budget.parameters", "finite", "got 1e999"),
    ("parameters: 7B", "parameters: true", "3:15", "budget.parameters", "a count", "got true"),
    ("parameters: 7B", "parameters:", "3:3", "budget.parameters", "a count", "got nothing"),
    ("parameters: 7B", "parameters: [7B]", "3:15", "budget.parameters", "a count", "got a list"),
    ("parameters: 7B", "parameters: 10M", "3:15", "budget.parameters", "smallest design of the space", "got 10M"),
    ("gpu_memory: 70GiB", "gpu_memory: 80", "4:15", "budget.gpu_memory", "with a unit, such as 80GiB", "got 80"),
    ("gpu_memory: 70GiB", "gpu_memory: 80G", "4:15", "budget.gpu_memory", "with a unit", "got '80G'"),
    ("gpu_memory: 70GiB", "gpu_memory: 80B", "4:15", "budget.gpu_memory", "at least 1MiB", "got '80B'"),
    ("gpu_memory: 70GiB", "gpu_memory: -1GiB", "4:15", "budget.gpu_memory", "with a unit", "got '-1GiB'"),
    ("{gpu_hours: 20k}", "{}", "5:3", "budget.training", "at least one of flops, tokens", "got none"),
    ("{gpu_hours: 20k}", "{gpu_hour: 20k}", "5:14", "budget.training.gpu_hour", "unknown", "mean gpu_hours?"),
    ("{gpu_hours: 20k}", "{days: 2w}", "5:20", "budget.training.days", "a number above zero", "got '2w'"),
    ("{gpu_hours: 20k}", "{tokens: 1M}", "5:22", "budget.training.tokens", "one step", "got 1,000,000"),
    ("batch: 1}", "batch: 1.5}", "6:39", "budget.serving.batch", "a whole number", "got 1.5"),
    ("memory: 24GiB, b", "memory: 256MiB, b", "6:25", "budget.serving.gpu_memory", "the weights of", "got 256 MiB"),
    ("{gpu_memory: 24GiB, b", "{b", "6:3", "budget.serving.gpu_memory", "required", "got nothing"),
    ("h100-sxm-80gb", "h100-smx-80gb", "7:25", "hardware.accelerator", "known", "mean h100-sxm-80gb"),
    ("h100-sxm-80gb", "mine.json", "7:25", "hardware.accelerator", "file that is there", "mine.json'"),
    ("gpus: 8", "gpus: eight", "7:46", "hardware.gpus", "a whole number of at least 1", "got 'eight'"),
    ("gpus: 8", "gpus: 8, goodput: 95", "7:58", "hardware.goodput", "up to 1, such as 0.05 or 5%", "got 95"),
    ("gpus: 8}", "gpus: 8, mfu: 0}", "7:54", "hardware.mfu", "a share above 0", "got 0"),
    ("gpus: 8}", "gpus: 8, network_bandwidth: 50GB}", "7:68", "hardware.network_bandwidth", "per second", "'50GB'"),
    ("from: 8, to: 64", "from: twelve, to: 64", "11:20", "space.n_layers.from", "a whole number", "got 'twelve'"),
    ("from: 8, to: 64", "from: 64, to: 8", "11:20", "space.n_layers.from", "at most 'to' (8)", "got 64"),
    ("{from: 8, to: 64}", "{from: 8}", "11:3", "space.n_layers.to", "required (largest value)", "got nothing"),
    ("{from: 8, to: 64}", "[]", "11:13", "space.n_layers", "at least one value", "got an empty list"),
    ("{from: 8, to: 64}", "[8, 16, 8]", "11:21", "space.n_layers[2]", "each value once", "got it again"),
    ("{from: 8, to: 64}", "deep", "11:13", "space.n_layers", "whole number of at least 1 or {from: …", "'deep'"),
    ("  n_layers:", "  n_layer:", "11:3", "space.n_layer", "unknown key 'n_layer'", "did you mean n_layers?"),
    ("8192, multiple_of: 128", "8192, multiple_of: 9000", "10:48", "space.d_model.multiple_of", "to 8,192", "got 9,000"),
    ("to: 8192, multiple_of: 128", "to: 1e12", "10:12", "space.d_model", "at most 1,000,000 values", "got more"),
    ("d_head: 128", "d_head: 160000", "12:11", "space.d_head", "divides some d_model", "got 160,000"),
    ("d_head: 128", "d_head: [128, 96.5]", "12:17", "space.d_head[1]", "a whole number", "got 96.5"),
    ("n_kv_heads: 8", "n_kv_heads: [8, 67]", "13:19", "space.n_kv_heads[1]", "divides some number of heads", "got 67"),
    ("n_kv_heads: 8", "n_kv_heads: every", "13:15", "space.n_kv_heads", "or 'all'", "got 'every'"),
    ("kind: swiglu", "kind: swigl", "14:15", "space.ffn.kind", "one of gelu", "did you mean swiglu?"),
    ("attention: full", "attention: {window: 65536}", "16:23", "space.attention.window", "below the largest", "65,536"),
    ("attention: full", "attention: {global: 64}", "16:3", "space.attention.window", "required", "got nothing"),
    ("attention: full", "attention: {window: 512, global_every: 1}", "16:42", "space.attention.global_every", "2", "got 1"),
    ("from: 4096, share", "from: 65536, share", "17:40", "space.schedule[1].staged.from", "below", "got 65,536"),
    ("share: 0.2", "share: 0.001", "17:53", "space.schedule[1].staged.share", "a share from", "got 0.001"),
    ("share: 0.2", "share: 20", "17:53", "space.schedule[1].staged.share", "up to 1", "got 20"),
    ("[constant, {", "[constnt, {", "17:14", "space.schedule[0]", "'constant' or {staged: …}", "mean constant?"),
    ("bf16-mixed", "bf16-mix", "18:23", "training.precision", "one of fp32", "did you mean bf16-mixed"),
    ("global_batch_tokens: 4M", "global_batch_tokens: 100", "18:56", "training.global_batch_tokens", "(1,024)", "got 100"),
    ("plan: auto", "plan: {tensor_parallel: 16}", "18:84", "training.plan.tensor_parallel", "hardware.gpus (8)", "16"),
    ("plan: auto", "plan: {tensor_parallel: 3}", "18:84", "training.plan.tensor_parallel", "divides", "got 3"),
    ("plan: auto", "plan: {tensor_parallel: 4, data_parallel: 4}", "18:66", "training.plan", "at most", "= 16"),
    ("plan: auto", "plan: {recompute: som}", "18:78", "training.plan.recompute", "one of none", "got 'som'"),
    ("plan: auto", "plan: auto, optimizer: adamx", "18:83", "training.optimizer", "one of", "did you mean adamw"),
    ("plan: auto", "plan: auto, attention_kernel: flsh", "18:90", "training.attention_kernel", "", "mean flash?"),
    ("besiroglu-2024", "besiroglu", "19:16", "quality.law", "a known law", "did you mean besiroglu-2024"),
    ("corpus: books", "corpus: book", "19:40", "quality.corpus", "a known corpus", "did you mean books"),
    ("corpus: books", "corpus: {name: x, amplitude: [2, 1]}", "19:61", "quality.corpus.amplitude", "low at most", "[2, 1]"),
    ("corpus: books", "corpus: {name: books, amplitude: [1, 2]}", "19:47", "quality.corpus.name", "does not use", "'books'"),
    ("parameters: 7B", "parameters: 7X", "3:15", "budget.parameters", "a count such as 7B", "got '7X'"),
    ("[{minimize: loss}, {maximize: context_length}]", "{minimize: loss, maximize: n_tokens}", "20:13", "objectives",
     "{minimize: …} or {maximize: …} or a list", "got minimize and maximize in one"),
    ("search: {", "'': 3\nsearch: {", "22:1", "''", "unknown key ''", "known here"),
    ("{from: 8, to: 64}", "{<<: 3, from: 8, to: 64}", "11:18", "space.n_layers.<<", "a mapping to merge", "got '3'"),
    ("minimize: loss", "minimise: loss", "20:15", "objectives[0].minimise", "unknown key", "did you mean minimize"),
    ("minimize: loss", "minimize: los", "20:25", "objectives[0].minimize", "one of loss", "did you mean loss?"),
    ("minimize: loss", "maximize: loss", "20:25", "objectives[0].maximize", "better when smaller", "got 'loss'"),
    ("minimize: loss", "minimize: price", "20:25", "objectives[0].minimize", "price needs hardware.price_per", "got no"),
    ("maximize: context_length", "minimize: loss", "20:43", "objectives[1].minimize", "each figure once", "again"),
    ("reference_context: 2048", "reference_context: 512", "21:28", "trade.reference_context", "1,024 to 65,536", "got 512"),
    ("min_gain: 5%", "min_gain: 5", "21:44", "trade.min_gain", "0.05 or 5%", "got 5"),
    ("sampler: auto", "sampler: cmaes", "22:32", "search.sampler", "one of auto, exact", "got 'cmaes'"),
    ("seed: 0}", "seed: -1}", "22:44", "search.seed", "at least 0", "got -1"),
    ("search: {trials: 300, sampler: auto, seed: 0}", "search:", "22:1", "search", "a mapping of trials", "got nothing"),
    ("search: {", "parameters: 3B\nsearch: {", "22:1", "parameters", "unknown key", "it belongs under budget"),
    ("search: {", "baseline: llama-2-7\nsearch: {", "22:11", "baseline", "a known model", "mean llama-2-7"),
    ("quality: {", "name: again\nquality: {", "19:1", "name", "given twice", "first on line 1"),
    ("gpus: 8}", "gpus: 8, gpus: 4}", "7:49", "hardware.gpus", "given twice", "first on line 7"),
    ("name: small", "name: !!python/object:os.system x", "1:7", "name", "a plain value", "got the tag"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "place", "path", "wanted", "got"), MISTAKES)
def test_one_mistake_is_one_line_at_its_place(
    old: str, new: str, place: str, path: str, wanted: str, got: str
) -> None:
    lines = lines_of(edited(old, new))
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"b.yaml:{place}: {path}: "), lines[0]
    assert wanted in lines[0], lines[0]
    assert got in lines[0], lines[0]


def test_the_unedited_budget_is_fine() -> None:
    assert isinstance(parse(GOOD), Budget)


def test_mistakes_are_told_together_in_the_order_of_the_file() -> None:
    text = GOOD
    for old, new in (
        ("parameters: 7B", "parameters: 7GiB"),
        ("gpu_memory: 70GiB", "gpu_memory: 80"),
        ("gpu_hours", "gpu_hour"),
        ("from: 8, to: 64", "from: twelve, to: 64"),
        ("corpus: books", "corpus: boks"),
        ("quality: {", "name: again\nquality: {"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    places = [line.split(":")[1:3] for line in lines_of(text)]
    assert places == [["3", "15"], ["4", "15"], ["5", "14"], ["11", "20"], ["19", "1"], ["20", "40"]]


def test_mistakes_in_a_value_given_twice_are_told_too() -> None:
    assert len(lines_of(edited("gpus: 8}", "gpus: 8, gpus: four}"))) == 2


def test_a_misspelt_required_key_is_one_mistake() -> None:
    (line,) = lines_of(edited("  parameters: 7B", "  paramters: 7B"))
    assert line.startswith("b.yaml:3:3: budget.paramters: unknown key 'paramters'; did you mean parameters?")


SYNTAX = [
    ("a: b: c", "1:5", "mapping values are not allowed"),
    ("name: x\nspace: {a: 1\nb: 2\n", "3:2", "still open"),
    ("a:\n\t- b", "2:1", "not tabs"),
    ("a: *b", "1:4", "undefined alias 'b'"),
    ("a: 1\n--- \nb: 2", "2:1", "another document"),
    ("a: \x01", "1:4", "not valid YAML"),
    ("a: 'x", "1:6", "end of stream"),
    ("[" * 600, "1:", "not "),
    ("a: @x", "1:4", "cannot start"),
]


@pytest.mark.parametrize(("text", "place", "words"), SYNTAX)
def test_what_is_not_yaml_is_told_at_its_place(text: str, place: str, words: str) -> None:
    (line,) = lines_of(text)
    assert line.startswith(f"b.yaml:{place}"), line
    assert words in line


@pytest.mark.parametrize(
    ("text", "got"),
    [("", "nothing"), ("# only this\n", "nothing"), ("- a\n- b\n", "a list"), ("word\n", "a single")],
)
def test_a_budget_is_a_mapping(text: str, got: str) -> None:
    (line,) = lines_of(text)
    assert line.startswith("b.yaml:1:1: a mapping with at least name, budget and hardware")
    assert f"got {got}" in line


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "budget.yaml").write_text(GOOD)
    with pytest.raises(ExplorerError, match=r"got no such file; did you mean .*budget\.yaml"):
        load(tmp_path / "budgets.yaml")
    with pytest.raises(ExplorerError, match=r"got a directory; it holds budget\.yaml"):
        load(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: x\n# für\n".encode("latin-1"))
    with pytest.raises(InputErrors, match=r"latin\.yaml:2:4: UTF-8 text, got byte 0xfc"):
        load(tmp_path / "latin.yaml")
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load(tmp_path / "bom.yaml") == parse(GOOD)


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(ExplorerError, match=r"^/dev/zero: a budget file of at most 1 MiB, got more$"):
        load("/dev/zero")


# One worker's fuzz: text edits of a good budget, so that most of it stays meaningful.
PIECES = st.sampled_from(
    ["{", "}", "[", "]", ":", ",", "- ", "\n", "  ", "&a ", "*a", "<<: ", "!x ", "|", ">", "'", '"', "#", "\t",
     "%YAML 1.1\n---\n", "? ", "~", "null", "1e999", ".nan", "-1", "0", "7B", "80GiB", "all", "auto", "constant",
     "from", "to", "\x00", "\u2028", "é", "9" * 5000, "1_000", "0x10", "2001-01-01", "space", "budget", "x.json"]
)  # fmt: skip
EDITS = st.lists(
    st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), PIECES | st.text(max_size=6)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EDITS)
@example([(0, len(GOOD), "&a {<<: *a}")])
@example([(0, len(GOOD), "&a [*a]")])
def test_any_text_is_a_budget_or_its_mistakes(edits: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for start, length, piece in edits:
        text = text[:start] + piece + text[start + length :]
    lines: tuple[str, ...] = ()
    try:
        # Not `parse`, which would tell a disagreement between checker and models as a mistake of the text.
        plain, _ = check(text, "<budget>", Path())
        Budget.model_validate(plain)
    except InputErrors as error:
        lines = error.lines or ("none",)
    assert all(line.startswith("<budget>:") and line.isprintable() for line in lines)


def test_the_starter_is_a_budget() -> None:
    assert parse(starter()).name == "my-study"
