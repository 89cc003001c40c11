"""How long a function takes to be there, beside the barest one: a handler that imports boto3 and makes a client.

Both run in the same interpreter, which has what Lambda's has and nothing else, all of it compiled. The tests count the
functions that a start calls: the same on every machine, however busy it is, and within a twentieth of what the clock
says. The benchmark takes the time too: turn and turn about, and medians of processor time are compared.
"""

import os
import shutil
import subprocess
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from statistics import median

import msgspec

from infra.package import Package, compile_all

# What Lambda's Python brings along: boto3 and all that it needs.
RUNTIME = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
RUNS = 20
# Of the app alone; and of the app with the client that its first call makes, so that both have one.
BUDGET = 1.35
READY_BUDGET = 1.5
HANDLERS = {
    "bare": "import boto3\n\nclient = boto3.client('dynamodb')\n",
    "imported": "import app\n",
    "ready": "import app\nfrom chalicelib import wiring\n\nclient = wiring.house().port.connection.client\n",
}
TIMED = """
from time import process_time
began = process_time()
import {name}_handler
print(process_time() - began)
"""
COUNTED = """
import sys
calls = 0
def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")
sys.setprofile(count)
import {name}_handler
sys.setprofile(None)
print(calls)
"""


class Starts(msgspec.Struct, kw_only=True, frozen=True):
    """By handler: ``bare``; ``imported``, the packaged app; ``ready``, the app with its client.

    ``cpu``: the median in seconds, where starts were timed. ``calls``: of functions, Python's own among them.
    """

    calls: dict[str, int]
    cpu: dict[str, float] = {}

    def ratio(self, name: str) -> float:
        return self.calls[name] / self.calls["bare"]

    def ratio_of_time(self, name: str) -> float:
        return self.cpu[name] / self.cpu["bare"]


def lambda_python(built: Package, folder: Path) -> Path:
    """An interpreter of the package's version that has boto3 and nothing else, as Lambda's, in a new folder."""
    subprocess.run([built.python.path, "-m", "venv", "--without-pip", folder], check=True)
    modules = folder / "lib" / f"python{built.python.version}" / "site-packages"
    for name in RUNTIME:
        found = distribution(name)
        tops = {file.parts[0] for file in found.files or [] if not {"..", "__pycache__"} & set(file.parts[:1])}
        for source in (Path(str(found.locate_file(top))).absolute() for top in tops):
            if source.is_dir():
                # Folders of its own, for the code that is compiled for this version.
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, modules / source.name, copy_function=os.symlink, ignore=ignored)
            else:
                (modules / source.name).symlink_to(source)
    compile_all(modules, folder / "bin" / "python")
    return folder / "bin" / "python"


def counted(built: Package, python: Path, folder: Path) -> Starts:
    """Unpack the package into ``folder``, and count the calls of one start of each handler."""
    _unpack(built, python, folder)
    return Starts(calls={name: int(_start(COUNTED, python, folder, name)) for name in HANDLERS})


def timed(built: Package, python: Path, folder: Path) -> Starts:
    """The same, and each handler is started ``RUNS`` times besides, in turns."""
    found = counted(built, python, folder)
    runs = [{name: float(_start(TIMED, python, folder, name)) for name in HANDLERS} for _ in range(RUNS)]
    return msgspec.structs.replace(found, cpu={name: median(run[name] for run in runs) for name in HANDLERS})


def _unpack(built: Package, python: Path, folder: Path) -> None:
    with zipfile.ZipFile(built.archive) as archive:
        archive.extractall(folder)
    for name, text in HANDLERS.items():
        (folder / f"{name}_handler.py").write_text(text)
    compile_all(folder, python)


def _start(script: str, python: Path, folder: Path, name: str) -> str:
    environment = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, "-c", script.format(name=name)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
