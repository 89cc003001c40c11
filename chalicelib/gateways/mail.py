"""Mail on its way out: through SES, or into the mailbox of the embedded engine."""

import threading
from collections.abc import Callable
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.domain import wire
from chalicelib.domain.dates import Instant
from chalicelib.domain.mails import MAIL_TIMEOUT_SECONDS, Mail, mail_address, refuse_unsafe
from chalicelib.gateways import letters

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from email.message import EmailMessage
    from email.policy import EmailPolicy

# SES answers a connection at once or not at all; the rest of the time is for its answer.
CONNECT_SECONDS = 5
# Mails that the mailbox of one shop keeps, or a tenth more; the oldest go.
MAILBOX_KEEPS = 1000
# Headers that the fields of a mail make, or that route it: no caller sets them beside those.
OURS = frozenset(
    {
        "bcc",
        "cc",
        "content-transfer-encoding",
        "content-type",
        "date",
        "from",
        "message-id",
        "mime-version",
        "reply-to",
        "resent-bcc",
        "resent-cc",
        "resent-to",
        "return-path",
        "sender",
        "subject",
        "to",
    }
)

SCHEMA = """
create table if not exists mail (
  number integer primary key autoincrement, merchant_id text not null, dts text not null, kept text not null
);
create index if not exists mail_of on mail (merchant_id, number);
"""


def message_of(mail: Mail) -> "EmailMessage":
    """The MIME message: the text, and the HTML beside it. Raises ValueError where a header could hold a second one."""
    # 3 ms to import: only who sends or shows a mail pays for it.
    from email.headerregistry import Address
    from email.message import EmailMessage

    _refuse(mail)
    message = EmailMessage(policy=_seven_bit())
    message["From"] = Address(display_name=mail.sender_name, addr_spec=mail_address(mail.sender))
    message["To"] = Address(addr_spec=mail_address(mail.to))
    message["Subject"] = mail.subject
    if mail.dts:
        message["Date"] = mail.dts
    if mail.reply_to:
        message["Reply-To"] = Address(addr_spec=mail_address(mail.reply_to))
    for name, value in mail.headers.items():
        message[name] = value
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
        # Not one by chance: the same mail is the same message, whenever it is laid out.
        message.set_boundary(sha256(f"{mail.text}\x1f{mail.html}".encode()).hexdigest()[:40])
    return message


@lru_cache(maxsize=1)
def _seven_bit() -> "EmailPolicy[EmailMessage]":
    """Lines stay below the 998 characters of RFC 5322 and everything is ASCII: the oldest relay passes it on
    unchanged."""
    from email import policy

    return policy.SMTP.clone(cte_type="7bit")


def _refuse(mail: Mail) -> None:
    """Raises ValueError where the mail could not be laid out as one message to one receiver."""
    refuse_unsafe(mail)
    for name in mail.headers:
        if name.lower() in OURS:
            raise ValueError(f"the header {name} is not for callers")


def ses_client(region: str | None = None, endpoint: str | None = None) -> Any:
    """A client that asks once: SendEmail knows no idempotency, so a repeat by botocore may be a second mail."""
    from botocore.config import Config
    from botocore.session import get_session

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=MAIL_TIMEOUT_SECONDS - CONNECT_SECONDS,
        retries={"total_max_attempts": 1},
    )
    return get_session().create_client("sesv2", region_name=region, endpoint_url=endpoint, config=config)


class SesMailer:
    """Amazon SES. ``make`` gives the client, at the first mail: it costs 60 ms."""

    def __init__(self, make: Callable[[], Any] = ses_client) -> None:
        self._make = make
        self._client: Any = None

    compose = staticmethod(letters.compose)
    default = staticmethod(letters.default)
    problems = staticmethod(letters.problems)

    def send(self, mail: Mail) -> None:
        """Raises TimeoutError (not known), another OSError (surely not sent), ValueError (never)."""
        from botocore import exceptions

        raw = message_of(mail).as_bytes()
        not_sent = (
            exceptions.EndpointConnectionError,
            exceptions.ConnectTimeoutError,
            exceptions.ProxyConnectionError,
            exceptions.SSLError,
        )
        try:
            self._ses().send_email(
                FromEmailAddress=mail_address(mail.sender),
                Destination={"ToAddresses": [mail_address(mail.to)]},
                Content={"Raw": {"Data": raw}},
            )
        except exceptions.ClientError as error:
            raise _refusal(error.response) from error
        except not_sent as error:
            raise ConnectionError(str(error)) from error
        except exceptions.HTTPClientError as error:
            # The request went out, and its answer did not come or not whole.
            raise TimeoutError(str(error)) from error
        except exceptions.BotoCoreError as error:
            # No credentials, no region, ...: nothing went out.
            raise OSError(str(error)) from error

    def _ses(self) -> Any:
        if self._client is None:
            client = self._make()
            if (client.meta.config.retries or {}).get("total_max_attempts") != 1:
                raise OSError("the SES client repeats by itself and would send mails twice: see ses_client")
            self._client = client
        return self._client


def _refusal(response: dict[str, Any]) -> Exception:
    code = response.get("Error", {}).get("Code", "")
    told = f"{code}: {response.get('Error', {}).get('Message', '')}"
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "BadRequestException":
        return ValueError(told)
    # 503 is said before anything is begun; of the other 5xx nobody knows.
    if status >= 500 and status != 503:
        return TimeoutError(told)
    return OSError(told)


class Message(msgspec.Struct, frozen=True):
    """A mail in the mailbox, read back from the message that would have gone out. ``dts``: when its shop sent it."""

    number: int
    merchant_id: str
    dts: str
    sender: str
    to: str
    subject: str
    text: str
    html: str | None
    headers: list[tuple[str, str]]


class Mailbox:
    """The embedded form: no mail leaves the machine, all stay in a file for a page that shows them.

    A mail is kept as it was handed over and laid out as a message when somebody looks: most are never looked at, and
    laying one out takes longer than everything else that is done about it.
    """

    def __init__(self, path: str | Path, now: Callable[[], Instant], *, keeps: int = MAILBOX_KEEPS) -> None:
        import sqlite3

        from chalicelib.gateways.embedded import opened

        self._errors = sqlite3.Error
        self._now = now
        self._keeps = keeps
        self._lock = threading.Lock()
        self._db = opened(path, SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    compose = staticmethod(letters.compose)
    default = staticmethod(letters.default)
    problems = staticmethod(letters.problems)

    def send(self, mail: Mail) -> None:
        """Raises OSError where the file does not take it, ValueError where no mail server would."""
        _refuse(mail)
        kept = wire.kept(mail)
        dts = str(mail.dts or self._now())
        with self._file() as db:
            put = db.execute(
                "insert into mail (merchant_id, dts, kept) values (?, ?, ?)", (mail.merchant_id, dts, kept)
            )
            if (put.lastrowid or 0) % (1 + self._keeps // 10) == 0:
                # Counting off so many takes a while: now and then is often enough.
                db.execute(
                    "delete from mail where merchant_id = ? and number <= (select number from mail"
                    " where merchant_id = ? order by number desc limit 1 offset ?)",
                    (mail.merchant_id, mail.merchant_id, self._keeps),
                )

    def messages(self, merchant_id: str, limit: int = 50) -> list[Message]:
        """The newest of one shop first."""
        with self._file() as db:
            rows = db.execute(
                "select number, merchant_id, dts, kept from mail where merchant_id = ? order by number desc limit ?",
                (merchant_id, limit),
            ).fetchall()
        return [_message(*row) for row in rows]

    def message(self, merchant_id: str, number: int) -> Message | None:
        with self._file() as db:
            row = db.execute(
                "select number, merchant_id, dts, kept from mail where merchant_id = ? and number = ?",
                (merchant_id, number),
            ).fetchone()
        return _message(*row) if row else None

    @contextmanager
    def _file(self) -> "Iterator[sqlite3.Connection]":
        with self._lock:
            try:
                yield self._db
            except self._errors as error:
                raise OSError(str(error)) from error


def _message(number: int, merchant_id: str, dts: str, kept: str) -> Message:
    from email import message_from_bytes, policy

    parsed = message_from_bytes(message_of(wire.load(kept, Mail)).as_bytes(), policy=policy.default)
    text, html = parsed.get_body(("plain",)), parsed.get_body(("html",))
    return Message(
        number=number,
        merchant_id=merchant_id,
        dts=dts,
        sender=str(parsed["From"]),
        to=str(parsed["To"]),
        subject=str(parsed["Subject"]),
        text=text.get_content().replace("\r\n", "\n") if text else "",
        html=html.get_content().replace("\r\n", "\n") if html else None,
        headers=[(name, str(value)) for name, value in parsed.items()],
    )
