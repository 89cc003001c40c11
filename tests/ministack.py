"""Starts ministack, the strict stand-in for AWS, on this machine's loopback, and ends it by its process id.

It pins its own botocore and so lives in a virtual environment of its own: ``.venv-ministack``, or wherever the
variable MINISTACK says its program is.
"""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = "127.0.0.1"
START_SECONDS = 30
END_SECONDS = 10
LOOK_EVERY_SECONDS = 0.05
# Between asking for a free port and listening on it somebody else may take it.
PORTS_TRIED = 3


class Missing(Exception):
    """ministack is not there, or does not start."""


def program() -> Path:
    found = Path(__file__).parent.parent / ".venv-ministack" / "bin" / "ministack"
    if not found.exists():
        found = Path(os.environ.get("MINISTACK", found))
    if not found.exists():
        raise Missing(f"There is no {found}: run `make setup`, or set MINISTACK to the path of the program.")
    return found


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Its address, for as long as it runs. ``folder`` takes what it writes."""
    started = program()
    for _ in range(PORTS_TRIED):
        port = free_port()
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "BIND_HOST": HERE,
            "GATEWAY_PORT": str(port),
        }
        log = folder / f"ministack-{port}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [started], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            if _healthy(process, f"http://{HERE}:{port}"):
                yield f"http://{HERE}:{port}"
                return
        finally:
            _end(process)
    raise Missing(f"{started} did not start:\n{log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind((HERE, 0))
        return int(asked.getsockname()[1])


def _healthy(process: subprocess.Popen[bytes], address: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_ministack/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            time.sleep(LOOK_EVERY_SECONDS)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def nowhere_else() -> Iterator[None]:
    """Whatever the developer's own AWS settings are, nothing of them is used."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            environment.delenv(name)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            environment.setenv(name, os.devnull)
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        environment.setenv("AWS_ACCESS_KEY_ID", "nobody")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        yield
