"""The HTTP door of the machine's own shop: what reaches a view, and what is refused before it."""

import gzip
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from chalice.app import Chalice, Response

from chalicelib.gateways.files import EmbeddedFiles
from chalicelib.handlers.http import MAXIMUM_BODY_BYTES
from infra.server import MAXIMUM_FORM_BYTES, MOST_CONNECTIONS, Reply, Server, packed

JSON = {"Content-Type": "application/json; charset=utf-8"}


def told(app: Chalice, **more: Any) -> dict[str, Any]:
    request = app.current_request
    assert request is not None
    return {
        "method": request.method,
        "query": dict(request.query_params or {}),
        "body": bytes(request.raw_body).decode(),
        "source": request.context["identity"]["sourceIp"],
        "request_id": request.context["requestId"],
        "left": app.lambda_context.get_remaining_time_in_millis(),
        **more,
    }


def small_app() -> Chalice:
    app = Chalice("small")
    app.api.binary_types = []
    kinds = ["application/json"]

    @app.route("/things/{name}", methods=["GET", "POST", "PUT", "DELETE"], content_types=kinds)
    def thing(name: str) -> dict[str, Any]:
        return told(app, name=name)

    @app.route("/things/reasons")
    def reasons() -> dict[str, Any]:
        return told(app, name=None)

    @app.route("/things/{name}/parts/{part}")
    def part(name: str, part: str) -> dict[str, Any]:
        return told(app, name=name, part=part)

    @app.route("/things", methods=["DELETE"], content_types=kinds)
    def remove() -> dict[str, Any]:
        return told(app)

    @app.route("/nothing")
    def nothing() -> Response:
        return Response(body="", status_code=204, headers={"X-Mark": "kept"})

    @app.route("/many")
    def many() -> Response:
        return Response(body="{}", headers={"Set-Cookie": ["a=1", "b=2"], "Content-Type": "application/json"})

    @app.route("/bytes")
    def raw() -> Response:
        return Response(body=b"\x00", headers={"Content-Type": "text/plain"})

    @app.route("/waits")
    def waits() -> dict[str, Any]:
        barrier.wait(timeout=20)
        return told(app)

    return app


# Both requests of the test are in their views before either goes on.
barrier = threading.Barrier(2)


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection, kept open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        self.connection.request(method, path, body, headers or {})
        response = self.connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    def raw(self, text: bytes) -> bytes:
        """What comes back for these very bytes, until the server closes."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=20) as connection:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            got = b""
            while some := connection.recv(65536):
                got += some
            return got


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(small_app(), 0)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    yield server
    server.stop()
    thread.join(10)


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    client = Client(server.port)
    yield client
    client.connection.close()


# --- what reaches a view ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["a%2Bb%40c.com", "50%25off", "%2F", "a%3Bb", "gr%C3%BCn", "a+b", "%E2%82%AC%20x"])
def test_parts_of_the_path_arrive_as_they_were_encoded_as_on_aws(client: Client, part: str) -> None:
    assert client.ask("GET", f"/things/{part}").json()["name"] == part


def test_a_semicolon_belongs_to_its_part(client: Client) -> None:
    assert client.ask("GET", "/things/a;b=1").json()["name"] == "a%3Bb=1"


def test_the_query_is_decoded_once(client: Client) -> None:
    query = client.ask("GET", "/things/x?flag=True&a=1+2&b=%2B&c=&d=50%2525").json()["query"]
    assert query == {"flag": "True", "a": "1 2", "b": "+", "c": "", "d": "50%25"}


def test_a_fixed_part_wins_over_a_variable_one(client: Client) -> None:
    assert client.ask("GET", "/things/reasons").json()["name"] is None
    assert client.ask("GET", "/things/reasons/parts/7").json()["name"] == "reasons"


def test_a_slash_at_the_end_changes_nothing(client: Client) -> None:
    assert client.ask("GET", "/things/x/").json()["name"] == "x"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_every_method_may_carry_a_body(client: Client, method: str) -> None:
    body = json.dumps({"webhook_url": "https://example.com/grün"}, ensure_ascii=False).encode()
    answer = client.ask(method, "/things/x", body, JSON)
    assert (answer.json()["method"], answer.json()["body"]) == (method, body.decode())
    assert client.ask("DELETE", "/things", body, JSON).json()["body"] == body.decode()


def test_a_view_learns_who_asks_and_how_long_it_may_take(client: Client) -> None:
    first, second = (client.ask("GET", "/things/x").json() for _ in range(2))
    assert first["source"] == "127.0.0.1"
    assert 50_000 < first["left"] <= 60_000
    assert first["request_id"] != second["request_id"]


def test_two_requests_at_once_each_get_their_own_answer(server: Server) -> None:
    names: dict[str, str] = {}

    def ask(name: str) -> None:
        client = Client(server.port)
        names[name] = client.ask("GET", f"/waits?name={name}").json()["query"]["name"]
        client.connection.close()

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert names == {"one": "one", "two": "two"}


# --- what comes back --------------------------------------------------------------------------------------------------


def test_a_connection_is_kept_for_the_next_request(client: Client) -> None:
    client.ask("GET", "/things/x")
    kept = client.connection.sock
    assert kept is not None
    for _ in range(20):
        assert client.ask("GET", "/things/x").status == 200
    assert client.connection.sock is kept


def test_an_answer_goes_out_in_one_packet(server: Server) -> None:
    """Headers and body in two would wait for the client's delayed acknowledgement, 40 ms each time."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for _ in range(3):
            connection.sendall(b"GET /things/x HTTP/1.1\r\nHost: here\r\n\r\n")
            got = connection.recv(65536)
            head, _, body = got.partition(b"\r\n\r\n")
            length = next(line for line in head.splitlines() if line.lower().startswith(b"content-length"))
            assert len(body) == int(length.split(b":")[1])


def test_no_content_has_no_body_and_no_length(client: Client) -> None:
    answer = client.ask("GET", "/nothing")
    assert (answer.status, answer.body, answer.headers["X-Mark"]) == (204, b"", "kept")
    assert "Content-Length" not in answer.headers
    assert client.ask("GET", "/things/x").status == 200


def test_a_header_may_come_twice(client: Client) -> None:
    assert client.ask("GET", "/many").headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_head_shows_no_body(client: Client) -> None:
    answer = client.ask("HEAD", "/things/x")
    assert answer.body == b""
    assert client.ask("GET", "/things/x").status == 200


def test_an_answer_that_aws_would_not_take_is_none_here_either(client: Client) -> None:
    assert client.ask("GET", "/bytes").status == 502


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_path_that_leads_nowhere_is_answered_in_the_contracts_words(client: Client) -> None:
    answer = client.ask("GET", "/nowhere?x=1")
    assert answer.status == 404
    assert answer.json()["error"] == {
        "developer_message": "There is nothing at /nowhere.",
        "user_message": "There is nothing at /nowhere.",
        "error_code": "404",
    }
    assert answer.headers["UC-REST-ERROR"] == "There is nothing at /nowhere."
    assert len(answer.headers["X-UltraCart-Request-Id"]) == 32


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "GETS", "x"])
def test_a_method_that_nobody_knows_is_not_allowed(client: Client, method: str) -> None:
    answer = client.ask(method, "/things/x")
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]


def test_a_method_that_the_path_does_not_know_is_not_allowed(client: Client) -> None:
    answer = client.ask("PATCH", "/things/x", "{}", JSON)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST, PUT, DELETE")


def test_a_body_over_the_limit_is_refused_before_it_is_read(client: Client) -> None:
    largest = client.ask("POST", "/things/x", b"x" * MAXIMUM_BODY_BYTES, JSON)
    assert largest.status == 200
    answer = client.ask("POST", "/things/x", b"x" * (MAXIMUM_BODY_BYTES + 1), JSON)
    assert (answer.status, answer.json()["error"]["error_code"]) == (413, "413")
    client.connection.close()
    assert client.ask("GET", "/things/x").status == 200
    only_told = b"POST /things/x HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % 10**30
    assert client.raw(only_told).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /things/x HTTP/1.1\r\nHost: h\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST /things/x HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /things/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
        (b"POST /things/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 70_000 + b"\r\n\r\n", 431),
        (b"nonsense\r\n\r\n", 400),
        (b"POST /things/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n", 413),
    ],
)
def test_what_is_no_proper_request_is_refused_and_the_connection_closed(
    client: Client, head: bytes, status: int
) -> None:
    got = client.raw(head)
    assert b"HTTP/1.1 %d " % status in got[:20] or b'"error_code": "%d"' % status in got
    assert client.ask("GET", "/things/x").status == 200


def test_who_asks_first_whether_to_go_on_is_told_so(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(
            b"POST /things/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
            b"Content-Type: application/json\r\n\r\n"
        )
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_ends_early_is_no_request(client: Client) -> None:
    assert client.raw(b"POST /things/x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{}") == b""


def test_a_port_is_had_once(server: Server) -> None:
    with pytest.raises(OSError, match="in use"):
        Server(small_app(), server.port)


def test_more_connections_than_there_is_room_for_are_sent_away() -> None:
    server = Server(small_app(), 0)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    held = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(MOST_CONNECTIONS)]
    try:
        for connection in held:
            connection.sendall(b"GET /things/x HTTP/1.1\r\nHost: h\r\n\r\n")
        assert all(connection.recv(65536).startswith(b"HTTP/1.1 200 ") for connection in held)
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as late:
            assert late.recv(65536).startswith(b"HTTP/1.1 503 ")
    finally:
        for connection in held:
            connection.close()
        server.stop()
        thread.join(10)


# --- pages ------------------------------------------------------------------------------------------------------------


def test_a_page_of_its_own_comes_before_the_app() -> None:
    server = Server(small_app(), 0)
    server.page = lambda target, headers: (
        Reply(200, [("Content-Type", "text/plain")], headers["host"].encode()) if target == "/things/page" else None
    )
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    client = Client(server.port)
    assert client.ask("GET", "/things/page").body == f"127.0.0.1:{server.port}".encode()
    assert client.ask("POST", "/things/page", "{}", JSON).json()["name"] == "page"
    assert client.ask("GET", "/things/other").json()["name"] == "other"
    client.connection.close()
    server.stop()
    thread.join(10)


# --- private files ----------------------------------------------------------------------------------------------------

NAME = "passing/uploads/word-1"


def test_a_file_is_posted_to_its_link_and_had_by_another(server: Server, client: Client) -> None:
    files = EmbeddedFiles(":memory:", server.url, lambda: 0.0)
    server.files, demo = files, files.of("DEMO")
    data = b"email\r\n" + b"x" * (2 * MAXIMUM_BODY_BYTES)
    part = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    form = {"Content-Type": "multipart/form-data; boundary=xyz"}
    path = demo.upload(NAME, len(data)).url.removeprefix(server.url)
    asked = client.ask("OPTIONS", path)
    assert (asked.status, asked.headers["Access-Control-Allow-Methods"]) == (204, "POST"), "as a browser asks first"
    posted = client.ask("POST", path, part + data + b"\r\n--xyz--\r\n", form)
    assert (posted.status, posted.headers["Access-Control-Allow-Origin"]) == (204, "*")
    link = demo.link(NAME, "a.csv", "text/csv", 60).removeprefix(server.url)
    got = client.ask("GET", link)
    assert (got.status, got.body) == (200, data)
    assert got.headers["Content-Disposition"].startswith("attachment;")
    assert (got.headers["Content-Type"], got.headers["X-Content-Type-Options"]) == ("text/csv", "nosniff")
    assert client.ask("HEAD", link).body == b""
    for method, target in (("GET", path), ("POST", link), ("GET", "/files/"), ("GET", "/files/../etc/passwd")):
        refused = client.ask(method, target, b"" if method == "POST" else None, form)
        assert (refused.status, refused.json()["error"]["error_code"]) == (401, "401"), target
    assert client.ask("PUT", path, b"x").status == 404


def test_a_form_that_is_larger_than_any_file_is_refused_before_it_is_read(server: Server, client: Client) -> None:
    server.files = EmbeddedFiles(":memory:", server.url, lambda: 0.0)
    told = client.raw(b"POST /files/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MAXIMUM_FORM_BYTES + 1))
    assert told.startswith(b"HTTP/1.1 413")


def test_a_long_answer_is_packed_where_the_client_takes_that() -> None:
    long = Reply(200, [("ETag", '"1"')], b"tea " * 1000)
    plain = packed(long, {})
    assert plain == long
    for takes in ("gzip", "br, gzip;q=0.8"):
        small = packed(long, {"accept-encoding": takes})
        assert gzip.decompress(small.body) == long.body
        assert ("Content-Encoding", "gzip") in small.headers
    assert packed(long, {"accept-encoding": "identity"}) == long
    assert packed(Reply(200, [], b"tea"), {"accept-encoding": "gzip"}).body == b"tea", "it would get longer"
