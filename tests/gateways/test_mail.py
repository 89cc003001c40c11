"""Mail on its way out: a message that nobody's name can break, SES asked once, the mailbox of the embedded engine."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore import exceptions
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from chalicelib.domain.dates import Instant, later, parse_instant
from chalicelib.domain.events import Template
from chalicelib.domain.letters import Letter, Row
from chalicelib.domain.mails import LONGEST_SUBJECT, Mail, one_line
from chalicelib.domain.notices import TITLES
from chalicelib.domain.notices import WORDS as SAYS
from chalicelib.gateways.letters import TEMPLATES, compose
from chalicelib.gateways.mail import Mailbox, SesMailer, message_of, ses_client

NOW = parse_instant("2027-01-31T05:00:00Z")
REGION = "us-east-1"
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></td></table><h1>x",
    "' onmouseover='x",
    "{{ 7 * 7 }}",
    "{% for x in ().__class__.__mro__ %}{{ x }}{% endfor %}",
    "{{ shop.__init__.__globals__ }}",
    "{# gone #}",
    "&lt;b&gt;",
    "שרה לוי",
    "José Ñandú 北京 🎁",
    "=?utf-8?q?=0D=0ABcc:_x@example.com?=",
    "Doe, Jane <jane@evil.example>",
    'a,b;c:d@e"f\\g',
]
LETTERS: tuple[Template, ...] = tuple(TITLES)
# What each can say at most; the links are no words, so nobody types into them.
WORDS: dict[Template, dict[str, str]] = {name: always | sometimes for name, (always, sometimes) in SAYS.items()}
LINKS = ("url", "cancel_url", "password_url", "update_url")


def mail(**fields: Any) -> Mail:
    base: dict[str, Any] = {
        "merchant_id": "DEMO",
        "dts": NOW,
        "to": "jane@example.com",
        "subject": "Your receipt",
        "text": "Hello\n",
        "html": "<p>Hello</p>",
        "sender": "shop@example.com",
        "sender_name": "Demo Shop",
        "reply_to": "help@example.com",
        "headers": {"Auto-Submitted": "auto-generated"},
    }
    return Mail(**(base | fields))


def letter(template: Template, words: dict[str, str] | None = None, typed: str = "Jane") -> Letter:
    return Letter(
        template=template,
        shop=f"{typed}'s shop",
        first_name=typed,
        support_email="help@example.com",
        words=WORDS[template] if words is None else words,
        rows=[Row(quantity="2", name=f"Tea for {typed}", amount="$19.00", notes=[f"Size: {typed}"])],
        more_rows=3,
        totals=[("Subtotal", "$19.00"), ("Total", "$23.75")],
    )


def whole(template: Template, words: dict[str, str] | None = None, typed: str = "Jane") -> tuple[str, str, str]:
    """(subject, text, HTML) by the default templates."""
    made = compose(letter(template, words, typed))
    assert made.html is not None
    return made.subject, made.text, made.html


def read(message: EmailMessage) -> Any:
    return message_from_bytes(message.as_bytes(), policy=policy.default)


# --- the message -----------------------------------------------------------------------------------------------------


def test_a_message_has_a_text_and_the_same_as_html() -> None:
    seen = read(message_of(mail()))
    assert seen.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in seen.iter_parts()] == ["text/plain", "text/html"]
    assert seen["From"] == "Demo Shop <shop@example.com>"
    assert (seen["To"], seen["Reply-To"]) == ("jane@example.com", "help@example.com")
    assert seen["Date"].datetime == NOW
    assert seen["Auto-Submitted"] == "auto-generated"


def test_a_message_without_html_is_its_text() -> None:
    seen = read(message_of(mail(html=None, text="Grüße\n")))
    assert (seen.get_content_type(), seen.get_content()) == ("text/plain", "Grüße\r\n")


def test_every_byte_is_ascii_and_every_line_short() -> None:
    raw = message_of(mail(text="ö" * 5000, html="<p>" + "北" * 5000 + "</p>", subject="Ö" * 100)).as_bytes()
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_makes_a_second_sender_or_a_header(name: str) -> None:
    seen = read(message_of(mail(sender_name=one_line(name), subject=one_line(name))))
    (sender,) = seen["From"].addresses
    assert sender.addr_spec == "shop@example.com"
    assert (seen["Bcc"], seen["Cc"]) == (None, None)
    assert len(seen.get_all("To")) == 1


@given(st.text(max_size=80).map(one_line), st.text(max_size=200).map(one_line))
def test_any_name_and_subject_give_one_sender_one_recipient_and_no_header(name: str, subject: str) -> None:
    seen = read(message_of(mail(sender_name=name, subject=subject)))
    assert [address.addr_spec for address in seen["From"].addresses] == ["shop@example.com"]
    assert [address.addr_spec for address in seen["To"].addresses] == ["jane@example.com"]
    assert sorted({name.lower() for name in seen.keys()}) == sorted(  # noqa: SIM118 - a message is no dict
        ["from", "to", "subject", "date", "reply-to", "auto-submitted", "mime-version", "content-type"]
    )


UNSAFE: list[dict[str, Any]] = [
    {"to": "jane@example.com\r\nBcc: x@example.com"},
    {"to": "jane@example.com, x@example.com"},
    {"subject": "Hello\r\nBcc: x@example.com"},
    {"sender_name": "Shop\nBcc: x@example.com"},
    {"sender": "Shop <shop@example.com>"},
    {"reply_to": "help@example.com\nBcc: x@example.com"},
    {"headers": {"X-A": "1\r\nBcc: x@example.com"}},
    {"headers": {"Bcc": "x@example.com"}},
    {"headers": {"reply-to": "x@example.com"}},
    {"subject": "=?utf-8?q?=0D=0ABcc:_x@example.com?="},
    {"sender_name": "=?utf-8?q?=0D=0ABcc:_x@example.com?="},
    {"text": "lone \ud800 surrogate"},
]


@pytest.mark.parametrize("fields", UNSAFE)
def test_what_could_hold_a_second_header_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        message_of(mail(**fields))


def test_a_domain_of_other_letters_goes_out_in_ascii() -> None:
    assert read(message_of(mail(to="jane@münchen.example")))["To"] == "jane@xn--mnchen-3ya.example"


# --- the letters -----------------------------------------------------------------------------------------------------


class Markup(HTMLParser):
    """Which tags and attributes a reader's program sees, and whether each is closed."""

    VOID = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def markup(html: str) -> Markup:
    parser = Markup()
    parser.feed(html)
    parser.close()
    return parser


def test_every_template_stands_as_subject_as_text_and_as_html() -> None:
    names = {path.name for path in TEMPLATES.iterdir() if not path.name.startswith("_")}
    assert names == {f"{template}.{form}" for template in LETTERS for form in ("subject", "txt", "html")}


@pytest.mark.parametrize("template", LETTERS)
def test_a_letter_is_whole_markup_without_anything_that_loads_or_runs(template: Template) -> None:
    seen = markup(whole(template)[2])
    assert seen.open == []
    assert not {"script", "img", "link", "style", "iframe", "form", "object"} & set(seen.tags)
    assert not {name for name in seen.attributes if name.startswith("on") or name in ("src", "background")}


@pytest.mark.parametrize("template", LETTERS)
def test_a_letter_says_the_same_in_both_forms(template: Template) -> None:
    _, text, html = whole(template)
    in_html = " ".join(markup(html).words.split())
    for name, said in WORDS[template].items():
        if name in LINKS:
            assert said in text
            assert f'href="{said.replace("&", "&amp;")}"' in html
        elif said not in ("yes", "daily", WORDS[template].get("rebill")):
            assert said in text
            assert said in in_html


@pytest.mark.parametrize("template", LETTERS)
def test_a_subject_is_one_line_that_says_what_it_is_about(template: Template) -> None:
    subject = whole(template)[0]
    assert subject == one_line(subject, LONGEST_SUBJECT)
    assert len(subject.split()) >= 3


@pytest.mark.parametrize("template", LETTERS)
@pytest.mark.parametrize("typed", HOSTILE)
def test_no_typed_text_changes_the_markup_or_runs_as_a_template(template: Template, typed: str) -> None:
    words = {name: value if name in LINKS else f"{typed} {value}" for name, value in WORDS[template].items()}
    subject, text, html = whole(template, words, typed)
    honest = markup(whole(template)[2])
    assert markup(html).tags == honest.tags
    assert markup(html).attributes == honest.attributes
    assert typed in markup(html).words
    assert typed in text
    assert "49" not in subject + text
    assert one_line(subject, LONGEST_SUBJECT) == subject


@pytest.mark.parametrize("template", LETTERS)
def test_a_letter_needs_only_what_every_mail_of_its_kind_has(template: Template) -> None:
    made = compose(Letter(template=template, shop="Shop", words=SAYS[template][0]))
    assert made.failure is None
    assert made.html is not None
    assert markup(made.html).open == []
    assert "None" not in made.text
    assert not re.search(r"\n{3,}", made.text)


def test_a_receipt_reads_well() -> None:
    assert whole("receipt")[:2] == (
        "Your receipt for order DEMO-0009104420-002",
        (
            "Hello Jane,\n"
            "\n"
            "This is the receipt for your auto order: order DEMO-0009104420-002.\n"
            "\n"
            "2 x Tea for Jane: $19.00\n"
            "    Size: Jane\n"
            "and 3 more\n"
            "\n"
            "Subtotal: $19.00\n"
            "Total: $23.75\n"
            "\n"
            "$55.38 was charged to your VISA ending in 1111 on 31 January 2027.\n"
            "Shipping: USPS Priority Mail\n"
            "\n"
            "-- \n"
            "Jane's shop\n"
            "Questions? Write to help@example.com.\n"
            "You get this mail because of your order at Jane's shop.\n"
        ),
    )


def test_a_decline_reads_well() -> None:
    assert whole("update_billing")[1].startswith(
        "Hello Jane,\n"
        "\n"
        "The payment for your auto order at Jane's shop did not go through (VISA ending in 1111). "
        "Nothing was charged.\n"
        "\n"
        "This was attempt 1 of 3.\n"
        "We will try again on 3 February 2027.\n"
        "\n"
        "If your card has changed, tell us the new one here: https://shop.example.com/storefront/update_billing"
    )


def test_only_what_is_looked_at_again_by_itself_is_said_to_be() -> None:
    again = "It is looked at again every day"
    assert again in whole("held")[1]
    for code in ("second_capture", "payment_review", "cancel_item"):
        _, text, html = whole("held", {"what": "Order 1", "message": "Please look.", "code": code})
        assert again not in text + html
        assert ("until you decide" in text) is (code == "payment_review")


def test_a_price_notice_reads_well_with_and_without_a_trial() -> None:
    subject, text, _ = whole("price_notice")
    assert subject == "Your trial at Jane's shop ends: first charge on 28 February 2027"
    assert "Your trial at Jane's shop ends soon. From 28 February 2027" in text
    words = {name: said for name, said in WORDS["price_notice"].items() if name not in ("trial", "card")}
    subject, text, _ = whole("price_notice", words)
    assert subject == "A new price for your auto order at Jane's shop from 28 February 2027"
    assert "goes up. From 28 February 2027 you are charged:\n" in text
    assert "cancel before that day: https://shop.example.com/storefront/cancel?" in text


# --- SES -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ses() -> Iterator[SesMailer]:
    with mock_aws():
        client = ses_client(REGION)
        client.create_email_identity(EmailIdentity="shop@example.com")
        yield SesMailer(lambda: client)


def test_ses_gets_the_whole_message(ses: SesMailer) -> None:
    ses.send(mail(to="jane@münchen.example"))
    (sent,) = ses_backends[DEFAULT_ACCOUNT_ID][REGION].sent_messages
    assert sent.source == "shop@example.com"
    assert set(sent.destinations) == {"jane@xn--mnchen-3ya.example"}
    seen: Any = message_from_bytes(sent.raw_data.encode(), policy=policy.default)
    assert seen["Subject"] == "Your receipt"


def test_a_sender_that_ses_does_not_know_is_surely_not_sent(ses: SesMailer) -> None:
    with pytest.raises(OSError, match="MessageRejected") as error:
        ses.send(mail(sender="unknown@example.com"))
    assert not isinstance(error.value, TimeoutError)


def test_nothing_is_sent_to_what_is_no_address(ses: SesMailer) -> None:
    with pytest.raises(ValueError, match="is no e-mail address"):
        ses.send(mail(to="jane"))
    assert ses_backends[DEFAULT_ACCOUNT_ID][REGION].sent_messages == []


def test_a_client_that_repeats_by_itself_is_not_used() -> None:
    session = botocore.session.get_session()
    eager = session.create_client("sesv2", region_name=REGION, config=Config(retries={"max_attempts": 3}))
    with mock_aws(), pytest.raises(OSError, match="repeats by itself"):
        SesMailer(lambda: eager).send(mail())


class Scripted:
    """An SES client that answers with an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.meta = SimpleNamespace(config=Config(retries={"total_max_attempts": 1}))

    def send_email(self, **wanted: Any) -> None:
        raise self._error


def said(code: str, status: int) -> exceptions.ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return exceptions.ClientError(answer, "SendEmail")


NOT_SENT = [
    said("TooManyRequestsException", 429),
    said("ThrottlingException", 400),
    said("MessageRejected", 400),
    said("SendingPausedException", 400),
    said("AccountSuspendedException", 400),
    said("MailFromDomainNotVerifiedException", 400),
    said("LimitExceededException", 400),
    said("AccessDeniedException", 403),
    said("ServiceUnavailable", 503),
    exceptions.EndpointConnectionError(endpoint_url="https://ses"),
    exceptions.ConnectTimeoutError(endpoint_url="https://ses"),
    exceptions.SSLError(endpoint_url="https://ses", error="x"),
    exceptions.ProxyConnectionError(proxy_url="https://proxy"),
    exceptions.NoCredentialsError(),
]
UNKNOWN = [
    said("InternalServiceErrorException", 500),
    said("BadGateway", 502),
    said("GatewayTimeout", 504),
    exceptions.ReadTimeoutError(endpoint_url="https://ses"),
    exceptions.ConnectionClosedError(endpoint_url="https://ses"),
    exceptions.HTTPClientError(error="x"),
]


@pytest.mark.parametrize("error", NOT_SENT, ids=str)
def test_after_these_answers_it_was_surely_not_sent(error: Exception) -> None:
    with pytest.raises(OSError, match=r".") as raised:
        SesMailer(lambda: Scripted(error)).send(mail())
    assert not isinstance(raised.value, TimeoutError)


@pytest.mark.parametrize("error", UNKNOWN, ids=str)
def test_after_these_nobody_knows(error: Exception) -> None:
    with pytest.raises(TimeoutError):
        SesMailer(lambda: Scripted(error)).send(mail())


def test_a_mail_that_ses_calls_broken_is_never_sent() -> None:
    with pytest.raises(ValueError, match="BadRequestException"):
        SesMailer(lambda: Scripted(said("BadRequestException", 400))).send(mail())


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[int]]]:
    """A service on loopback that treats each caller so; and how many called."""
    calls: list[int] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            while True:
                try:
                    caller, _ = server.accept()
                except OSError:
                    return
                with caller:
                    caller.recv(65536)
                    calls.append(1)
                    answer(caller)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", calls
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.usefixtures("somebody")
def test_a_connection_that_breaks_after_the_request_is_asked_once() -> None:
    with answering(lambda caller: None) as (address, calls):
        with pytest.raises(TimeoutError):
            SesMailer(lambda: ses_client(REGION, address)).send(mail())
        assert len(calls) == 1


@pytest.mark.usefixtures("somebody")
def test_a_service_in_trouble_is_asked_once() -> None:
    trouble = b"HTTP/1.1 500 x\r\nContent-Length: 2\r\n\r\n{}"
    with answering(lambda caller: caller.sendall(trouble)) as (address, calls):
        with pytest.raises(TimeoutError):
            SesMailer(lambda: ses_client(REGION, address)).send(mail())
        assert len(calls) == 1


@pytest.mark.usefixtures("somebody")
def test_nobody_there_is_surely_not_sent() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ConnectionError):
        SesMailer(lambda: ses_client(REGION, address)).send(mail())


# --- the mailbox -----------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backroom.sqlite"


@pytest.fixture
def mailbox(file: Path) -> Iterator[Mailbox]:
    with closing(Mailbox(file, lambda: NOW)) as opened:
        yield opened


def test_the_newest_mail_comes_first(mailbox: Mailbox) -> None:
    for number in range(5):
        mailbox.send(mail(subject=f"Mail {number}", dts=later(NOW, days=-number)))
    assert [message.subject for message in mailbox.messages("DEMO", 3)] == ["Mail 4", "Mail 3", "Mail 2"]


def test_a_mail_is_read_back_from_what_would_have_gone_out(mailbox: Mailbox) -> None:
    mailbox.send(mail(subject="Grüße an שרה", text="Hallo 北京\n", html="<p>Hallo 北京</p>"))
    (listed,) = mailbox.messages("DEMO")
    message = mailbox.message("DEMO", listed.number)
    assert message == listed
    assert message.subject == "Grüße an שרה"
    assert message.sender == "Demo Shop <shop@example.com>"
    assert (message.text, message.html) == ("Hallo 北京\n", "<p>Hallo 北京</p>\n")
    assert (message.to, message.dts) == ("jane@example.com", str(NOW))
    assert ("Auto-Submitted", "auto-generated") in message.headers


def test_a_mail_without_a_time_of_its_own_has_the_machines(mailbox: Mailbox) -> None:
    mailbox.send(mail(dts=None))
    assert mailbox.messages("DEMO")[0].dts == str(NOW)


def test_each_shop_sees_its_own_mails(mailbox: Mailbox) -> None:
    mailbox.send(mail())
    mailbox.send(mail(merchant_id="OTHER", subject="Not yours"))
    (mine,) = mailbox.messages("DEMO")
    (theirs,) = mailbox.messages("OTHER")
    assert (mine.subject, theirs.subject) == ("Your receipt", "Not yours")
    assert mailbox.message("DEMO", theirs.number) is None


def test_mails_survive_a_restart(file: Path) -> None:
    with closing(Mailbox(file, lambda: NOW)) as first:
        first.send(mail())
    with closing(Mailbox(file, lambda: NOW)) as second:
        assert len(second.messages("DEMO")) == 1


def test_the_mailbox_keeps_the_newest(file: Path) -> None:
    with closing(Mailbox(file, lambda: NOW, keeps=5)) as mailbox:
        mailbox.send(mail(merchant_id="OTHER"))
        for number in range(8):
            mailbox.send(mail(subject=f"Mail {number}", html=None))
        assert [message.subject for message in mailbox.messages("DEMO")] == [
            f"Mail {number}" for number in (7, 6, 5, 4, 3)
        ]
        assert len(mailbox.messages("OTHER")) == 1


def test_a_file_that_takes_nothing_is_surely_not_sent(mailbox: Mailbox) -> None:
    mailbox.close()
    with pytest.raises(OSError, match="closed") as error:
        mailbox.send(mail())
    assert not isinstance(error.value, TimeoutError)


@pytest.mark.parametrize("fields", [{"to": "jane"}, *UNSAFE])
def test_the_mailbox_takes_nothing_that_no_mail_server_would(mailbox: Mailbox, fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        mailbox.send(mail(**fields))
    assert mailbox.messages("DEMO") == []


@given(st.text(max_size=80), st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_what_the_mailbox_takes_can_be_looked_at(name: str, subject: str, text: str, html: str) -> None:
    """It is laid out only then; what cannot be laid out must be refused when it is handed over."""
    one = mail(sender_name=name, subject=subject, text=text, html=html)
    with closing(Mailbox(":memory:", lambda: NOW)) as opened:
        try:
            opened.send(one)
        except ValueError:
            return
        assert opened.messages("DEMO")[0].to == "jane@example.com"


def test_many_threads_share_a_mailbox(mailbox: Mailbox) -> None:
    def send_ten() -> None:
        for _ in range(10):
            mailbox.send(mail())

    threads = [threading.Thread(target=send_ten) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mailbox.messages("DEMO", 200)) == 80


def test_both_doors_lay_a_letter_out_alike(mailbox: Mailbox) -> None:
    assert mailbox.compose(letter("receipt")) == SesMailer().compose(letter("receipt")) == compose(letter("receipt"))


def test_a_shops_clock_may_run_ahead(mailbox: Mailbox) -> None:
    ahead: Instant = later(NOW, days=90)
    mailbox.send(mail(dts=ahead))
    assert mailbox.messages("DEMO")[0].dts == str(ahead)
