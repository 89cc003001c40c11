"""What is packed once for all tests of this room, and a Python that has what Lambda's has."""

import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution
from pathlib import Path

import pytest

from infra import package
from infra.package import ARCHITECTURES, Package

# What Lambda's Python brings along: boto3 and all that it needs.
RUNTIME = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
# What this machine can run.
HERE = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    """The package for each architecture."""
    try:
        package.environment(package.find_python())
    except package.Missing as missing:
        pytest.skip(f"NOTHING OF THE PACKAGE IS TESTED. {missing}")
    out = tmp_path_factory.mktemp("packages")
    with ThreadPoolExecutor(len(ARCHITECTURES)) as pool:
        built = pool.map(lambda architecture: package.build(out / architecture, architecture), ARCHITECTURES)
    return dict(zip(ARCHITECTURES, built, strict=True))


@pytest.fixture(scope="session")
def runs_here(packages: dict[str, Package]) -> Package:
    """The package that this machine can run."""
    return packages[HERE]


@pytest.fixture(scope="session")
def lambda_python(runs_here: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of the package's version that has boto3 and nothing else, as Lambda's."""
    folder = tmp_path_factory.mktemp("lambda") / "python"
    subprocess.run([runs_here.python.path, "-m", "venv", "--without-pip", folder], check=True)
    modules = folder / "lib" / f"python{runs_here.python.version}" / "site-packages"
    for name in RUNTIME:
        found = distribution(name)
        tops = {file.parts[0] for file in found.files or [] if not {"..", "__pycache__"} & set(file.parts[:1])}
        for top in tops:
            (modules / top).symlink_to(Path(str(found.locate_file(top))).absolute())
    return folder / "bin" / "python"
