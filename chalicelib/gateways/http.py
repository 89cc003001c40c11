"""The one guarded door for outbound HTTP: merchants choose where it leads, so every address is checked before a
connection and the connection goes to the checked address."""

import http.client
import io
import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import IO

from chalicelib.domain.webhooks import (
    MAXIMUM_ANSWER_BYTES,
    MAXIMUM_ANSWER_HEADER,
    MAXIMUM_ANSWER_HEADERS,
    Answer,
    Target,
    target_of,
)
from chalicelib.gateways.clock import SystemClock

# From the look-up of the name to the last byte of the answer; receivers are told that they have 15 seconds.
DEADLINE_SECONDS = 15.0
# A host that is up answers a connection in less; more would only hold the worker.
CONNECT_SECONDS = 5.0
# Status line, headers, chunk sizes and what is read of the body, together.
MAXIMUM_READ_BYTES = 64 * 1024
# One write to the socket; between two the deadline is looked at.
SEND_BYTES = 64 * 1024
# A name with more addresses than this is a trick, not a host.
MAXIMUM_ADDRESSES = 32

# Never connected to, whatever a name says. IANA's special-purpose registries, and what providers keep for themselves;
# the standard library's `is_global` lets a third of them through.
FORBIDDEN_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's platform address
        "169.254.0.0/16",  # link-local: metadata and credentials of AWS, Azure, Google
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT relays
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# All that is routed publicly lies in here; loopback, v4-mapped, NAT64, unique local (AWS's metadata), link-local,
# site-local (fec0::), segment routing (5f00::) and multicast do not ...
PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
# ... and these lie in it but are no hosts of the public internet, or carry an IPv4 address inside.
FORBIDDEN_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # the former 6bone
        "3fff::/20",  # documentation
    )
)

# Host and port to addresses; address, port and seconds to a connection.
Resolve = Callable[[str, int], list[str]]
Dial = Callable[[str, int, float], socket.socket]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


class Unreachable(Exception):
    """No answer, and why: a sentence that may be shown to the merchant."""


class GuardedHttp:
    """The guard is never off. ``allow`` names targets (``127.0.0.1:9000``) that may be reached although they are on
    this machine's loopback; nothing else on it, and nothing that is not loopback, is let through by it."""

    def __init__(
        self,
        allow: frozenset[str] = frozenset(),
        *,
        resolve: Resolve | None = None,
        dial: Dial | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._allow = allow
        self._resolve = resolve or system_addresses
        self._dial = dial or system_connection
        self._make_tls = tls or strict_tls
        self._tls: ssl.SSLContext | None = None
        self._deadline = deadline_seconds
        self._connect = connect_seconds
        self._now = now or SystemClock().now

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One POST, no redirect followed. Raises ValueError for headers that are none; never for the outside."""
        began = time.monotonic()
        try:
            target = self._target(url)
            request = _request(target, body, headers)
            answer = self._exchange(target, request, began + self._deadline)
        except Unreachable as error:
            return Answer(error=str(error), duration_ms=_milliseconds(began))
        status, found, text = answer
        return Answer(status=status, headers=found, body=text, duration_ms=_milliseconds(began))

    def signed(self, message_id: str, body: str, secrets: Sequence[str]) -> dict[str, str]:
        """The Standard Webhooks headers: every secret signs, so that receivers can change over in their own time."""
        from standardwebhooks import Webhook as Signer

        now = self._now()
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(Signer(secret).sign(message_id, now, body) for secret in secrets),
        }

    def _target(self, url: str) -> Target:
        try:
            return target_of(url, self._allow)
        except ValueError as error:
            raise Unreachable(f"not sent: the address {error}") from None

    def _exchange(
        self, target: Target, request: bytes, deadline: float
    ) -> tuple[int, tuple[tuple[str, str], ...], str]:
        addresses = self._checked(target, deadline)
        connection = self._connected(addresses, target, deadline)
        try:
            if target.scheme == "https":
                connection = self._encrypted(connection, target, deadline)
            _send(connection, request, deadline)
            return _read(connection, deadline)
        except TimeoutError:
            raise Unreachable(f"no complete answer within {self._deadline:g} seconds") from None
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(f"the certificate is not valid for {target.host}: {error.verify_message}") from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"the connection broke: {_words(error)}") from None
        finally:
            connection.close()

    # --- where to ----------------------------------------------------------------------------------------------------

    def _checked(self, target: Target, deadline: float) -> list[str]:
        """The addresses of the name, all of them allowed. One that is not condemns them all: nobody's public name
        has a private side, except to find a guard that checks only the first."""
        addresses = self._resolved(target, deadline)
        loopback = target.name in self._allow
        if not addresses:
            raise Unreachable(f"{target.host} has no address")
        if len(addresses) > MAXIMUM_ADDRESSES:
            raise Unreachable(f"{target.host} has too many addresses")
        if not all(_is_loopback(address) if loopback else is_public(address) for address in addresses):
            # Which address it is would tell a stranger about the inside.
            raise Unreachable(f"not sent: {target.host} leads to an address that is not public")
        return addresses

    def _resolved(self, target: Target, deadline: float) -> list[str]:
        """The look-up has no time-out of its own, so a thread does it; one that hangs is left behind."""
        answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._resolve(target.host, target.port))
            except (OSError, UnicodeError) as error:
                answers.put(OSError(str(error)))

        threading.Thread(target=ask, daemon=True, name="resolve").start()
        try:
            answer = answers.get(timeout=_left(deadline))
        except (queue.Empty, TimeoutError):
            raise Unreachable(f"{target.host} could not be looked up in time") from None
        if isinstance(answer, OSError):
            raise Unreachable(f"{target.host} could not be looked up")
        return list(dict.fromkeys(answer))

    def _connected(self, addresses: list[str], target: Target, deadline: float) -> socket.socket:
        """A connection to the first address that takes one. Addresses only: nothing is looked up again."""
        until = min(deadline, time.monotonic() + self._connect)
        reason = ""
        for address in addresses:
            try:
                return self._dial(address, target.port, _left(until))
            except OSError as error:
                reason = "too slow" if isinstance(error, TimeoutError) else _words(error)
        raise Unreachable(f"no connection to {target.name}: {reason}")

    def _encrypted(self, connection: socket.socket, target: Target, deadline: float) -> socket.socket:
        if self._tls is None:
            self._tls = self._make_tls()
        connection.settimeout(_left(deadline))
        return self._tls.wrap_socket(connection, server_hostname=target.host)


def is_public(address: str) -> bool:
    """Whether the address is one of the public internet's hosts. What cannot be read is not."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in FORBIDDEN_V4)
    if parsed.scope_id is not None or parsed not in PUBLIC_V6:
        return False
    return not any(parsed in network for network in FORBIDDEN_V6)


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.is_loopback


def system_addresses(host: str, port: int) -> list[str]:
    """What the system's resolver says of the name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def system_connection(address: str, port: int, seconds: float) -> socket.socket:
    """A connection to exactly this address. Raises OSError."""
    connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect((address, port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        connection.close()
        raise
    return connection


def strict_tls() -> ssl.SSLContext:
    """The system's authorities, the name checked, TLS 1.2 at least."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


# --- what is said ----------------------------------------------------------------------------------------------------


def _request(target: Target, body: bytes, headers: Mapping[str, str]) -> bytes:
    """The bytes of the request. No compressed answer is asked for, and none is unpacked."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    standard = {"https": 443, "http": 80}[target.scheme] == target.port
    own = {
        "Host": host if standard else f"{host}:{target.port}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "Content-Length": str(len(body)),
    }
    taken = {name.lower() for name in own}
    lines = [f"POST {target.path} HTTP/1.1"]
    for name, value in [*own.items(), *((n, v) for n, v in headers.items() if n.lower() not in taken)]:
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"{name!r} is no header that could be sent")
        lines.append(f"{name}: {value}")
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


def _send(connection: socket.socket, request: bytes, deadline: float) -> None:
    """A receiver may answer and hang up before it has read everything; what it said is still worth reading."""
    view = memoryview(request)
    while view:
        connection.settimeout(_left(deadline))
        try:
            sent = connection.send(view[:SEND_BYTES])
        except (BrokenPipeError, ConnectionResetError):
            return
        view = view[sent:]


def _read(connection: socket.socket, deadline: float) -> tuple[int, tuple[tuple[str, str], ...], str]:
    """Status, headers and the beginning of the body. Once the status is there it is the answer, however the body
    ends."""
    reply = http.client.HTTPResponse(_Paced(connection, deadline), method="POST")  # type: ignore[arg-type]
    with reply:
        reply.begin()
        headers = tuple(
            (_clean(name), _clean(value)) for name, value in list(reply.headers.items())[:MAXIMUM_ANSWER_HEADERS]
        )
        body = b""
        try:
            while len(body) < MAXIMUM_ANSWER_BYTES:
                more = reply.read1(MAXIMUM_ANSWER_BYTES - len(body))
                if not more:
                    break
                body += more
        except (OSError, http.client.HTTPException):
            pass  # the status counts
    return reply.status, headers, body[:MAXIMUM_ANSWER_BYTES].decode("utf-8", "replace")


class _Paced:
    """What HTTPResponse wants of a socket: a file, here one whose every read looks at the deadline and at how much has
    been read. A socket's own time-out begins anew with each byte."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def makefile(self, _mode: str) -> IO[bytes]:
        return io.BufferedReader(_Reads(self._connection, self._deadline))


class _Reads(io.RawIOBase):
    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._allowed = MAXIMUM_READ_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if self._allowed <= 0:
            raise http.client.HTTPException("the answer is too long")
        self._connection.settimeout(_left(self._deadline))
        count = self._connection.recv_into(buffer, min(len(buffer), self._allowed))
        self._allowed -= count
        return count


def _left(deadline: float) -> float:
    """Seconds that are left. Raises TimeoutError where there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:MAXIMUM_ANSWER_HEADER])


def _words(error: Exception) -> str:
    """What the system says, without addresses and memory positions."""
    if isinstance(error, OSError) and error.strerror:
        return _clean(error.strerror)
    return _clean(str(error)) or type(error).__name__


def _milliseconds(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
