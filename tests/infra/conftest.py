"""What is packed once for all tests of this room, and a Python that has what Lambda's has."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra import package
from infra.package import ARCHITECTURES, Package
from tests.bench import cold


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
    return packages[package.here()]


@pytest.fixture(scope="session")
def lambda_python(runs_here: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of the package's version that has boto3 and nothing else, as Lambda's."""
    return cold.lambda_python(runs_here, tmp_path_factory.mktemp("lambda") / "python")
