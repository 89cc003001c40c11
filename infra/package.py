"""The package that CloudFormation deploys: ``python -m infra.package out [--arch arm64|x86_64]`` writes the template
(``sam.json``) and the zip of all functions (``deployment.zip``).

Chalice packs for the Python that runs it, so it runs in an environment of its own (``.venv-package``) with a Python
that Lambda has. What it packed is then made lighter and quicker: what the runtime ships is taken out, and every module
is compiled, since /var/task is read-only and a cold start would compile all of them again (230 ms).
"""

import argparse
import fcntl
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.generate import APP, ARCHITECTURE, STAGE, chalice_files, merged, text_of

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / ".venv-package"
LOCK = ROOT / "requirements-local.txt"
# Lambda's runtimes that the tests run on, the newest first.
VERSIONS = ("3.13", "3.12")
ARCHITECTURES = ("arm64", "x86_64")
TEMPLATE = "sam.json"
ARCHIVE = "deployment.zip"
# boto3 and all that it needs, which Lambda's Python has at versions of its own.
RUNTIME_HAS = frozenset({"boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"})
# Distributions whose name is not that of their module.
RENAMED = {"python_dateutil": "dateutil"}
# What an installer may leave behind and no function imports.
LEFTOVERS = frozenset({"_distutils_hack", "bin", "pip", "pkg_resources", "setuptools", "wheel"})
# What packed libraries ask for and no call of ours reaches: cffi makes modules that are made already (argon2), and
# requests is Stripe's own way to ask, where nobody hands it another.
UNREACHED = frozenset({"certifi", "cffi", "charset_normalizer", "idna", "pycparser", "requests"})
# The first moment that a zip can say: the same files make the same bytes, so what did not change is not deployed anew.
MOMENT = (1980, 1, 1, 0, 0, 0)
MODE = 0o644
# Level 9 takes three times as long and saves 1 in 170.
LEVEL = 6
# Where Lambda unpacks the zip: what a traceback says.
TASK = "/var/task"
BUILD_SECONDS = 600


class Missing(Exception):
    """There is no Python here that Lambda has."""


class Failed(Exception):
    """A program that was started failed; the message is what it said."""


@dataclass(frozen=True)
class Python:
    """An interpreter that Lambda has too. ``version`` as in ``3.13``."""

    path: Path
    version: str


@dataclass(frozen=True)
class Package:
    """What was built. ``unpacked``: bytes on Lambda's disk, of which it takes 250 MB."""

    template: Path
    archive: Path
    python: Python
    architecture: str
    unpacked: int
    seconds: float


# --- with which Python ------------------------------------------------------------------------------------------------


def find_python() -> Python:
    """The first that starts: ``python3.13`` or ``python3.12`` on the path, then those of pyenv. Raises Missing."""
    for version in VERSIONS:
        for candidate in _candidates(version):
            # A shim of pyenv stands on the path for versions that are not switched on, and then fails.
            asked = "import sys, ensurepip, venv; print('%d.%d' % sys.version_info[:2])"
            try:
                done = subprocess.run([candidate, "-c", asked], capture_output=True, text=True, timeout=30, check=False)
            except OSError:
                continue
            if done.returncode == 0 and done.stdout.strip() == version:
                return Python(Path(candidate), version)
    raise Missing(f"Packaging needs one of Python {', '.join(VERSIONS)} with venv: on the path or by pyenv.")


def here() -> str:
    """The architecture of this machine, as Lambda calls it: what is built for it can be tried out."""
    return "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


def _candidates(version: str) -> Iterator[str]:
    if found := shutil.which(f"python{version}"):
        yield found
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    installed = [folder for folder in versions.glob(f"{version}.*") if re.fullmatch(r"[\d.]+", folder.name)]
    for folder in sorted(installed, key=lambda path: int(path.name.rpartition(".")[2]), reverse=True):
        yield str(folder / "bin" / "python")


def environment(python: Python) -> Path:
    """The programs of ``.venv-package``, made anew where the lock or the Python is another."""
    programs, stamp = ENVIRONMENT / "bin", ENVIRONMENT / "made-of"
    made_of = f"{python.path}\n{LOCK.read_text()}"
    with _alone():
        if stamp.exists() and stamp.read_text() == made_of and (programs / "chalice").exists():
            return programs
        print(f"Setting up {ENVIRONMENT.name} with Python {python.version}: a minute, once.", file=sys.stderr)
        _run([python.path, "-m", "venv", "--clear", ENVIRONMENT], ROOT)
        # What of it is ever used compiles itself.
        quiet = ["-qq", "--no-input", "--disable-pip-version-check", "--no-compile"]
        _run([programs / "python", "-m", "pip", "install", *quiet, "-r", LOCK], ROOT)
        stamp.write_text(made_of)
    return programs


@contextmanager
def _alone() -> Iterator[None]:
    """Two that package at once must not both set up."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


# --- packing ----------------------------------------------------------------------------------------------------------


def build(out: Path, architecture: str = ARCHITECTURE) -> Package:
    """The template and the zip in ``out``. Raises Missing, Failed."""
    began = time.monotonic()
    python = find_python()
    programs = environment(python)
    with tempfile.TemporaryDirectory(prefix="backroom-package-") as folder:
        source, packed, files = (Path(folder) / name for name in ("source", "packed", "files"))
        _lay_out(source, architecture)
        form = ["--stage", STAGE, "--pkg-format", "cloudformation", "--template-format", "json"]
        _run([programs / "chalice", "package", *form, "--merge-template", source / "merge.json", packed], source)
        with zipfile.ZipFile(packed / ARCHIVE) as archive:
            archive.extractall(files, [name for name in archive.namelist() if belongs(name)])
        compile_all(files, programs / "python")
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(packed / TEMPLATE, out / TEMPLATE)
        unpacked = pack(files, out / ARCHIVE)
    return Package(out / TEMPLATE, out / ARCHIVE, python, architecture, unpacked, time.monotonic() - began)


def _lay_out(source: Path, architecture: str) -> None:
    """What Chalice packs, apart from what else lies around here; with the settings as the code says them."""
    shutil.copytree(ROOT / "chalicelib", source / "chalicelib", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for name in ("app.py", "requirements.txt"):
        shutil.copyfile(ROOT / name, source / name)
    (source / ".chalice").mkdir()
    for name, text in chalice_files(architecture).items():
        (source / ".chalice" / name).write_text(text)
    (source / "merge.json").write_text(text_of(merged()))


def belongs(name: str) -> bool:
    """Whether an entry of Chalice's zip stays: not what the runtime ships, installers leave, others compiled or nobody
    reaches."""
    top, *rest = name.split("/")
    module = top.partition("-")[0].partition(".")[0].lower()
    leftover = top.endswith((".data", ".pth")) or "__pycache__" in rest or name.endswith(".pyc")
    return not leftover and RENAMED.get(module, module) not in RUNTIME_HAS | LEFTOVERS | UNREACHED


def compile_all(files: Path, python: Path) -> None:
    """Beside every module its code: never checked against the source again, so no look at times on a cold start."""
    named: list[str | Path] = ["-s", files, "-p", TASK]
    _run([python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", *named, files], files)


def pack(files: Path, archive: Path) -> int:
    """The zip of the files, the same bytes for the same files. Returns their size."""
    unpacked = 0
    with zipfile.ZipFile(archive, "w") as packed:
        for name in sorted(path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(name, MOMENT)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, MODE << 16
            content = (files / name).read_bytes()
            unpacked += len(content)
            packed.writestr(entry, content, compresslevel=LEVEL)
    return unpacked


def _run(command: Sequence[str | Path], folder: Path) -> None:
    """Raises Failed with what the program said."""
    # Chalice asks for a region for the names of services only; a seed, so that compiled sets come out the same.
    kept = {"AWS_DEFAULT_REGION": "us-east-1", **os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        command, cwd=folder, env=kept, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def told(package: Package) -> str:
    """What was built, and how it is deployed."""
    functions = json.loads(package.template.read_text())["Resources"].values()
    number = sum(resource["Type"] == "AWS::Serverless::Function" for resource in functions)
    zipped = package.archive.stat().st_size
    return (
        f"{package.archive}: {zipped / 1e6:.1f} MB, unpacked {package.unpacked / 1e6:.1f} MB; {number} functions, "
        f"Python {package.python.version}, {package.architecture}; {package.seconds:.0f} s\n"
        "To deploy it, with a bucket of yours (all of it: docs/deploying.md):\n"
        f"  aws cloudformation package --template-file {package.template} --s3-bucket BUCKET --use-json \\\n"
        f"    --output-template-file {package.template.with_name('packaged.json')}\n"
        f"  aws cloudformation deploy --template-file {package.template.with_name('packaged.json')} \\\n"
        f"    --s3-bucket BUCKET --stack-name {APP} --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND \\\n"
        "    --parameter-overrides PublicUrl=https://shop.example.com"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.package", description="Packs what CloudFormation deploys.")
    parser.add_argument("out", type=Path, help="the folder that takes the template and the zip")
    parser.add_argument("--arch", choices=ARCHITECTURES, default=ARCHITECTURE, help="default %(default)s")
    asked = parser.parse_args(arguments)
    try:
        package = build(asked.out, asked.arch)
    except (Missing, Failed) as error:
        print(error, file=sys.stderr)
        return 1
    print(told(package))
    return 0


if __name__ == "__main__":
    sys.exit(main())
