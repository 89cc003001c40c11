"""A webhook receiver on loopback: keeps what it was sent, and verifies it as a merchant's developer would."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook as Verifier


class Receiver:
    """Answers 200 to everything. ``events``: the names and payloads that arrived, each verified when read."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *given: Any) -> None:  # noqa: A002  # the library's name
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.target}/hooks"

    def verified(self, secret: str) -> list[dict[str, Any]]:
        """Every event that arrived; raises where one is not signed with the secret."""
        verifier = Verifier(secret)
        events: list[dict[str, Any]] = []
        for headers, body in self.posts:
            verifier.verify(body, headers)
            events += json.loads(body)["events"]
        return events

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
