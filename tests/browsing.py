"""A browser before the merchant's page: what it complains of, where it asks, and how accessible a screen is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(__file__).parent / "admin" / "vendor" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CONTRAST = "color-contrast"
# A page of the web may not ask this machine; where a test stands for a shop that is out there, it may.
LOOPBACK = "--disable-features=LocalNetworkAccessChecks"
# What a browser says of every answer that is no success, asked for or not; the tests look at those themselves.
FAILED = "Failed to load resource"
# Who signs in.
LOGIN = "owner"
NAME = "Olga Owner"
PASSWORD = "a kettle sings at noon"
# Go there, and come back when the page has heard of it.
GO = """route => new Promise(done => {
  if (decodeURI(location.hash) === decodeURI('#' + route)) { done(); return; }
  addEventListener('hashchange', () => requestAnimationFrame(() => requestAnimationFrame(done)), {once: true});
  location.hash = route;
})"""
# What a click sets off has begun (an address that it changes is heard of one task later, and drawn in the next frame),
# and nothing is being read or done.
AT_REST = """patience => new Promise((done, failed) => {
  const until = performance.now() + patience;
  const look = () => {
    if (document.querySelector('main h1') && !document.querySelector('[aria-busy=true], .boot')
      && ![...document.querySelectorAll('[role=status]')].some(one => one.textContent === 'Loading…')) done();
    else if (performance.now() > until) failed(new Error('no screen stands, or it still reads'));
    else requestAnimationFrame(look);
  };
  setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(look)));
})"""
# Milliseconds.
PATIENCE = 45_000
WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
# What a page has to tell of that no page should.
NOTHING: tuple[list[str], list[str], list[str]] = ([], [], [])


class Page:
    """One page of the browser, at the shop's own address. ``complaints``: errors of scripts, of the content policy and
    on the console; ``foreign``: what it asked of anybody else; ``dialogs``: boxes of the browser's that came up."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.dialogs: list[str] = []
        self._axe = page.context.new_cdp_session(page)
        page.set_default_timeout(PATIENCE)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: None if self._own(request.url) else self.foreign.append(request.url))
        page.on("dialog", self._meet)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning") and FAILED not in message.text:
            self.complaints.append(message.text)

    def _own(self, url: str) -> bool:
        return url.startswith((f"{self.url}/", "data:", "blob:"))

    def _meet(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def heard(self) -> tuple[list[str], list[str], list[str]]:
        return list(self.complaints), list(self.foreign), list(self.dialogs)

    def hush(self) -> None:
        """Forget what was heard."""
        for told in (self.complaints, self.foreign, self.dialogs):
            told.clear()

    def open(self, route: str) -> None:
        """Go to a screen by its address, and wait until it has read what it shows."""
        if self.page.url.startswith(f"{self.url}/admin/"):
            self.page.evaluate(GO, route)
        else:
            self.page.goto(f"{self.url}/admin/#{route}")
        self.settle()

    def settle(self) -> None:
        """Wait until what was clicked on is shown, whole."""
        self.page.evaluate(AT_REST, PATIENCE)

    def violations(self, *, colours: bool = True, rest: bool = True) -> list[str]:
        """What axe finds on the screen as it stands: rule and element; of its colours, and of all the rest."""
        if not self.page.evaluate("() => typeof axe !== 'undefined'"):
            # Through the debugger: the page's policy lets no script in but its own.
            self._axe.send("Runtime.evaluate", {"expression": AXE.read_text()})
        only = {"type": "tag", "values": RULES} if rest else {"type": "rule", "values": [CONTRAST]}
        asked = {"runOnly": only, "rules": {CONTRAST: {"enabled": colours}}, "resultTypes": ["violations"]}
        found = self.page.evaluate("asked => axe.run(document, asked)", asked)
        return [f"{v['id']}: {node['html'][:160]}" for v in found["violations"] for node in v["nodes"]]

    def wider_than_the_screen(self) -> int:
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


# How a screen is looked at: in which colours, how wide, and whether for its colours and for all the rest. In the dark
# the colours are others, and nothing else; on a phone all but the colours.
LIGHT = ("light", "light", WIDE, True, True)
DARK = ("dark", "dark", WIDE, True, False)
ON_A_PHONE = ("phone", "dark", PHONE, False, True)


def looked_at(page: Page) -> list[str]:
    """What is found on the screen in light, in dark and on a phone. Begun with how the last one was looked at last:
    to draw a page anew takes longer than to look at it."""
    found = []
    ways = (LIGHT, DARK, ON_A_PHONE)
    for how, scheme, size, colours, rest in ways if page.page.viewport_size == WIDE else reversed(ways):
        page.page.emulate_media(color_scheme=scheme)
        page.page.set_viewport_size(size)
        found += [f"{how}: {violation}" for violation in page.violations(colours=colours, rest=rest)]
        if size is PHONE and (wider := page.wider_than_the_screen()) > 0:
            found.append(f"{how}: {wider} px wider than the screen")
    return found


@contextmanager
def browser() -> Iterator[Any]:
    """Skips, and says so plainly, where the machine has no browser. One at a time: a process can drive no second."""
    if not CHROMIUM.exists():
        pytest.skip(f"NO PAGE IS TESTED IN A BROWSER: there is no {CHROMIUM} (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", LOOPBACK])
        yield started
        started.close()
