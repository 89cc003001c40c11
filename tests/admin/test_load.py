"""What the page is made of and what it weighs: static files, nothing inline, nothing from anywhere else."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chalicelib.handlers import files
from tests.browsing import Page

Visit = Callable[..., Page]
VENDOR = files.ADMIN / "vendor"
# preact 11.2.0, @preact/signals 2.11.4 (with signals-core 1.14.5) and htm 3.1.1, in one module by esbuild 0.28.2.
VENDORED = {
    "preact-htm.LICENSE.txt": "29fe260682b8b86beffea9b8ebeba4bde4997232b87e6eaaae1b74879605103b",
    "preact-htm.js": "f2b71b579d821923bc3bb1f0d678b498e5f02466d1b00ea0ac457720b93a7787",
}
PREACT = "11.2.0"
# axe-core 4.14.1, for these tests alone.
AXE = {
    "LICENSE": "af175b9d96ee93c21a036152e1b905b0b95304d4ae8c2c921c7609100ba8df7e",
    "axe.min.js": "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
}
# What a phone on a slow line waits for before it sees the shop: files, the API's answers and all headers, packed.
MOST_BYTES = 40 * 1024
# A picture of a screen, its colours counted down: who clones the repository takes them all.
MOST_SCREEN_BYTES = 60_000
OWN = sorted(path for path in files.ADMIN.iterdir() if path.suffix in (".js", ".css", ".html", ".svg"))


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.is_file()}


def test_what_others_made_is_what_they_published() -> None:
    assert digests(VENDOR) == VENDORED
    assert digests(Path(__file__).parent / "vendor") == AXE


def test_the_version_stands_in_the_address_of_what_browsers_keep_for_ever() -> None:
    asked = re.findall(r"vendor/[^'\"]+", "".join(path.read_text() for path in OWN))
    assert set(asked) == {f"vendor/preact-htm.js?{PREACT}"}


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_file_has_anything_inline_or_an_address_that_is_not_relative(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=\"|javascript:|innerHTML|dangerously", text)
    assert not re.search(r"""(src|href)=["']/|fetch\(["'`]/|import\(["']/|from ["']/""", text)
    assert not re.search(r"https?://(?!www\.w3\.org/)[a-z]", text)


def test_the_first_load_is_forty_kilobytes_at_most(visit: Visit) -> None:
    page = visit("/", nobody=True)
    assert weighed(page, "/") <= MOST_BYTES


def test_the_first_load_of_who_is_signed_in_is_forty_kilobytes_at_most(visit: Visit) -> None:
    weight = weighed(visit("/"), "/")
    print(f"first load of home: {weight} bytes over the wire")
    assert weight <= MOST_BYTES


def weighed(page: Page, route: str) -> int:
    """Bytes over the wire until the screen stands, with nothing kept from before."""
    session = page.page.context.new_cdp_session(page.page)
    got: list[float] = []
    session.on("Network.loadingFinished", lambda event: got.append(event["encodedDataLength"]))
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.page.goto("about:blank")
    page.open(route)
    session.detach()
    return int(sum(got))


def test_a_screen_is_loaded_when_somebody_goes_there(visit: Visit) -> None:
    page = visit("/")
    asked: list[Any] = []
    page.page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.open("/reports")
    assert "reports.js" in asked
    assert "app.js" not in asked


def test_the_screens_of_the_docs_are_small() -> None:
    screens = list((Path(__file__).parent.parent.parent / "docs" / "screens").iterdir())
    assert screens
    assert {path.name: path.stat().st_size for path in screens if path.stat().st_size > MOST_SCREEN_BYTES} == {}
