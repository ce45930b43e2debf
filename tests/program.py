"""The program as a person runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def explore(*arguments: str, cwd: Path = ROOT, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program as a person does, in a process of its own."""
    program = Path(sys.executable).with_name("explore")
    return subprocess.run(
        [str(program), *arguments], cwd=cwd, input=text, capture_output=True, text=True, timeout=300
    )
