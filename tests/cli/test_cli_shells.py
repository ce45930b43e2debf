"""Completion as a person has it: installed by the program into a new home, then a tab in bash, zsh and fish."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

START = {
    "bash": ["bash", "--rcfile", "{home}/.bashrc", "-i"],
    "zsh": ["zsh", "-i"],
    "fish": ["fish", "-i"],
}


@pytest.mark.parametrize("shell", START)
def test_a_tab_completes_what_was_begun(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine")
    environment = {
        "HOME": str(tmp_path),
        "TERM": "dumb" if shell == "bash" else "xterm",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "LC_ALL": "C.UTF-8",
    }
    # The program asks which shell it was started from; `true` keeps that shell there.
    done = subprocess.run(
        [shell, "-c", "explore --install-completion; true"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert f"{shell} completion installed" in done.stdout, done.stdout + done.stderr
    typed = "explore limits mistral-7b --accelerator h200"
    assert "h200-sxm-141gb" in tab([part.format(home=tmp_path) for part in START[shell]], typed, environment)


def tab(command: list[str], typed: str, environment: dict[str, str]) -> str:
    """What a terminal shows when a line is begun in a new shell and the tab key is pressed."""
    process, terminal = pty.fork()
    if not process:
        os.execvpe(command[0], command, environment)
    try:
        # A key pressed before the shell reads its keys itself would be the terminal's to handle.
        shown = _until(terminal, re.compile(r"[$%#>] ?(\x1b[^\n]*)?$"), 20)
        os.write(terminal, typed.encode())
        # zsh reads the installed function at the first tab of a session, and calls it from the second on.
        for _ in range(3):
            os.write(terminal, b"\t")
            shown += _until(terminal, re.compile("h200-sxm-141gb"), 5)
            if "h200-sxm-141gb" in shown:
                break
        return shown
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)


def _until(terminal: int, wanted: re.Pattern[str], seconds: float) -> str:
    shown, end = "", time.monotonic() + seconds
    while time.monotonic() < end and not wanted.search(shown):
        if select.select([terminal], [], [], 0.2)[0]:
            chunk = os.read(terminal, 65536).decode(errors="replace")
            # fish asks the terminal what it is and waits for an answer.
            if "\x1b[c" in chunk or "\x1b[0c" in chunk:
                os.write(terminal, b"\x1b[?62;22c")
            shown += chunk
    return shown
