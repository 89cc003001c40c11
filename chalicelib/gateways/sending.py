"""One HTTP request with one deadline over all of it, and the certainty whether any of it was sent.

A gateway's client needs both: a charge that surely was not sent may be made anew, any other may have been taken. Each
call has a connection of its own: one that was kept may have died unseen, and what is sent on it is lost in doubt.
"""

import contextlib
import http.client
import io
import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from email.message import Message
from typing import IO
from urllib.parse import SplitResult, urlsplit

from chalicelib.gateways.http import system_addresses, system_connection

# A host that is up answers a connection in less.
CONNECT_SECONDS = 5.0
# A page of a hundred payments has half a megabyte.
MAXIMUM_ANSWER_BYTES = 16 * 1024 * 1024


class Unsent(Exception):
    """Surely no byte of the request has left, and why."""


def sent(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, deadline: float, tls: ssl.SSLContext
) -> tuple[int, Message, bytes]:
    """Status, headers and body of the answer. ``deadline`` is on ``time.monotonic``.

    Raises Unsent; OSError (TimeoutError at the deadline) or HTTPException where the request may have arrived.
    """
    where = urlsplit(url)
    target = (where.path or "/") + (f"?{where.query}" if where.query else "")
    with contextlib.closing(_connected(where, deadline, tls)) as connection:
        line = http.client.HTTPConnection(where.hostname or "")
        line.sock = connection
        own = {"Host": where.netloc, "Connection": "close"}
        try:
            connection.settimeout(_left(deadline))
        except TimeoutError:
            raise Unsent("no time was left to send") from None
        try:
            line.request(method, target, body, {**headers, **own})
        except ValueError:
            # A header or an address that cannot be written down: found before the first byte is sent.
            raise Unsent("the request has characters that cannot be sent") from None
        reply = http.client.HTTPResponse(_Paced(connection, deadline), method=method)  # type: ignore[arg-type]
        with reply:
            reply.begin()
            return reply.status, reply.headers, reply.read()


def _connected(where: SplitResult, deadline: float, tls: ssl.SSLContext) -> socket.socket:
    """A connection, encrypted for https. Raises Unsent."""
    host, port = where.hostname or "", where.port or (443 if where.scheme == "https" else 80)
    until = min(deadline, time.monotonic() + CONNECT_SECONDS)
    reason = "it has no address"
    for address in _resolved(host, port, until):
        try:
            connection = system_connection(address, port, _left(until))
        except OSError as error:
            reason = _words(error)
            continue
        try:
            connection.settimeout(_left(deadline))
            return tls.wrap_socket(connection, server_hostname=host) if where.scheme == "https" else connection
        except OSError as error:
            connection.close()
            raise Unsent(f"no safe connection to {host}: {_words(error)}") from None
    raise Unsent(f"no connection to {host}: {reason}")


def _resolved(host: str, port: int, deadline: float) -> list[str]:
    """The look-up has no time-out of its own, so a thread does it; one that hangs is left behind, and sends nothing."""
    answers: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(system_addresses(host, port))
        except (OSError, UnicodeError):
            answers.put(None)

    threading.Thread(target=ask, daemon=True, name="resolve").start()
    try:
        found = answers.get(timeout=_left(deadline))
    except (queue.Empty, TimeoutError):
        raise Unsent(f"{host} could not be looked up in time") from None
    if found is None:
        raise Unsent(f"{host} could not be looked up")
    return list(dict.fromkeys(found))


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
        self._allowed = MAXIMUM_ANSWER_BYTES

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


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid ({error.verify_message})"
    return "too slow" if isinstance(error, TimeoutError) else error.strerror or type(error).__name__
