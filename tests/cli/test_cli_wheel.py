"""What is installed: a wheel with every data file, typed, that needs nothing it does not name."""

from __future__ import annotations

import ast
import email
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from program import ROOT

PACKAGE = ROOT / "explorer"
# What a module is called where its distribution is called otherwise.
DISTRIBUTION = {"ruamel": "ruamel-yaml", "vl_convert": "vl-convert-python", "pydantic_core": "pydantic"}
# Told at run time to who asks for it: the storage of a study on many machines, and designs read from PyTorch.
ON_REQUEST = {"psycopg", "sqlalchemy", "grpc", "torch", "transformers"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def requirements(wheel: zipfile.ZipFile) -> dict[str, str]:
    """Distribution → the whole requirement, of what is always installed."""
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    told = email.message_from_bytes(wheel.read(name)).get_all("Requires-Dist") or []
    always = [line for line in told if "extra ==" not in line]
    return {re.split(r"[<>=!~\[; ]", line)[0].replace(".", "-").lower(): line for line in always}


def test_every_file_of_the_package_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    ours = {
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == ours
    for needed in (
        "explorer/py.typed", "explorer/budget/schema.json", "explorer/budget/starter.yaml",
        "explorer/catalog/models.json", "explorer/report/templates/report.html",
    ):  # fmt: skip
        assert needed in held
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_the_source_archive_builds_the_same_wheel(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    def build(target: str, folder: Path) -> Path:
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(tmp_path / target)],
            cwd=folder, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (path,) = (tmp_path / target).iterdir()
        return path

    with tarfile.open(build("sdist", ROOT)) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (folder,) = (tmp_path / "source").iterdir()
    assert all((folder / name).is_file() for name in ("README.md", "CHANGELOG.md", "LICENSE", "CITATION.cff"))
    assert (folder / "studies" / "one-node.yaml").is_file()
    again = zipfile.ZipFile(build("wheel", folder))
    records = [z.read(next(n for n in z.namelist() if n.endswith("/RECORD"))) for z in (wheel, again)]
    # Every file with its digest.
    assert records[0] == records[1]


def test_the_wheel_names_the_program(wheel: zipfile.ZipFile) -> None:
    (name,) = (n for n in wheel.namelist() if n.endswith("entry_points.txt"))
    assert wheel.read(name).decode().split() == ["[console_scripts]", "explore", "=", "explorer.cli:main"]


def test_it_requires_what_it_imports_and_nothing_of_the_tests(wheel: zipfile.ZipFile) -> None:
    imported: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add((node.module or "").split(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"explorer", "__future__"} - ON_REQUEST
    needed = {DISTRIBUTION.get(name, name).replace("_", "-") for name in foreign}
    assert needed <= set(requirements(wheel))
    dev = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"][
        "dev"
    ]
    assert not {re.split(r"[<>=!~\[]", line)[0] for line in dev} & set(requirements(wheel))
    # Parquet is pandas' to read, by pyarrow, which nothing imports by name.
    assert set(requirements(wheel)) - needed <= {"pyarrow"}


def test_the_wheel_runs_a_study_by_itself(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """The package comes from the wheel alone: no checkout on the path, another folder, no data beside it."""
    wheel.extractall(tmp_path / "site")
    (tmp_path / "study").mkdir()
    budget = (ROOT / "studies" / "one-gpu.yaml").read_text("utf-8")
    (tmp_path / "study" / "budget.yaml").write_text(budget, "utf-8")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import explorer; print(explorer.__file__)\n"
        "sys.argv = ['explore', 'run', 'budget.yaml', '--trials', '10', '--quiet']\n"
        "from explorer.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=tmp_path / "study",
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / "site"))
    assert (tmp_path / "study" / "reports" / "one-gpu" / "report.html").is_file()
