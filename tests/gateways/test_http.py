"""The guarded door: which addresses it never connects to, and that no receiver can hold it, fool it or fill it."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from chalicelib.domain.webhooks import MAXIMUM_ANSWER_BYTES, Answer, secret_text
from chalicelib.gateways.http import GuardedHttp, is_public, strict_tls

PUBLIC = ["1.1.1.1", "8.8.8.8", "52.94.236.248", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:830::200e"]
FORBIDDEN = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.1.2.3",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "2620:4f:8000::1",
    "3ffe::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff::1",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%eth0",
    "fec0::1",
    "ff00::1",
    "ff02::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    # What a resolver would never say, and a parser might read in its own way.
    "",
    "localhost",
    "127.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "2130706433",
    "008.8.8.8",
    "8.8.8.8 ",
    "8.8.8.8/32",
    "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",
    "\uff18.8.8.8",
]
URL = "https://shop.example.com/hook"
NO_HEADERS: dict[str, str] = {}
# Long enough for a loaded machine, short enough for a suite.
DEADLINE = 0.5
# Far from both a deadline that works and a receiver that never ends.
SOON = 8


# --- receivers -------------------------------------------------------------------------------------------------------

Script = Callable[[socket.socket, threading.Event], None]


class Receiver:
    """A server on loopback that plays a script to each connection and remembers what it was sent."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.over = threading.Event()
        self.connections = 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.target = f"127.0.0.1:{self.listening.getsockname()[1]}"
        self.port = int(self.listening.getsockname()[1])
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._play, args=(connection,), daemon=True).start()

    def _play(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(10)
            try:
                self.script(connection, self.over)
            except OSError:
                return  # the guard hung up

    def close(self) -> None:
        self.over.set()
        self.listening.close()


@contextmanager
def serving(script: Script) -> Iterator[Receiver]:
    receiver = Receiver(script)
    try:
        yield receiver
    finally:
        receiver.close()


def request_of(connection: socket.socket) -> bytes:
    """All of the request, headers and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def saying(reply: bytes) -> Script:
    def script(connection: socket.socket, over: threading.Event) -> None:
        request_of(connection)
        connection.sendall(reply)

    return script


def dripping(first: bytes, drop: bytes) -> Script:
    """One piece every few milliseconds, for ever: each well within any time-out between two bytes."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        request_of(connection)
        connection.sendall(first)
        while not over.wait(0.02):
            connection.sendall(drop)

    return script


def pouring(first: bytes, piece: bytes) -> Script:
    """As fast as it goes, for ever."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        request_of(connection)
        connection.sendall(first)
        while not over.is_set():
            connection.sendall(piece)

    return script


def silent(connection: socket.socket, over: threading.Event) -> None:
    over.wait(10)


def ok(body: bytes = b"ok", head: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), head, body)


def posted(script: Script, deadline: float = 5.0, body: bytes = b"{}") -> Answer:
    with serving(script) as receiver:
        door = GuardedHttp(allow=frozenset({receiver.target}), deadline_seconds=deadline)
        return door.post(f"http://{receiver.target}/hook?x=1", body, {"X-Own": "1"})


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_good_receiver_gets_the_request_whole_and_its_answer_comes_back() -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket, over: threading.Event) -> None:
        seen.append(request_of(connection))
        connection.sendall(ok(b"thanks", b"X-Request: 7\r\n"))

    body = '{"ü":1}'.encode() * 50_000
    answer = posted(script, body=body)
    assert (answer.status, answer.body, answer.error, answer.ok) == (200, "thanks", None, True)
    assert answer.header("x-request") == "7"
    head, _, sent = seen[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /hook?x=1 HTTP/1.1"
    assert "X-Own: 1" in lines
    assert "Accept-Encoding: identity" in lines
    assert "Connection: close" in lines
    assert any(line.startswith("Host: 127.0.0.1:") for line in lines)
    assert sent == body


@pytest.mark.parametrize("status", [200, 204, 301, 302, 303, 307, 308, 400, 404, 410, 429, 500, 503])
def test_every_status_is_an_answer_and_no_redirect_is_followed(status: int) -> None:
    asked: list[int] = []

    def elsewhere(connection: socket.socket, over: threading.Event) -> None:
        asked.append(1)

    with serving(elsewhere) as other:
        reply = (
            f"HTTP/1.1 {status} X\r\nLocation: http://{other.target}/\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"
        )
        with serving(saying(reply.encode())) as receiver:
            door = GuardedHttp(allow=frozenset({receiver.target, other.target}))
            answer = door.post(f"http://{receiver.target}/", b"{}", NO_HEADERS)
    assert answer.status == status
    assert answer.ok is (status < 300)
    assert answer.header("Retry-After") == "120"
    assert asked == []


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"),
        (b"HTTP/1.0 200 OK\r\n\r\nabc", "abc"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", "abc"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b", "\x1f\ufffd"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xfe\x00a", "\ufffd\ufffd\x00a"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nabc", "abc"),
    ],
)
def test_the_status_counts_however_the_body_ends(reply: bytes, body: str) -> None:
    answer = posted(saying(reply))
    assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\r\n",
        b"HELLO\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 99 OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"\x00" * 1000,
        b"\xff" * 1000,
        b"HTTP/1.1 200 " + b"O" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 900) for n in range(99)) + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5000,
    ],
)
def test_what_is_no_answer_is_an_error_in_words(reply: bytes) -> None:
    answer = posted(saying(reply))
    assert (answer.status, answer.ok) == (0, False)
    assert answer.error


def test_only_the_beginning_of_a_long_answer_is_read() -> None:
    answer = posted(saying(ok(b"x" * 1_000_000)))
    assert answer.ok
    assert answer.body == "x" * MAXIMUM_ANSWER_BYTES


def test_headers_are_few_short_and_printable() -> None:
    many = b"".join(b"X-%d: %s\x1b\r\n" % (n, b"y" * 300) for n in range(90))
    answer = posted(saying(ok(head=many)))
    assert answer.ok
    assert len(answer.headers) == 40
    assert all(len(value) <= 256 and value.isprintable() for _, value in answer.headers)


def test_a_receiver_that_answers_before_it_has_read_everything_is_heard() -> None:
    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    assert posted(script, body=b"x" * 3_000_000).status == 413


# --- time ------------------------------------------------------------------------------------------------------------


def reading_nothing(connection: socket.socket, over: threading.Event) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    over.wait(10)


@pytest.mark.parametrize(
    "script",
    [
        silent,
        reading_nothing,
        dripping(b"", b"H"),
        dripping(b"HTTP/1.1 200 OK\r\n", b"X"),
        dripping(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n"),
        dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silent", "reading nothing", "status", "header", "headers", "continue"],
)
def test_no_receiver_holds_the_door_past_its_deadline(script: Script) -> None:
    began = time.monotonic()
    answer = posted(script, deadline=DEADLINE, body=b"x" * 20_000_000 if script is reading_nothing else b"{}")
    assert (answer.status, answer.ok) == (0, False)
    assert answer.error
    assert time.monotonic() - began < SOON
    assert answer.duration_ms < SOON * 1000


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
    ],
)
def test_a_body_byte_by_byte_is_cut_at_the_deadline_and_the_status_counts(first: bytes) -> None:
    began = time.monotonic()
    answer = posted(dripping(first, b"x"), deadline=DEADLINE)
    assert answer.ok
    assert 0 < len(answer.body) < 1000
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize(
    ("first", "piece", "taken"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000, True),
        (b"HTTP/1.1 200 OK\r\n", b"X-Endless: " + b"x" * 65536, False),
        (b"HTTP/1.1 200 OK\r\n", b"X: x\r\n" * 10_000, False),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, False),
        (b"", b"x" * 65536, False),
    ],
)
def test_an_endless_answer_is_cut_long_before_the_deadline(first: bytes, piece: bytes, taken: bool) -> None:
    began = time.monotonic()
    answer = posted(pouring(first, piece), deadline=30)
    assert answer.ok is taken
    assert len(answer.body) <= MAXIMUM_ANSWER_BYTES
    assert time.monotonic() - began < SOON


def test_a_look_up_that_hangs_is_left_behind() -> None:
    over = threading.Event()

    def hanging(host: str, port: int) -> list[str]:
        over.wait(10)
        return ["8.8.8.8"]

    began = time.monotonic()
    answer = GuardedHttp(resolve=hanging, deadline_seconds=DEADLINE).post(URL, b"", NO_HEADERS)
    over.set()
    assert answer.error == "shop.example.com could not be looked up in time"
    assert time.monotonic() - began < SOON


def test_a_connection_that_is_refused_is_an_answer_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        target = f"127.0.0.1:{free.getsockname()[1]}"
    answer = GuardedHttp(allow=frozenset({target})).post(f"http://{target}/", b"", NO_HEADERS)
    assert answer.status == 0
    assert "no connection" in (answer.error or "")


# --- where it leads --------------------------------------------------------------------------------------------------


class Network:
    """Names and what they say, look-up after look-up; connections are counted and go nowhere."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.looked_up: list[tuple[str, int]] = []
        self.dialled: list[str] = []

    def resolve(self, host: str, port: int) -> list[str]:
        self.looked_up.append((host, port))
        return self.answers[min(len(self.looked_up), len(self.answers)) - 1]

    def dial(self, address: str, port: int, seconds: float) -> socket.socket:
        self.dialled.append(address)
        raise ConnectionRefusedError

    def door(self, allow: frozenset[str] = frozenset()) -> GuardedHttp:
        return GuardedHttp(allow=allow, resolve=self.resolve, dial=self.dial)


def test_the_table_is_long_enough() -> None:
    assert len(set(FORBIDDEN)) >= 47


@pytest.mark.parametrize("address", FORBIDDEN)
def test_no_connection_is_made_to_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(address)
    for answers in ([address], [*PUBLIC, address], [address, *PUBLIC]):
        network = Network(answers)
        answer = network.door().post(URL, b"{}", NO_HEADERS)
        assert (answer.status, network.dialled) == (0, [])
        assert answer.error == "not sent: shop.example.com leads to an address that is not public"


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_connected_to_itself_and_not_to_its_name(address: str) -> None:
    network = Network([address])
    network.door().post(URL, b"{}", NO_HEADERS)
    assert network.dialled == [address]
    assert network.looked_up == [("shop.example.com", 443)]


def test_the_first_address_that_takes_a_connection_is_enough() -> None:
    network = Network(PUBLIC)
    answer = network.door().post(URL, b"{}", NO_HEADERS)
    assert network.dialled == PUBLIC
    assert "no connection to shop.example.com:443" in (answer.error or "")


@pytest.mark.parametrize("answers", [[], [f"8.8.{n}.8" for n in range(40)]])
def test_a_name_without_addresses_or_with_too_many_leads_nowhere(answers: list[str]) -> None:
    network = Network(answers)
    assert network.door().post(URL, b"{}", NO_HEADERS).error
    assert network.dialled == []


@pytest.mark.parametrize("error", [OSError("no such name"), UnicodeError("label too long"), TimeoutError()])
def test_a_look_up_that_fails_is_an_answer_in_words(error: Exception) -> None:
    def failing(host: str, port: int) -> list[str]:
        raise error

    answer = GuardedHttp(resolve=failing).post(URL, b"{}", NO_HEADERS)
    assert answer.error == "shop.example.com could not be looked up"


@pytest.mark.parametrize("seed", range(60))
def test_a_name_that_changes_its_mind_never_gets_a_connection_inside(seed: int) -> None:
    """Rebinding: public first and private then, both at once, many answers, back and forth. Each post looks up once,
    and what is connected to was checked in that very look-up."""
    chance = Random(seed)
    script = [
        [chance.choice(PUBLIC if chance.random() < 0.6 else FORBIDDEN) for _ in range(chance.randrange(1, 6))]
        for _ in range(20)
    ]
    network = Network(*script)
    door = network.door()
    for number, answers in enumerate(script, 1):
        before = len(network.dialled)
        door.post(URL, b"{}", NO_HEADERS)
        assert len(network.looked_up) == number
        dialled = network.dialled[before:]
        assert dialled == (list(dict.fromkeys(answers)) if set(answers) <= set(PUBLIC) else [])


@given(st.ip_addresses())
def test_what_the_standard_library_knows_as_private_is_never_public(address: object) -> None:
    if not getattr(address, "is_global", True):
        assert not is_public(str(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example.com/",
        "https://shop.example.com:22/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://0x7f.1/",
        "https://localhost/",
        "https://user@shop.example.com/",
        "https://shop.example.com/#x",
        "https://shop.example.com\\@evil.example/",
        "file:///etc/passwd",
        "gopher://shop.example.com/",
        "https://shop.example.com/\r\nX: y",
        "",
    ],
)
def test_an_address_that_an_endpoint_may_not_have_is_not_even_looked_up(url: str) -> None:
    network = Network(["8.8.8.8"])
    answer = network.door().post(url, b"{}", NO_HEADERS)
    assert (answer.error or "").startswith("not sent")
    assert network.looked_up == network.dialled == []


def test_loopback_is_reached_by_the_letter_of_the_allowance_only() -> None:
    with serving(saying(ok())) as receiver, serving(saying(ok())) as other:
        door = GuardedHttp(allow=frozenset({receiver.target}))
        assert door.post(f"http://{receiver.target}/", b"{}", NO_HEADERS).ok
        for url in (
            f"http://{other.target}/",
            f"http://localhost:{receiver.port}/",
            f"http://127.0.0.2:{receiver.port}/",
            f"http://127.1:{receiver.port}/",
            f"https://{other.target}/",
        ):
            assert not door.post(url, b"{}", NO_HEADERS).ok
        assert not GuardedHttp().post(f"http://{receiver.target}/", b"{}", NO_HEADERS).ok
        assert (receiver.connections, other.connections) == (1, 0)


@pytest.mark.parametrize("address", [a for a in [*PUBLIC, *FORBIDDEN] if not a.startswith("127.") and a != "::1"])
def test_an_allowance_opens_loopback_and_nothing_else(address: str) -> None:
    network = Network([address])
    network.door(frozenset({"demo.example.com:9000"})).post("http://demo.example.com:9000/", b"{}", NO_HEADERS)
    assert network.dialled == []


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_allowed_name_on_loopback_is_connected_to(scheme: str, address: str) -> None:
    network = Network([address])
    network.door(frozenset({"demo.example.com:9000"})).post(f"{scheme}://demo.example.com:9000/", b"{}", NO_HEADERS)
    assert network.dialled == [address]


def test_a_proxy_in_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(saying(ok(b"proxy"))) as proxy, serving(saying(ok(b"receiver"))) as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.target}")
        answer = GuardedHttp(allow=frozenset({receiver.target})).post(f"http://{receiver.target}/", b"", NO_HEADERS)
        assert answer.body == "receiver"
        assert proxy.connections == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("X\r\nY", "1"), ("X", "1\r\nY: 2"), ("X", "1\n"), ("X", "\x00"), ("X", "ü"), ("", "1"), ("X Y", "1")],
)
def test_a_header_cannot_carry_another(name: str, value: str) -> None:
    network = Network(["8.8.8.8"])
    with pytest.raises(ValueError, match="no header"):
        network.door().post(URL, b"{}", {name: value})
    assert network.dialled == []


def test_the_doors_own_headers_cannot_be_replaced() -> None:
    seen: list[bytes] = []

    def script(connection: socket.socket, over: threading.Event) -> None:
        seen.append(request_of(connection))
        connection.sendall(ok())

    with serving(script) as receiver:
        door = GuardedHttp(allow=frozenset({receiver.target}))
        door.post(f"http://{receiver.target}/", b"{}", {"host": "evil", "Content-Length": "9", "Connection": "x"})
    assert b"evil" not in seen[0]
    assert seen[0].count(b"Content-Length: 2\r\n") == 1


# --- encryption ------------------------------------------------------------------------------------------------------


class Authority:
    """A certificate authority of this test, and certificates of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.certificate = self._sign(self.name, self.key.public_key(), authority=True)
        self.file = folder / "authority.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        authority: bool = False,
        names: tuple[str, ...] = (),
        days: int = 1,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternative, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def server(self, name: str, *, days: int = 1) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key.public_key(), names=(name,), days=days)
        file = self.folder / f"{name}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def trusted(self) -> ssl.SSLContext:
        context = strict_tls()
        context.load_verify_locations(self.file)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def encrypted(context: ssl.SSLContext, script: Script) -> Script:
    def wrapped(connection: socket.socket, over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as inside:
            script(inside, over)

    return wrapped


def post_encrypted(script: Script, tls: Callable[[], ssl.SSLContext], deadline: float = 5.0) -> Answer:
    """To shop.example.com, a public address as far as the guard knows; the connection goes to the script."""
    with serving(script) as receiver:

        def dial(address: str, port: int, seconds: float) -> socket.socket:
            assert (address, port) == ("93.184.216.34", 443)
            return socket.create_connection(("127.0.0.1", receiver.port), seconds)

        door = GuardedHttp(resolve=lambda host, port: ["93.184.216.34"], dial=dial, tls=tls, deadline_seconds=deadline)
        return door.post(URL, b"{}", NO_HEADERS)


def test_the_connection_goes_to_the_address_and_the_name_is_asked_for_and_verified(authority: Authority) -> None:
    context = authority.server("shop.example.com")
    asked: list[str | None] = []
    context.sni_callback = lambda inside, name, outer: asked.append(name)
    seen: list[bytes] = []

    def script(connection: socket.socket, over: threading.Event) -> None:
        seen.append(request_of(connection))
        assert isinstance(connection, ssl.SSLSocket)
        connection.sendall(ok((connection.version() or "").encode()))

    answer = post_encrypted(encrypted(context, script), authority.trusted)
    assert answer.ok, answer.error
    assert answer.body in {"TLSv1.2", "TLSv1.3"}
    assert asked == ["shop.example.com"]
    assert b"\r\nHost: shop.example.com\r\n" in seen[0]


def test_a_certificate_of_another_name_is_refused(authority: Authority) -> None:
    answer = post_encrypted(encrypted(authority.server("evil.example.com"), saying(ok())), authority.trusted)
    assert "certificate is not valid for shop.example.com" in (answer.error or "")


def test_a_certificate_that_is_over_is_refused(authority: Authority) -> None:
    context = authority.server("shop.example.com", days=-1)
    answer = post_encrypted(encrypted(context, saying(ok())), authority.trusted)
    assert "certificate is not valid" in (answer.error or "")


def test_an_authority_that_the_system_does_not_know_is_refused(authority: Authority) -> None:
    answer = post_encrypted(encrypted(authority.server("shop.example.com"), saying(ok())), strict_tls)
    assert "certificate is not valid" in (answer.error or "")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_encryption_is_refused(authority: Authority) -> None:
    context = authority.server("shop.example.com")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    answer = post_encrypted(encrypted(context, saying(ok())), authority.trusted)
    assert answer.status == 0
    assert "connection broke" in (answer.error or "")
    assert strict_tls().minimum_version == ssl.TLSVersion.TLSv1_2


def speaking_plainly(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(1)
    connection.sendall(ok())


def beginning_a_handshake(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"\x16\x03\x03\x40\x00")
    while not over.wait(0.02):
        connection.sendall(b"\x02")


@pytest.mark.parametrize("script", [silent, speaking_plainly, beginning_a_handshake])
def test_a_handshake_that_never_ends_is_cut_too(authority: Authority, script: Script) -> None:
    began = time.monotonic()
    assert post_encrypted(script, authority.trusted, DEADLINE).status == 0
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nX: "])
def test_drops_through_encryption_are_cut_too(authority: Authority, first: bytes) -> None:
    began = time.monotonic()
    script = encrypted(authority.server("shop.example.com"), dripping(first, b"x"))
    assert post_encrypted(script, authority.trusted, DEADLINE).status == 0
    assert time.monotonic() - began < SOON


# --- signatures ------------------------------------------------------------------------------------------------------


def signed(secrets: list[str], body: str = '{"events":[]}', message_id: str = "evt_1") -> dict[str, str]:
    return GuardedHttp().signed(message_id, body, secrets)


def verifies(secret: str, body: str, headers: dict[str, str]) -> bool:
    try:
        Verifier(secret).verify(body, headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


@given(st.text(max_size=200), st.lists(st.text(min_size=1), min_size=1, max_size=3, unique=True))
def test_every_live_secret_verifies_and_no_other(body: str, words: list[str]) -> None:
    secrets = [secret_text([word]) for word in words]
    headers = signed(secrets, body)
    assert set(headers) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert all(verifies(secret, body, headers) for secret in secrets)
    assert not verifies(secret_text(["another", "one"]), body, headers)


@given(st.data())
def test_a_bit_that_is_turned_anywhere_is_noticed(data: st.DataObject) -> None:
    secret = secret_text(["one"])
    body = '{"events":[{"order_create":{"order_id":"DEMO-1"}}]}'
    headers = signed([secret], body)
    place = data.draw(st.sampled_from(["body", "webhook-id", "webhook-timestamp"]))
    text = body if place == "body" else headers[place]
    position = data.draw(st.integers(0, len(text) - 1))
    bit = data.draw(st.integers(0, 6))
    turned = text[:position] + chr(ord(text[position]) ^ (1 << bit)) + text[position + 1 :]
    if place == "body":
        assert not verifies(secret, turned, headers)
    else:
        assert not verifies(secret, body, headers | {place: turned})


def test_an_old_signature_is_no_signature() -> None:
    secret = secret_text(["one"])
    for minutes in (-6, 6):
        door = GuardedHttp(now=lambda minutes=minutes: datetime.now(UTC) + timedelta(minutes=minutes))
        assert not verifies(secret, "{}", door.signed("evt_1", "{}", [secret]))
