"""Renews the output that README.md shows: each `<!-- output: COMMAND -->` is followed by what COMMAND prints.

Run from the repository's root: `python tests/cli/record_readme.py`. The commands run in a copy of the
studies; the picture is copied from the run's charts.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SHOWN = re.compile(r"<!-- output: (?P<command>.+) -->\n```text\n(?P<output>[\s\S]*?)```\n")
PICTURE = "reports/one-node/front.svg"


def run(command: str, folder: Path) -> str:
    """What a command prints on a terminal of 110 columns, without colours."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    terminal, ours = pty.openpty()
    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder, stdout=ours, stderr=subprocess.DEVNULL,
        env=os.environ | {"PATH": path, "NO_COLOR": "1", "COLUMNS": "110"},
    ) as process:  # fmt: skip
        os.close(ours)
        printed = b""
        # A terminal whose other end is closed reads as an error on Linux.
        with suppress(OSError):
            while chunk := os.read(terminal, 65536):
                printed += chunk
    os.close(terminal)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return "".join(line.rstrip() + "\n" for line in printed.decode().splitlines())


def main() -> None:
    """Rewrite the blocks in order, so that a later command finds what an earlier one wrote."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copytree(ROOT / "studies", folder / "studies")

        def renewed(shown: re.Match[str]) -> str:
            command = shown["command"]
            return f"<!-- output: {command} -->\n```text\n$ {command}\n{run(command, folder)}```\n"

        README.write_text(SHOWN.sub(renewed, README.read_text("utf-8")), "utf-8")
        run("explore run studies/one-node.yaml --quiet --format svg", folder)
        shutil.copyfile(folder / "reports/one-node/charts/front.svg", ROOT / PICTURE)


if __name__ == "__main__":
    main()
