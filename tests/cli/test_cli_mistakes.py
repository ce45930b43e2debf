"""Files and options that cannot be used: one line says which, what was wrong and what would do; nothing is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from program import explore

from explorer.cli import completion
from explorer.errors import ExplorerError
from explorer.formats import TARGETS
from explorer.result import load

Damage = tuple[str, Callable[[bytes], bytes], str]

DAMAGES: list[Damage] = [
    ("summary.json", lambda b: b[:500], "summary.json must be as the run wrote it, got: "),
    ("summary.json", lambda b: b"[]", "not a run of this version"),
    ("summary.json", lambda b: b'{"name": "\xe9"}', "got: byte 0xe9 at position 10, which is no UTF-8 text"),
    ("evidence.json", lambda b: b"", "evidence.json must be as the run wrote it, got: Expecting value"),
    ("trials.parquet", lambda b: b[:100], "trials.parquet must be as the run wrote it, got: "),
    ("front.csv", lambda b: b"", "front.csv must be as the run wrote it, got: No columns to parse from file"),
    ("front.csv", lambda b: b"a,b\n1,2\n", "front.csv must have the columns of trials.parquet, got no 'number'"),
    ("budget.yaml", lambda b: b"name: [", "budget.yaml:1:8: not valid YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damaged", "told"), DAMAGES)
def test_a_damaged_run_is_told_by_its_file(
    one_node: Path, tmp_path: Path, name: str, damaged: Callable[[bytes], bytes], told: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(one_node, folder)
    (folder / name).write_bytes(damaged((folder / name).read_bytes()))
    with pytest.raises(ExplorerError) as error:
        load(folder)
    (line,) = str(error.value).splitlines()
    assert told in line


def test_a_folder_without_a_readable_run_is_replaced_only_by_force(one_node: Path, tmp_path: Path) -> None:
    for name, text in (("budget.yaml", "name: ["), ("summary.json", "{}")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text(text, "utf-8")
        done = explore("run", str(one_node / "budget.yaml"), "-o", name, "--quiet", cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith(f"{name} holds a run of another budget; pass --force to replace it")
        assert [path.name for path in folder.iterdir()] == [name]


_RUN = ("run", "budget.yaml", "--trials", "5", "--quiet")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("report", "none"), "none must be the folder of a finished run, got no such folder"),
        (("report", "notes"), "notes must be the folder of a finished run, got a file"),
        (("export", "gpt2", "--to", "nanogtp"), "unknown format 'nanogtp'; did you mean nanogpt?"),
        (("list", "model"), "unknown list 'model'; did you mean models?"),
        (("claims", "--number", "12"), "--number takes a claim from 1 to 11, got '12'"),
        (("fit", "words.csv"), "words.csv: column 'loss' must hold numbers, got 'low' in row 2"),
        (("fit", "words.csv", "--seed", "-1"), "--seed takes a whole number of at least 0, got '-1'"),
        (("evaluate", "long.csv"), "long.csv:3: 3 cells, as the header has, got 4"),
        (("evaluate", "shifted.csv"), "shifted.csv:2: 3 cells, as the header has, got 4"),
        (("evaluate", "long.csv", "-o", "x.xlsx"), "x.xlsx: a table is written as .csv or .parquet, got '.xlsx'"),
        (("validate", "none.jsonl"), "none.jsonl: a readable file of measurements, got: No such file or directory"),
        (("limits", "gpt2", "--gpu-memory", "80B"), "at least 1MiB, got '80B'"),
        ((*_RUN, "--trials", "1.5"), "--trials takes a whole number of at least 1, got '1.5'"),
        ((*_RUN, "--heartbeat", "0"), "--heartbeat takes a whole number of at least 1, got '0'"),
        ((*_RUN, "-o", "notes"), "notes: must be a folder to write in, got: a file"),
        ((*_RUN, "--storage", ""), "a storage is a journal's path or an Optuna storage URL, got nothing"),
        ((*_RUN, "--storage", "notes"), "notes must be a study's journal, and is another file; name a new one"),
        ((*_RUN, "--storage", "foo://x"), "or another database of SQLAlchemy, got 'foo://'"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_writes_nothing(
    one_node: Path, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    shutil.copy(one_node / "budget.yaml", tmp_path)
    (tmp_path / "notes").write_text("mine, and without a newline", "utf-8")
    (tmp_path / "words.csv").write_text("N,D,loss\n1e8,1e9,3.2\n1e8,2e9,low\n", "utf-8")
    designs = "context_length,d_model,n_layers\n4096,1024,12\n4096,1024,12,1\n"
    (tmp_path / "long.csv").write_text(designs, "utf-8")
    (tmp_path / "shifted.csv").write_text(designs.replace("12\n4096", "12,1\n4096"), "utf-8")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    done = explore(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    line, *others = done.stderr.splitlines()
    assert told in line
    assert len(others) == (arguments == ("evaluate", "shifted.csv"))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_shells_are_offered_every_format_that_can_be_written() -> None:
    assert set(completion.TARGETS) == set(TARGETS)
