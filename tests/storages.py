"""Storages that several processes share, started for a test or a benchmark and gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any


class Missing(Exception):
    """What a storage needs is not on this machine."""


@contextmanager
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server of our own."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    if not homes:
        raise Missing("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    if find_spec("psycopg") is None:
        raise Missing("psycopg is not installed")
    as_user = []
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        if shutil.which("runuser") is None:
            raise Missing("PostgreSQL does not run as root, and runuser is missing")
        as_user = ["runuser", "-u", "postgres", "--"]
    folder = Path(subprocess.check_output([*as_user, "mktemp", "-d"], text=True).strip())
    data, port, home = folder / "data", free_port(), homes[-1]
    options = f"-k {folder} -p {port} -c listen_addresses=127.0.0.1 -c fsync=off"
    quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run([*as_user, home / "initdb", "-D", data, "-U", "postgres", "-A", "trust"], **quiet)
    control = [*as_user, home / "pg_ctl", "-D", data, "-w"]
    subprocess.run([*control, "-o", options, "-l", folder / "log", "start"], **quiet)
    try:
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **quiet)
        subprocess.run([*as_user, "rm", "-rf", folder], check=True)


@contextmanager
def proxy(url: str) -> Iterator[str]:
    """URL of a gRPC proxy before the database at `url`."""
    if find_spec("grpc") is None:
        raise Missing("grpcio is not installed")
    port = free_port()
    serve = (
        "import optuna; from optuna.storages import get_storage, run_grpc_proxy_server; "
        f"run_grpc_proxy_server(get_storage({url!r}), host='localhost', port={port})"
    )
    server = subprocess.Popen([sys.executable, "-W", "ignore", "-c", serve], stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if not probe.connect_ex(("localhost", port)):
                    break
            time.sleep(0.1)
        yield f"grpc://localhost:{port}"
    finally:
        server.kill()
        server.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
