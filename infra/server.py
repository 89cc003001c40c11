"""The HTTP door of the machine's own shop: what API Gateway does on AWS, on one loopback port.

A request becomes the event that API Gateway (REST, Lambda proxy) would make of it, and app.py's own function answers.
Parts of the path arrive as the client encoded them, as they do on AWS; ``handlers.http`` decodes them, once. The query
is decoded here, as it is there.
"""

import base64
import binascii
import gzip
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from socketserver import TCPServer
from typing import Any, NamedTuple

from chalice.app import Chalice
from chalice.local import LambdaEventConverter, RouteMatcher

from chalicelib.domain.errors import ShopError
from chalicelib.domain.transfers import MAXIMUM_FILE_BYTES
from chalicelib.gateways.files import FILES_PATH, EmbeddedFiles
from chalicelib.handlers.http import MAXIMUM_BODY_BYTES, STATUSES
from infra.engine import Invocation
from infra.generate import PACKED_BYTES

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
FILE_METHODS = ("GET", "HEAD", "POST", "OPTIONS")
# A connection that says nothing for so long is closed: above the 60 s for which common clients keep theirs.
IDLE_SECONDS = 75
# Connections at once; each has its thread.
MOST_CONNECTIONS = 200
# A client that was refused in the middle of a large body reads the answer only after it has sent the rest; so much is
# taken from it, and for so long.
LINGER_BYTES = 16 * 1024 * 1024
LINGER_SECONDS = 2.0
# At the end, requests in hand may take so long. An unfinished one loses nothing: everything is kept in the database.
LAST_REQUESTS_SECONDS = 10.0
# A form says a little beside its file.
MAXIMUM_FORM_BYTES = MAXIMUM_FILE_BYTES + 64 * 1024
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"


class Reply(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


# Answers a request itself, or None where it is the app's.
Page = Callable[[str, Mapping[str, str]], Reply | None]


def refusal(status: int, message: str, *headers: tuple[str, str]) -> Reply:
    """An error in the contract's envelope."""
    error = {"developer_message": message, "user_message": message, "error_code": str(status)}
    body = json.dumps({"error": error, "metadata": {}, "problems": []}).encode()
    named = [
        ("Content-Type", "application/json; charset=UTF-8"),
        ("X-UltraCart-Request-Id", token_hex(16).upper()),
        ("UC-REST-ERROR", "".join(c if " " <= c <= "~" else "?" for c in message)),
        ("Cache-Control", "no-store"),
        *headers,
    ]
    return Reply(status, named, body)


# --- what S3 does -----------------------------------------------------------------------------------------------------


def file_reply(files: EmbeddedFiles, method: str, target: str, content_type: str, body: bytes) -> Reply:
    """What is behind the links of private files. Who reads an upload's answer in a browser stands on another page,
    as with S3."""
    token = target.partition("?")[0].removeprefix(FILES_PATH)
    origin = ("Access-Control-Allow-Origin", "*")
    try:
        if method == "POST":
            files.take(token, content_type, body)
            return Reply(HTTPStatus.NO_CONTENT, [origin], b"")
        if method == "OPTIONS":
            # A browser asks first where a page wants to know how far its upload is.
            return Reply(HTTPStatus.NO_CONTENT, [origin, ("Access-Control-Allow-Methods", "POST")], b"")
        served = files.serve(token)
        headers = [
            ("Content-Type", served.content_type),
            ("Content-Disposition", served.disposition),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", "sandbox; default-src 'none'"),
            ("Cache-Control", "no-store"),
        ]
        return Reply(HTTPStatus.OK, headers, b"".join(served.pieces))
    except ShopError as error:
        return refusal(STATUSES.get(type(error), 400), str(error), origin)


# --- what API Gateway does --------------------------------------------------------------------------------------------


class _ManyThreads(Chalice):
    """Chalice keeps the request in hand, and its context, as attributes of the app. Here each thread has its own."""

    _here = threading.local()

    @property
    def current_request(self) -> Any:
        return self._here.current_request

    @current_request.setter
    def current_request(self, value: Any) -> None:
        self._here.current_request = value

    @property
    def lambda_context(self) -> Any:
        return self._here.lambda_context

    @lambda_context.setter
    def lambda_context(self, value: Any) -> None:
        self._here.lambda_context = value


def packed(reply: Reply, headers: Mapping[str, str]) -> Reply:
    """The reply as a client gets it that takes packed ones (``minimum_compression_size`` of the stage on AWS)."""
    taken = [name.partition(";")[0].strip() for name in headers.get("accept-encoding", "").split(",")]
    if "gzip" not in taken or len(reply.body) < PACKED_BYTES:
        return reply
    headers_out = [*reply.headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    return Reply(reply.status, headers_out, gzip.compress(reply.body, compresslevel=6, mtime=0))


class Gateway:
    """Turns requests into events and answers back into replies."""

    def __init__(self, app: Chalice) -> None:
        app.__class__ = _ManyThreads
        self._app = app
        # Its routes are sorted, so a fixed part of a path wins over a {variable} one.
        self._converter = LambdaEventConverter(RouteMatcher(list(app.routes)), [])

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes, source: str) -> Reply:
        event = self._event(method, target, headers, body, source)
        if event is None:
            return refusal(HTTPStatus.NOT_FOUND, f"There is nothing at {target.partition('?')[0][:200]}.")
        answer: dict[str, Any] = self._app(event, Invocation())
        return _reply(answer)

    def _event(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, source: str
    ) -> dict[str, Any] | None:
        """None where no route leads."""
        path, mark, query = target.partition("?")
        # A semicolon belongs to its part of the path; the matcher would cut it off.
        target = path.replace(";", "%3B") + mark + query
        try:
            event: dict[str, Any] = self._converter.create_lambda_event(method, target, dict(headers), _text(body))
        except ValueError:
            return None
        asked: dict[str, Any] = event["requestContext"]
        asked |= {"accountId": "000000000000", "apiId": "local", "stage": "local", "requestId": token_hex(16)}
        asked["identity"].update(sourceIp=source, userAgent=headers.get("user-agent"))
        event.update(
            resource=asked["resourcePath"],
            path=path,
            httpMethod=method,
            multiValueHeaders={name: [value] for name, value in event["headers"].items()},
            isBase64Encoded=False,
        )
        return event


def _text(body: bytes) -> Any:
    """Functions get text. What is none stays bytes, and the door says so."""
    if not body:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _reply(answer: dict[str, Any]) -> Reply:
    headers = [(name, str(value)) for name, value in answer["headers"].items()]
    headers += [(name, str(value)) for name, values in answer["multiValueHeaders"].items() for value in values]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    body = answer["body"]
    if isinstance(body, bytes):
        # On AWS the answer would be none at all.
        log.error("a function answered bytes that are not base64")
        return refusal(HTTPStatus.BAD_GATEWAY, "The function's answer is not one that API Gateway takes.")
    if answer.get("isBase64Encoded"):
        try:
            return Reply(answer["statusCode"], headers, base64.b64decode(body, validate=True))
        except binascii.Error:
            return refusal(HTTPStatus.BAD_GATEWAY, "The function's answer is not the base64 that it says it is.")
    return Reply(answer["statusCode"], headers, (body or "").encode())


# --- HTTP -------------------------------------------------------------------------------------------------------------


class Server:
    """Serves pages of its own, and everything else from the app. Raises OSError where the port cannot be had."""

    def __init__(self, app: Chalice, port: int) -> None:
        self.page: Page = lambda target, headers: None
        self.files: EmbeddedFiles | None = None
        self._gateway = Gateway(app)
        self._condition = threading.Condition()
        self._in_hand = 0
        self._listener = _Listener((HOST, port), self)
        self.port: int = self._listener.server_address[1]
        self.url = f"http://{HOST}:{self.port}"

    def serve(self) -> None:
        """Until ``stop`` is called, from another thread."""
        self._listener.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """Take no more connections, and let requests in hand finish."""
        self._listener.shutdown()
        with self._condition:
            self._condition.wait_for(lambda: not self._in_hand, timeout=LAST_REQUESTS_SECONDS)
        self._listener.server_close()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes, source: str) -> Reply:
        with self._counted():
            try:
                if self.files is not None and target.startswith(FILES_PATH) and method in FILE_METHODS:
                    return file_reply(self.files, method, target, headers.get("content-type", ""), body)
                page = self.page(target, headers) if method in ("GET", "HEAD") else None
                return page or self._gateway.answer(method, target, headers, body, source)
            except Exception:
                log.exception("%s %s failed", method, target[:200])
                return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; the log says what.")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._condition:
            self._in_hand += 1
        try:
            yield
        finally:
            with self._condition:
                self._in_hand -= 1
                self._condition.notify_all()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    # Two that listen on one port would share its connections between them, each with a shop of its own.
    allow_reuse_port = False

    def __init__(self, address: tuple[str, int], server: Server) -> None:
        self.shop_server = server
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # The inherited one asks the machine's resolver for a name, which may take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            request.sendall(BUSY)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no event."""
        log.debug("a connection ended: %s", sys.exc_info()[1])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # Headers and body go out in one packet: in two, the client's delayed acknowledgement costs 40 ms a request.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Listener

    def version_string(self) -> str:
        return "Backroom"

    def __getattr__(self, name: str) -> Any:
        """``do_TRACE`` and whatever else a client may call a method."""
        if name.startswith("do_"):
            return self._serve if name[3:] in METHODS else self._not_allowed
        raise AttributeError(name)

    def _serve(self) -> None:
        length, refused = self._length()
        if refused:
            self._refuse(refused)
            return
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        source = str(self.client_address[0])
        reply = self.server.shop_server.answer(self.command, self.path, headers, body, source)
        self._send(packed(reply, headers))

    def _not_allowed(self) -> None:
        allowed = ("Allow", ", ".join(METHODS))
        self._refuse(refusal(HTTPStatus.METHOD_NOT_ALLOWED, "This method is not known here.", allowed))

    def _length(self) -> tuple[int, Reply | None]:
        """How long the body is, or why it is not taken."""
        if "transfer-encoding" in self.headers:
            return 0, refusal(HTTPStatus.LENGTH_REQUIRED, "The body must come with its Content-Length.")
        sizes = set(self.headers.get_all("content-length", []))
        if len(sizes) > 1 or not all(size.isascii() and size.isdigit() for size in sizes):
            return 0, refusal(HTTPStatus.BAD_REQUEST, "The Content-Length is no number.")
        # More digits than these are more bytes than anybody has.
        length = int(sizes.pop()[:20]) if sizes else 0
        most = MAXIMUM_FORM_BYTES if self.path.startswith(FILES_PATH) else MAXIMUM_BODY_BYTES
        if length > most:
            message = f"The body may have {most} bytes at most."
            return 0, refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        return length, None

    def handle_expect_100(self) -> bool:
        refused = self._length()[1]
        if refused:
            self._refuse(refused)
            return False
        self.send_response_only(HTTPStatus.CONTINUE)
        self.end_headers()
        self.wfile.flush()
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the parser refuses: a line too long, too many headers, no HTTP at all."""
        self._refuse(refusal(int(code), f"The request was not understood: {HTTPStatus(code).phrase}."))

    def _refuse(self, reply: Reply) -> None:
        """Answer, take what still comes, and close."""
        self.close_connection = True
        self._send(reply)
        self.wfile.flush()
        left, end = LINGER_BYTES, time.monotonic() + LINGER_SECONDS
        try:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_SECONDS)
            while left > 0 and time.monotonic() < end and (some := self.connection.recv(64 * 1024)):
                left -= len(some)
        except OSError:
            return

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        if reply.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD" and reply.status != HTTPStatus.NO_CONTENT:
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the inherited name
        log.debug(format, *args)
