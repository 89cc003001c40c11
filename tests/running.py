"""The embedded engine in a process of its own, as `make run` starts it, but on a free port and with an empty shop."""

import json
import os
import re
import select
import signal
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent
READY = re.compile(r"ready http://127\.0\.0\.1:(\d+) merchant=DEMO key=(\S+)\n")
# How long a start, an answer or an end may take on a slow machine; each is waited for, never slept through.
PATIENCE = 60


class Running:
    """One engine. ``errors`` is the log of its standard error."""

    def __init__(self, data: Path, *options: str, outbound_allow: str = "") -> None:
        command = [sys.executable, "-m", "infra.local", "--port", "0", "--data", str(data), "--empty", *options]
        self.data = data
        self.errors = (data.parent / "errors.log").open("a")
        environment = {**os.environ, "OUTBOUND_ALLOW": outbound_allow}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )
        line = self._line()
        found = READY.fullmatch(line)
        assert found is not None, f"{line!r} is no ready line; see {self.errors.name}"
        self.port, self.key = int(found[1]), found[2]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def browser_key(self) -> str:
        return str(json.loads((self.data / "keys.json").read_text())["browser_key"])

    def _line(self) -> str:
        assert self.process.stdout is not None
        came, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        return self.process.stdout.readline() if came else ""

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {"x-ultracart-simple-key": key or self.key, "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        return response.status, json.loads(text) if text else None

    def card_token(self, number: str) -> str:
        """A shopper's card, as a storefront's page hands it over."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        card = {"card_number": number, "card_expiration_month": 12, "card_expiration_year": 2040}
        headers = {"x-ultracart-browser-key": self.browser_key, "Content-Type": "application/json"}
        try:
            connection.request("POST", "/storefront/card_tokens", json.dumps(card), headers)
            return str(json.loads(connection.getresponse().read())["card_token"])
        finally:
            connection.close()

    def upload(self, url: str, text: str) -> int:
        """A file, as a browser posts it by a form to a link of the engine's. Returns the status."""
        head = '--xyz\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\n'
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            headers = {"Content-Type": "multipart/form-data; boundary=xyz"}
            connection.request("POST", urlsplit(url).path, f"{head}{text}\r\n--xyz--\r\n".encode(), headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Returns the exit code and what else stood on stdout."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=PATIENCE)
        self.errors.close()
        return self.process.returncode, rest


def attached(shop: Running, oid: int, name: str, description: str) -> None:
    """A file of some bytes at a customer."""
    path = f"/rest/v2/customer/customers/{oid}/attachments"
    place = shop.ask("POST", path)[1]["attachment_upload"]
    assert shop.upload(place["upload"]["url"], "x") == 204
    body = {"file_name": name, "mime_type": "text/plain", "description": description}
    status, answer = shop.ask("PUT", f"{path}/{place['customer_profile_attachment_oid']}", body)
    assert status == 200, answer
