"""How the program behaves beside others: pipes, terminals, shells, interrupts, and what goes wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from budgets import small
from program import ROOT, explore

from explorer.cli.program import COMMANDS

PROGRAM = Path(sys.executable).with_name("explore")
CONFIG = (
    '{"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, '
    '"intermediate_size": 11008, "vocab_size": 32000, "max_position_embeddings": 4096}'
)


def on_terminal(arguments: list[str], cwd: Path = ROOT, **environment: str) -> tuple[str, str]:
    """What the program writes where stdout and stderr are terminals of their own."""
    pairs = [pty.openpty() for _ in range(2)]
    for _, end in pairs:
        termios.tcsetwinsize(end, (24, 110))
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [str(PROGRAM), *arguments], cwd=cwd, stdout=pairs[0][1], stderr=pairs[1][1],
        env=env | {"TERM": "xterm-256color", "COLUMNS": "120"} | environment,
    )  # fmt: skip
    for _, ours in pairs:
        os.close(ours)
    texts = [b"", b""]
    open_ends = {0, 1}
    for end in open_ends:
        os.set_blocking(pairs[end][0], False)
    while open_ends:
        for end in list(open_ends):
            try:
                chunk = os.read(pairs[end][0], 65536)
            except BlockingIOError:
                continue
            except OSError:
                chunk = b""
            texts[end] += chunk
            if not chunk:
                open_ends.discard(end)
        time.sleep(0.01)
    process.wait(timeout=60)
    for theirs, _ in pairs:
        os.close(theirs)
    return texts[0].decode(), texts[1].decode()


def complete(line: str) -> list[str]:
    """What bash would offer for the last word of a line."""
    words = line.split(" ")
    done = subprocess.run(
        [str(PROGRAM)], capture_output=True, text=True, timeout=60,
        env=os.environ | {"_EXPLORE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
    )  # fmt: skip
    return done.stdout.split()


def test_a_shell_completes_commands_flags_and_names() -> None:
    assert complete("explore ins") == ["inspect"]
    assert "--context-length" in complete("explore inspect --con")
    assert complete("explore inspect llama-3-") == ["llama-3-8b", "llama-3-70b"]
    assert complete("explore limits mistral-7b --accelerator h200") == ["h200-sxm-141gb"]
    assert complete("explore inspect gpt2 --recompute se") == ["selective", "selective-op"]
    assert complete("explore inspect gpt2 --corpus bo") == ["books"]
    assert complete("explore run budget.yaml --sampler ns") == ["nsga2", "nsga3"]
    assert complete("explore export gpt2 --to nano") == ["nanogpt"]
    # Where no name starts so, the shell offers its own files.
    assert complete("explore inspect ./conf") == []


def test_standard_input_is_a_file_called_minus(workspace: Callable[[], Path]) -> None:
    folder = workspace()
    n_params = 6_738_415_616
    inspected = explore("inspect", "-", "--json", text=CONFIG)
    assert json.loads(inspected.stdout)["parameters"]["n_params"] == n_params
    assert "training" in explore("limits", "-", text=CONFIG).stdout
    assert json.loads(explore("export", "-", "--to", "hf", text=CONFIG).stdout)["hidden_size"] == 4096
    rows = csv.DictReader(
        io.StringIO(
            explore("evaluate", "-", "-o", "-", text="context_length,d_model,n_layers\n4096,4096,32\n").stdout
        )
    )
    assert float(next(rows)["n_params"]) == n_params
    budget = (folder / "studies" / "one-gpu.yaml").read_text("utf-8")
    assert json.loads(explore("check", "-", "--json", text=budget).stdout)["n_feasible"] > 0
    bad = explore("check", "-", text=budget.replace("gpus: 1", "gpus: one"))
    assert (bad.returncode, bad.stderr[:8]) == (2, "<stdin>:")
    runs, losses = ((folder / name).read_text("utf-8") for name in ("runs.csv", "losses.csv"))
    law = explore("fit", "-", "--map", "D=tokens", "--bootstraps", "5", "-o", "-", cwd=folder, text=runs)
    assert json.loads(law.stdout)["kind"] == "law", law.stderr
    corpus = explore("fit", "--context", "-", "--bootstraps", "5", "-o", "-", cwd=folder, text=losses)
    assert json.loads(corpus.stdout)["name"] == "fitted", corpus.stderr
    for name in ("measurements.jsonl",):
        done = explore("validate", "-", "--json", text=(folder / name).read_text("utf-8"))
        assert {row["what"] for row in json.loads(done.stdout)["rows"]} == {"param_count"}
    table = 'what,config,value,unit\nparam_count,"{""model"": ""gpt2""}",124439808,parameters\n'
    assert explore("validate", "-", text=table).returncode == 0
    page = explore("compare", "reports/one-node", "reports/one-gpu", "-o", "-", cwd=folder)
    assert page.stdout.startswith("<!doctype html>"), page.stderr
    assert not (folder / "compare.html").exists()


def test_a_table_is_aligned_on_a_terminal_and_tabs_in_a_pipe() -> None:
    piped = explore("list", "corpora")
    assert all(
        line.count("\t") == piped.stdout.splitlines()[0].count("\t") for line in piped.stdout.splitlines()
    )
    assert "\x1b" not in piped.stdout
    shown, _ = on_terminal(["list", "corpora"])
    assert "\t" not in shown
    assert "─" in shown
    assert "\x1b[" in shown


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "accelerators"], ["list", "models"], ["limits", "tinyllama-1.1b"], ["check", "studies/one-gpu.yaml"],
        ["compare", "reports/one-node", "reports/one-gpu"],
    ],
    ids=lambda arguments: arguments[0] if isinstance(arguments, list) else None,
)  # fmt: skip
def test_a_terminal_of_any_width_shows_whole_words(
    arguments: list[str], width: int, workspace: Callable[[], Path]
) -> None:
    folder = workspace() if arguments[0] == "compare" else ROOT
    shown, _ = on_terminal(arguments, folder, COLUMNS=str(width), NO_COLOR="1")
    piped = explore(*arguments, cwd=folder).stdout
    # Headings change their look and a title its mark; every other word of the answer is there, whole.
    header = piped.splitlines()[1 if piped.startswith("#") else 0]
    words = set(piped.replace(header, "").split()) - {"#"}
    assert words - set(shown.split()) == set()
    longest = max(map(len, words))
    assert max(map(len, shown.splitlines())) <= max(width, longest + 30)


def test_a_dumb_terminal_is_as_wide_as_it_is() -> None:
    shown, _ = on_terminal(["list", "corpora"], TERM="dumb", COLUMNS="")
    assert "\x1b" not in shown
    assert 100 < max(map(len, shown.splitlines())) <= 110


def test_the_designs_of_a_run_stand_side_by_side(one_node: Path, tmp_path: Path) -> None:
    shown, _ = on_terminal(["run", "studies/one-node.yaml", "-o", str(one_node)], COLUMNS="80", NO_COLOR="1")
    assert max(map(len, shown.splitlines())) <= 80
    assert [line.split() for line in shown.splitlines() if "best-loss" in line] == [
        ["best-loss", "longest", "knee"]
    ]
    piped = explore("run", "studies/one-node.yaml", "-o", str(one_node)).stdout.splitlines()
    assert piped[1] == "\tbest-loss\tlongest\tknee"
    best = json.loads((one_node / "summary.json").read_text("utf-8"))["picks"]["best-loss"]
    assert next(line.split("\t")[1] for line in piped if line.startswith("loss (")) == f"{best['loss']:.4f}"


def test_no_color_means_text_alone() -> None:
    for arguments in (["list", "corpora"], ["claims", "--number", "3"]):
        shown, _ = on_terminal(arguments, NO_COLOR="1")
        assert shown
        assert "\x1b" not in shown


def test_progress_is_for_terminals_and_says_how_long(tmp_path: Path) -> None:
    budget = tmp_path / "budget.yaml"
    budget.write_text(small(), "utf-8")
    arguments = ["run", str(budget)]
    answer, progress = on_terminal([*arguments, "-o", str(tmp_path / "shown")])
    assert "loss" in answer
    assert "trade" in progress
    assert "0:0" in progress
    _, quiet = on_terminal([*arguments, "-o", str(tmp_path / "quiet"), "--quiet"])
    assert quiet == ""
    piped = explore(*arguments, "-o", str(tmp_path / "piped"))
    assert "\x1b" not in piped.stderr
    assert all(line.startswith(("note: ", "report: ")) for line in piped.stderr.splitlines())


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{PROGRAM} list models | head -1"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (["check", "studies/one-nod.yaml"], "did you mean studies/one-node.yaml?"),
        (["check", "no.yaml"], "`explore init` writes one"),
        (["check", "studies"], "it holds cluster.yaml"),
        (["inspect", "lama-2-7b"], "did you mean llama-2-7b"),
        (["inspect", "llama-2-7b", "--precision", "b16"], "did you mean bf16"),
        (["inspect", "config.json"], "must exist; it is a Hugging Face config.json"),
        (["inspect"], "name a model or a config.json, or give --context-length, --d-model, --n-layers"),
        (["limits", "gpt2", "--accelerator", "h100"], "did you mean h100-"),
        (["limits", "gpt2", "--gpu-memory", "80"], "--gpu-memory: "),
        (["evaluate", "no.csv"], "must exist; it is a CSV or Parquet table"),
        (["evaluate", "studies"], "must be a CSV table"),
        (["evaluate", "-"], "column 'd_model' given twice"),
        (["validate", "-"], "value: a finite number, got nan"),
        (["export", "gpt2", "--to", "torchtitan"], "cannot express"),
        (["export", "no/run", "--to", "hf"], "unknown model 'no/run'"),
        (["export", "gpt2", "--to", "hf", "--pick", "kne"], "--pick takes best-loss, longest, knee or a row number"),
        (["export", "gpt2", "--to", "hf", "-o", "/dev/null/x"], "must be a file that can be written"),
        (["report", "reports"], "not a finished run"),
        (["compare", "reports/one-node"], "at least two runs, got 1"),
        (["fit", "no.csv"], "no such file"),
        (["fit"], "either RUNS.csv or --context LOSSES.csv"),
        (["validate", "no.jsonl"], "a readable file of measurements"),
        (["run", "studies/one-gpu.yaml", "--sampler", "nsga"], "did you mean nsga"),
        (["run", "studies/one-gpu.yaml", "--format", "pdf"], "--format takes svg, png or svg,png"),
        (["run", "studies/one-gpu.yaml", "-o", "/dev/null/x"], "/dev/null/x"),
        (["run", "studies/one-gpu.yaml", "--trials", "0"], "--trials"),
        (["list", "planets"], "models"),
        (["claims", "--number", "12"], "--number"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_fix_and_exit_2(arguments: list[str], fix: str) -> None:
    text = {
        "evaluate": "context_length,d_model,n_layers,d_model\n4096,4096,32,1024\n",
        "validate": '{"what": "param_count", "config": {"model": "gpt2"}, "value": NaN, "unit": "parameters"}\n',
    }.get(arguments[0])
    done = explore(*arguments, text=text)
    assert done.returncode == 2, done.stderr
    assert fix in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_exit_3_means_no() -> None:
    assert explore("limits", "llama-3.1-405b", "--accelerator", "rtx-3090").returncode == 3
    wrong = '{"what": "param_count", "config": {"model": "gpt2"}, "value": 1e8, "unit": "parameters"}\n'
    assert explore("validate", "-", text=wrong).returncode == 3


def test_a_bug_keeps_its_traceback_and_exits_1() -> None:
    code = (
        "import sys, explorer.catalog\n"
        "def broken(): raise ZeroDivisionError('a bug')\n"
        "explorer.catalog.corpora = broken\n"
        "sys.argv = ['explore', 'list', 'corpora']\n"
        "from explorer.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "ZeroDivisionError: a bug" in done.stderr


def test_an_interrupt_is_exit_130_and_one_line() -> None:
    process = subprocess.Popen(
        [str(PROGRAM), "evaluate", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )  # fmt: skip
    # More than a pipe holds: it is written when the program has begun to read.
    assert process.stdin is not None
    process.stdin.write("#" * 200_000)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "interrupted\n")


ANSWERS = {
    "init": ["init", "budget.yaml"],
    "check": ["check", "studies/one-node.yaml"],
    "run": ["run", "studies/one-gpu.yaml", "-o", "reports/one-gpu", "--trials", "40"],
    "worker": ["worker", "studies/one-gpu.yaml", "--storage", "sqlite:///shared.db", "--trials", "2"],
    "report": ["report", "reports/one-gpu", "--format", "svg"],
    "compare": ["compare", "reports/one-node", "reports/one-gpu"],
    "inspect": ["inspect", "gpt2"],
    "evaluate": ["evaluate", "designs.csv"],
    "limits": ["limits", "gpt2"],
    "export": ["export", "gpt2", "--to", "nanogpt"],
    "claims": ["claims"],
    "fit": ["fit", "runs.csv", "--map", "D=tokens", "--bootstraps", "5"],
    "validate": ["validate"],
    "list": ["list", "laws"],
    "schema": ["schema"],
}


def test_every_command_answers_in_json(workspace: Callable[[], Path]) -> None:
    assert list(ANSWERS) == list(COMMANDS)
    folder = workspace()
    told = {}
    for name, arguments in ANSWERS.items():
        done = explore(*arguments, "--json", cwd=folder)
        assert done.returncode == 0, done.stderr
        told[name] = json.loads(done.stdout)
    assert told["init"] == {"budget": "budget.yaml"}
    assert (folder / told["report"]["report"]).is_file()
    assert len(told["report"]["charts"]) > 5
    assert all((folder / chart).is_file() for chart in told["report"]["charts"])
    assert told["export"]["text"] == explore("export", "gpt2", "--to", "nanogpt").stdout
    written = explore("export", "gpt2", "--to", "nanogpt", "-o", "gpt2.py", "--json", cwd=folder)
    assert json.loads(written.stdout) == {"source": "gpt2", "format": "nanogpt", "file": "gpt2.py"}
    assert (folder / "gpt2.py").read_text("utf-8") == told["export"]["text"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["init", "-"],
        ["compare", "reports/one-gpu", "reports/one-node", "-o", "-"],
        ["fit", "runs.csv", "-o", "-"],
        ["validate", "--markdown"],
    ],
)
def test_two_forms_of_one_answer_are_refused(arguments: list[str]) -> None:
    done = explore(*arguments, "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "leave one of them out" in json.loads(done.stderr)["errors"][0]


def test_an_error_is_json_where_the_answer_would_be(tmp_path: Path) -> None:
    budget = tmp_path / "budget.yaml"
    budget.write_text("name: x\nbudget: {parameters: 7GiB}\nhardwear: {gpus: 1}\n", "utf-8")
    cases: list[tuple[list[str], int]] = [
        (["check", str(budget)], 2),
        (["inspect", "lama-2-7b"], 2),
        (["limits", "llama-3.1-405b", "--accelerator", "rtx-3090", "--n-gpus", "x"], 2),
        (["list", "planets"], 2),
        (["run", str(budget), "--trials", "0"], 2),
        (["inspekt", "gpt2"], 2),
    ]
    for arguments, code in cases:
        plain, structured = explore(*arguments), explore(*arguments, "--json")
        assert plain.returncode == structured.returncode == code
        assert structured.stdout == ""
        told = json.loads(structured.stderr)
        assert told["exit_code"] == code
        # The same words that a person is told, one entry per mistake.
        assert all(error in plain.stderr for error in told["errors"]), (told, plain.stderr)
    assert len(json.loads(explore("check", str(budget), "--json").stderr)["errors"]) > 1


@pytest.mark.parametrize("flags", [[], ["--quiet"], ["--quiet", "--json"]])
def test_an_interrupted_run_says_how_to_go_on(flags: list[str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [str(PROGRAM), "run", "studies/one-node.yaml", "-o", str(tmp_path / "cut"), *flags],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )  # fmt: skip
    end = time.monotonic() + 60
    while time.monotonic() < end and not (tmp_path / "cut" / "journal.log").is_file():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    answer, said = process.communicate(timeout=60)
    assert (process.returncode, answer) == (130, "")
    line = f"interrupted; the same command continues the run in {tmp_path / 'cut'}"
    told = said.splitlines()[-1]
    assert (json.loads(told) if "--json" in flags else told) == (
        {"errors": [line], "exit_code": 130} if "--json" in flags else line
    )


@pytest.mark.parametrize(
    "arguments", [["list", "models"], ["schema"], ["check", "studies/one-gpu.yaml", "--json"]]
)
def test_a_full_disk_is_told_in_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [str(PROGRAM), *arguments], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    said = "cannot write: No space left on device; make room and run again"
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def test_an_output_may_be_a_link_a_pipe_or_a_device(tmp_path: Path) -> None:
    command = ["export", "gpt2", "--to", "hf", "--quiet", "-o"]
    expected = explore(*command, "-").stdout
    (tmp_path / "target.json").write_text("{}", "utf-8")
    (tmp_path / "link.json").symlink_to("target.json")
    explore(*command, str(tmp_path / "link.json"))
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "target.json").read_text("utf-8") == expected
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE, text=True) as reader:
        explore(*command, str(tmp_path / "pipe"))
        assert reader.communicate(timeout=60)[0] == expected
    assert explore(*command, "/dev/stdout").stdout == expected
    before = Path("/dev/full").stat()
    full = explore(*command, "/dev/full")
    assert (full.returncode, full.stderr) == (
        2, "/dev/full: must be a file that can be written, got: No space left on device\n"
    )  # fmt: skip
    assert Path("/dev/full").stat().st_rdev == before.st_rdev


def test_a_terminal_of_another_encoding_is_no_error() -> None:
    done = subprocess.run(
        [str(PROGRAM), "claims"],
        capture_output=True,
        timeout=60,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
