"""Who may import whom: the rooms hold, and a wall that somebody breaks is noticed."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = Path(sys.executable).parent


def run(command: Sequence[str | Path], folder: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env={}, input=given, capture_output=True, text=True, timeout=60, check=False
    )


def lint(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run([PROGRAMS / "lint-imports", "--no-logo", "--no-cache", *options], folder)


def imports(file: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def packages(file: Path) -> set[str]:
    """The packages of others that a file imports."""
    ours = {"app", "chalicelib", "infra", "tests"}
    return {name.split(".")[0] for name in imports(file)} - set(sys.stdlib_module_names) - ours


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the rooms, to break walls in."""
    shutil.copytree(ROOT / "chalicelib", tmp_path / "chalicelib", ignore=shutil.ignore_patterns("__pycache__", "admin"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_rooms_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("contract", "module", "statement"),
    [
        ("thinkers", "domain/intruder.py", "import boto3"),
        ("thinkers", "domain/intruder.py", "from os import environ"),
        ("thinkers", "domain/intruder.py", "def late():\n    import time"),
        ("thinkers", "flows/intruder.py", "import sqlite3"),
        ("rooms", "domain/intruder.py", "import chalicelib.flows"),
        ("rooms", "domain/intruder.py", "import chalicelib.config"),
        ("rooms", "flows/intruder.py", "import chalicelib.stores.sqlite"),
        ("rooms", "flows/intruder.py", "from chalicelib import gateways"),
        ("rooms", "stores/intruder.py", "import chalicelib.gateways"),
        ("rooms", "stores/intruder.py", "import chalicelib.handlers"),
        ("rooms", "helpers.py", "import json"),
        ("doors", "wiring.py", "import app"),
        ("doors", "handlers/intruder.py", "import tests.builders"),
        ("pynamodb", "stores/intruder.py", "from pynamodb.models import Model"),
        ("botocore", "wiring.py", "import botocore.session"),
        ("botocore", "gateways/intruder.py", "import boto3"),
        ("sqlite3", "stores/intruder.py", "import sqlite3"),
        ("chalice", "wiring.py", "from chalice import Chalice"),
        ("chalice", "gateways/intruder.py", "from aws_lambda_powertools import Logger"),
        ("stripe", "handlers/intruder.py", "import stripe"),
    ],
)
def test_a_forbidden_import_is_caught(copy: Path, contract: str, module: str, statement: str) -> None:
    file = copy / "chalicelib" / module
    file.write_text(f"{file.read_text() if file.exists() else ''}\n{statement}\n")
    done = lint(copy, "--contract", contract)
    assert done.returncode == 1, done.stdout + done.stderr
    assert file.stem in done.stdout


def test_a_flow_that_reaches_a_store_by_a_detour_is_caught(copy: Path) -> None:
    (copy / "chalicelib/flows/intruder.py").write_text("import chalicelib.domain.go_between\n")
    (copy / "chalicelib/domain/go_between.py").write_text("import chalicelib.stores.sqlite\n")
    done = lint(copy, "--contract", "rooms")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "go_between -> chalicelib.stores.sqlite" in done.stdout


@pytest.mark.parametrize(
    ("file", "statement", "allowed"),
    [
        ("chalicelib/flows/sweep.py", "from datetime import UTC, datetime\n\nnow = datetime.now(UTC)", False),
        ("chalicelib/gateways/clock.py", "from datetime import UTC, datetime\n\nnow = datetime.now(UTC)", True),
        ("chalicelib/handlers/http.py", "import time\n\nnow = time.time()", False),
        ("chalicelib/wiring.py", "import os\n\nstage = os.environ['STAGE']", False),
        ("chalicelib/wiring.py", "from os import getenv", False),
        ("chalicelib/config.py", "import os\n\nstage = os.environ['STAGE']", True),
        ("chalicelib/stores/sqlite.py", "import random\n\nlag = random.random()", False),
        ("chalicelib/stores/sqlite.py", "import random\n\nchance = random.Random(7)", True),
        ("tests/flows/test_sweep.py", "from unittest import mock", False),
        ("tests/flows/test_sweep.py", "from unittest.mock import patch", False),
        ("tests/flows/test_sweep.py", "import pytest\n\npatch = pytest.MonkeyPatch()", False),
        ("tests/test_config.py", "import pytest\n\npatch = pytest.MonkeyPatch()", True),
    ],
)
def test_time_chance_and_environment_come_in_by_their_doors(file: str, statement: str, allowed: bool) -> None:
    command = [str(PROGRAMS / "ruff"), "check", "--no-cache", "--select=TID251", f"--stdin-filename={file}", "-"]
    done = run(command, ROOT, statement)
    assert done.returncode == (0 if allowed else 1), done.stdout + done.stderr


@pytest.mark.parametrize("room", ["domain", "flows"])
def test_thinking_needs_the_standard_library_and_msgspec_only(room: str) -> None:
    found = {str(file): packages(file) - {"msgspec"} for file in (ROOT / "chalicelib" / room).rglob("*.py")}
    assert not {file: names for file, names in found.items() if names}


def test_app_knows_no_packages_but_chalice_and_powertools() -> None:
    assert packages(ROOT / "app.py") <= {"aws_lambda_powertools", "chalice"}


def test_starting_up_imports_nothing_heavy() -> None:
    """Every function imports app.py, so what one function needs is imported inside it. And no AWS is needed for it."""
    heavy = {"argon2", "boto3", "cryptography", "icalendar", "jinja2", "openpyxl", "reportlab", "stripe", "xlsxwriter"}
    program = f"import sys, app; print(*sorted({heavy!r} & set(sys.modules)))"
    done = run([sys.executable, "-c", program], ROOT)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


# Where the world is real, it may be rearranged: the environment, a process, a port.
WORLDLY = {"bench", "conftest.py", "gateways", "infra", "test_config.py"}


def test_nothing_is_patched_from_the_outside() -> None:
    """The linter finds what is imported (mock, MonkeyPatch); a fixture is asked for by its bare name."""
    patching = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in (ROOT / "tests").rglob("*.py")
        if not WORLDLY & set(file.relative_to(ROOT / "tests").parts)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.arg) and node.arg in {"mocker", "monkeypatch"}
    ]
    assert not patching, "hand in a fake (tests/builders.py)"
