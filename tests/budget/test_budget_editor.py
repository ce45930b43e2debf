"""An editor reads the schema: yaml-language-server, driven as an editor drives it, by LSP over its pipes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from explorer.budget import schema

BUDGET = """\
name: x
budget:
  parameters: 8B
  training: {gpu_hours: 20k}
hardware: {accelerator: h100-sxm-80gb, gpus: 8}
space:
  d_modl: {from: 1024, to: 2048}
  n_layers: {from: 8, to: 96}
quality: {law: besiroglu-2024, corpus: books}
"""


class Editor:
    """Talks to one language server about one file."""

    def __init__(self, program: str, folder: Path) -> None:
        (folder / "budget.schema.json").write_text(json.dumps(schema()), "utf-8")
        self.uri = (folder / "budget.yaml").as_uri()
        self.process = subprocess.Popen([program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.number = 0
        self.diagnostics: list[dict[str, Any]] = []
        capabilities = {"textDocument": {"hover": {"contentFormat": ["plaintext"]}}}
        self.ask("initialize", {"processId": os.getpid(), "rootUri": None, "capabilities": capabilities})
        self.tell("initialized", {})
        settings = {"yaml": {"schemaStore": {"enable": False}}}
        self.tell("workspace/didChangeConfiguration", {"settings": settings})
        named = f"# yaml-language-server: $schema={(folder / 'budget.schema.json').as_uri()}\n"
        self.lines = (named + BUDGET).splitlines()
        document = {"uri": self.uri, "languageId": "yaml", "version": 1, "text": named + BUDGET}
        self.tell("textDocument/didOpen", {"textDocument": document})

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def tell(self, method: str, params: Any) -> None:
        self.send({"method": method, "params": params})

    def ask(self, method: str, params: Any) -> Any:
        self.number += 1
        self.send({"id": self.number, "method": method, "params": params})
        while (message := self.receive()).get("id") != self.number or "method" in message:
            pass
        return message["result"]

    def receive(self) -> dict[str, Any]:
        """One message; what the server asks is answered, what it finds is kept."""
        assert self.process.stdout is not None
        length = 0
        while line := self.process.stdout.readline().strip():
            if line.startswith(b"Content-Length:"):
                length = int(line.split(b":")[1])
        assert length, "the language server went away"
        message: dict[str, Any] = json.loads(self.process.stdout.read(length))
        if message.get("method") == "workspace/configuration":
            self.send({"id": message["id"], "result": [None for _ in message["params"]["items"]]})
        elif "method" in message and "id" in message:
            self.send({"id": message["id"], "result": None})
        elif message.get("method") == "textDocument/publishDiagnostics":
            self.diagnostics = message["params"]["diagnostics"]
        return message

    def at(self, word: str) -> dict[str, Any]:
        """Document and position of a word."""
        line = next(i for i, text in enumerate(self.lines) if word in text and not text.startswith("#"))
        position = {"line": line, "character": self.lines[line].index(word) + 1}
        return {"textDocument": {"uri": self.uri}, "position": position}


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    program = os.environ.get("EXPLORER_TEST_YAML_SERVER") or shutil.which("yaml-language-server")
    if program is None:
        pytest.skip("no yaml-language-server on this machine (npm install yaml-language-server)")
    opened = Editor(program, tmp_path_factory.mktemp("editor"))
    yield opened
    opened.process.terminate()
    opened.process.wait(timeout=30)


def test_a_mistyped_key_is_marked_where_it_stands(editor: Editor) -> None:
    while not editor.diagnostics:
        editor.receive()
    (found,) = editor.diagnostics
    place = editor.at("d_modl")["position"]["line"]
    assert (found["range"]["start"]["line"], found["message"]) == (place, "Property d_modl is not allowed.")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("parameters", "Largest total number of parameters"),
        ("gpu_hours", "GPU-hours of the whole training."),
        ("n_layers", "Transformer blocks (layers)."),
        ("from: 8", "in the axis's own unit: tokens, elements or layers"),
        ("accelerator", "A name from `explore list accelerators`"),
        ("law", "law"),
    ],
)
def test_a_field_says_what_it_is_and_its_unit(editor: Editor, word: str, said: str) -> None:
    hover = editor.ask("textDocument/hover", editor.at(word))
    contents = hover["contents"]
    assert said in (contents if isinstance(contents, str) else contents["value"]).replace("\\", "")


def test_the_next_section_is_offered(editor: Editor) -> None:
    place = {"textDocument": {"uri": editor.uri}, "position": {"line": len(editor.lines), "character": 0}}
    found = editor.ask("textDocument/completion", place)
    labels = {item["label"] for item in (found["items"] if isinstance(found, dict) else found)}
    assert {"training", "objectives", "trade", "search", "baseline"} <= labels
