"""Pages of the machine's own shop, for who tries it out: how it stands, and the mails that it would have sent.

They show without a key what a key guards elsewhere, so they answer under the names of this machine only: a page of the
web that points a name of its own at this machine reads nothing.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from html import escape
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, urlencode

from chalicelib.domain.dates import Instant, instant, local_date, parse_instant, zone
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.money import EXPONENTS, formatted
from chalicelib.domain.orders import Order
from chalicelib.domain.rebills import next_billing
from chalicelib.domain.search import OrderQuery
from chalicelib.domain.waiting import DueRow
from chalicelib.flows.facts import read_facts
from chalicelib.flows.find import find
from chalicelib.flows.found_shop import MERCHANT_ID
from chalicelib.flows.ports import Shop
from chalicelib.gateways.clock import SystemClock
from chalicelib.gateways.mail import Mailbox, Message
from infra.engine import Engine
from infra.server import Reply

STYLE = "/local.css"
MAILBOX = "/mailbox"
ONE_MAIL = re.compile(r"/mailbox/([0-9]{1,12})(/html)?")
# Rows that a table of the page shows.
SHOWN = 10
SHOWN_MAILS = 100
SHOWN_DEAD = 5
DAYS = 14
# How far the page looks ahead, and how many rows of the outbox it counts.
AHEAD_DAYS = 400
MOST_COUNTED = 1000
POLICY = (
    "default-src 'none'; style-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# A mail's HTML: its own style, nothing from outside, no script, no form, no way out of its frame.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
# Pages that others serve, shown where app.py has them.
OTHERS = (("/admin/", "Merchant's page"), ("/docs", "API reference"), ("/rest/v2/openapi.json", "OpenAPI document"))


@dataclass(frozen=True)
class Look:
    """What a page is asked for: the shop, by its id."""

    shop: Shop
    merchant: Merchant
    now: Instant

    def time(self, moment: Instant) -> str:
        return moment.astimezone(zone(self.merchant.zone_name())).strftime("%a %d %b %Y, %H:%M")

    def link(self, path: str) -> str:
        return escape(f"{path}?{urlencode({'merchant': self.shop.merchant_id})}")


class Pages:
    """``paths`` are those that app.py serves."""

    def __init__(self, engine: Engine, paths: Iterable[str], merchant_id: str, port: int) -> None:
        self._engine = engine
        self._house = engine.house
        self._others = [(path, name) for path, name in OTHERS if path.rstrip("/") in set(paths)]
        self._merchant_id = merchant_id
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self._style = Path(__file__).with_name("local.css").read_text()

    def answer(self, target: str, headers: Mapping[str, str]) -> Reply | None:
        """The page, or None where the path is none of these."""
        path, _, query = target.partition("?")
        if path == STYLE:
            return _reply(self._style, "text/css", POLICY)
        one_mail = ONE_MAIL.fullmatch(path)
        if path not in ("/", MAILBOX) and not one_mail:
            return None
        if headers.get("host") not in self._hosts:
            return _reply("This page is for this machine only: open it as 127.0.0.1.\n", "text/plain", POLICY, 403)
        look = self._look(parse_qs(query).get("merchant", [self._merchant_id])[0])
        if one_mail:
            return self._mail(look, int(one_mail[1]), html=bool(one_mail[2]))
        return _page(*(self._status(look) if path == "/" else self._mails(look)))

    def _look(self, merchant_id: str) -> Look:
        shop = self._house.open_shop(merchant_id if MERCHANT_ID.fullmatch(merchant_id) else self._merchant_id)
        return Look(shop, shop.configuration.section(Merchant).noun, shop.clock.now())

    # --- how the shop stands -----------------------------------------------------------------------------------------

    def _status(self, look: Look) -> tuple[str, str]:
        name = look.merchant.name or look.shop.merchant_id
        parts = [
            '<p class="notice">A shop on this machine. No card is charged and no mail leaves.</p><main>',
            f'<div class="head"><h1>{escape(name)}</h1><p class="soft">{self._clock(look)}</p></div>',
            self._links(look),
            self._figures(look),
            _card("What is billed next", self._due(look), "wide"),
            _card("Latest orders", self._orders(look), "wide"),
            _card("Work that waits", self._queues(look), "wide"),
            "</main>",
        ]
        return name, "".join(parts)

    def _clock(self, look: Look) -> str:
        text = f"{look.time(look.now)} in {look.merchant.zone_name()}"
        hours = round((look.now - SystemClock().now()).total_seconds() / 3600)
        if hours:
            days = f"{hours // 24} days" + (f" and {hours % 24} hours" if hours % 24 else "")
            text += f"; the test clock is {days if hours >= 24 else f'{hours} hours'} ahead"
        return f"{escape(look.shop.merchant_id)} · {escape(text)}"

    def _links(self, look: Look) -> str:
        links = [*self._others, (look.link(MAILBOX), "Mailbox")]
        items = "".join(f'<li><a href="{path}">{escape(name)}</a></li>' for path, name in links)
        return f'<nav aria-label="Pages"><ul>{items}</ul></nav>'

    def _figures(self, look: Look) -> str:
        first = local_date(instant(look.now - timedelta(days=DAYS - 1)), look.merchant.zone_name())
        last = local_date(look.now, look.merchant.zone_name())
        days = dict(look.shop.lists.days(first.isoformat(), last.isoformat()))
        total = {name: sum(day.get(name, 0) for day in days.values()) for name in ("orders", "rebills", "declines")}
        currency = look.merchant.currency()
        smallest = sum(day.get("revenue", 0) for day in days.values())
        revenue = Decimal(smallest).scaleb(-EXPONENTS.get(currency, 2))
        figures = (
            (formatted(revenue, currency), f"taken in {DAYS} days"),
            (str(total["orders"]), "orders"),
            (str(total["rebills"]), "of them rebills"),
            (str(total["declines"]), "declines"),
        )
        cards = "".join(
            f'<div class="card"><strong>{escape(number)}</strong><span class="soft">{escape(name)}</span></div>'
            for number, name in figures
        )
        dates = [first + timedelta(days=number) for number in range(DAYS)]
        counts = [(str(date.day), days.get(date.isoformat(), {}).get("orders", 0)) for date in dates]
        return f'<div class="grid figures">{cards}</div>' + _card(
            f"Orders of the last {DAYS} days", _bars(counts), "wide"
        )

    def _due(self, look: Look) -> str:
        rows = self._next_rows(look)
        if not rows:
            return '<p class="soft">No auto order is due.</p>'
        coming = []
        for row in rows:
            facts, _, original = read_facts(look.shop, int(row.subject))
            items = ", ".join(entry.original_item_id or "" for entry in facts.auto_order.items or [])
            if (billed := next_billing(facts, row.due)) is not None:
                coming.append((billed, _customer(original.noun), items, row.subject))
        body = [(look.time(due), *rest) for due, *rest in sorted(coming, key=lambda one: (one[0], one[3]))]
        return _table(("When", "Customer", "Items", "Auto order"), body, "time", "", "", "number")

    def _next_rows(self, look: Look) -> list[DueRow]:
        waiting = self._house.backroom().waiting
        until = instant(look.now + timedelta(days=AHEAD_DAYS))
        found: list[DueRow] = []
        for shard in waiting.shards():
            rows, _ = waiting.due("auto_orders", shard, until, SHOWN)
            found += [row for row in rows if row.merchant_id == look.shop.merchant_id]
        return sorted(found, key=lambda row: (row.due, row.subject))[:SHOWN]

    def _queues(self, look: Look) -> str:
        waiting = self._house.backroom().waiting
        outbox = sum(len(waiting.due("events", s, look.now, MOST_COUNTED)[0]) for s in waiting.shards())
        rows = [_row("Events to be told", outbox, "", _fine(0))]
        dead: list[str] = []
        for queue in self._engine.names():
            letters = self._engine.queues.dead_letters(queue)
            rows.append(
                _row(f"Queue {queue}", self._engine.queues.waiting(queue), str(len(letters)), _fine(len(letters)))
            )
            for letter in letters[-SHOWN_DEAD:]:
                cause = self._house.failures().cause(letter["id"]) or "no cause is known"
                dead.append(f"<dt><code>{escape(letter['body'][:200])}</code></dt><dd>{escape(cause)}</dd>")
        heads = "<th>What</th><th class=number>Waiting</th><th class=number>Dead letters</th><th>State</th>"
        return _made_table(heads, "".join(rows)) + (f"<h2>Dead letters</h2><dl>{''.join(dead)}</dl>" if dead else "")

    def _orders(self, look: Look) -> str:
        found = find(look.shop, "order", OrderQuery(), "-creation_dts", 0, SHOWN)
        orders = look.shop.orders.get_many(found.names)
        if not orders:
            return '<p class="soft">There are no orders yet.</p>'
        currency = look.merchant.currency()
        rows = [
            (
                look.time(order.creation_dts) if order.creation_dts else "",
                order.order_id or "",
                _customer(order),
                order.current_stage or "",
                formatted(order.summary.total, currency) if order.summary and order.summary.total is not None else "",
            )
            for order in orders
        ]
        table = _table(("When", "Order", "Customer", "Stage", "Total"), rows, "time", "", "", "", "number")
        return table + f'<p class="soft under">{len(orders)} of {found.total}.</p>'

    # --- mails -------------------------------------------------------------------------------------------------------

    def _mailbox(self) -> Mailbox:
        mailbox: Mailbox = self._house.extras["mailbox"]
        return mailbox

    def _mails(self, look: Look) -> tuple[str, str]:
        messages = self._mailbox().messages(look.shop.merchant_id, SHOWN_MAILS)
        rows = "".join(
            f'<tr><td class="time">{escape(_sent(look, message))}</td><td>{escape(message.to)}</td>'
            f'<td><a href="{look.link(f"{MAILBOX}/{message.number}")}">{escape(message.subject)}</a></td></tr>'
            for message in messages
        )
        table = (
            _made_table("<th>Sent</th><th>To</th><th>Subject</th>", rows)
            if rows
            else '<p class="soft">There are no mails yet.</p>'
        )
        body = (
            f'<main><div class="head"><h1>Mailbox</h1><p class="soft">Mails that would have gone out, newest first; '
            f'the last {SHOWN_MAILS}.</p></div><nav aria-label="Pages"><ul><li><a href="{look.link("/")}">The shop</a>'
            f'</li></ul></nav><div class="card">{table}</div></main>'
        )
        return "Mailbox", body

    def _mail(self, look: Look, number: int, *, html: bool) -> Reply:
        message = self._mailbox().message(look.shop.merchant_id, number)
        if message is None:
            missing = f'<main><h1>No such mail</h1><p><a href="{look.link(MAILBOX)}">Mailbox</a></p></main>'
            return _page("No such mail", missing, HTTPStatus.NOT_FOUND)
        if html:
            return _reply(message.html or "", "text/html", MAIL_POLICY)
        heads = (("From", message.sender), ("To", message.to), ("Sent", _sent(look, message)))
        fields = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in heads)
        frame = (
            f'<iframe sandbox title="The mail as HTML" src="{look.link(f"{MAILBOX}/{number}/html")}"></iframe>'
            if message.html
            else '<p class="soft">It has no HTML.</p>'
        )
        text = f"<pre>{escape(message.text)}</pre>"
        links = ((MAILBOX, "Mailbox"), ("/", "The shop"))
        items = "".join(f'<li><a href="{look.link(path)}">{name}</a></li>' for path, name in links)
        body = (
            f'<main><div class="head"><h1>{escape(message.subject)}</h1></div>'
            f'<nav aria-label="Pages"><ul>{items}</ul></nav><dl>{fields}</dl>'
            f'<div class="grid">{_card("HTML", frame)}{_card("Text", text)}</div></main>'
        )
        return _page(message.subject, body)


# --- how it looks -----------------------------------------------------------------------------------------------------


def _page(title: str, body: str, status: int = HTTPStatus.OK) -> Reply:
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="{STYLE}"></head>'
    )
    return _reply(f"{head}<body>{body}</body></html>", "text/html", POLICY, status)


def _reply(text: str, kind: str, policy: str, status: int = HTTPStatus.OK) -> Reply:
    headers = [
        ("Content-Type", f"{kind}; charset=utf-8"),
        ("Content-Security-Policy", policy),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
    ]
    return Reply(status, headers, text.encode())


def _card(title: str, body: str, kind: str = "") -> str:
    return f'<section class="card {kind}"><h2>{escape(title)}</h2>{body}</section>'


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]], *kinds: str) -> str:
    head = "".join(f'<th class="{kind}">{escape(name)}</th>' for name, kind in zip(heads, kinds, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{kind}">{escape(text)}</td>' for text, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    return _made_table(head, body)


def _made_table(heads: str, rows: str) -> str:
    return _wide(f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>")


def _wide(body: str) -> str:
    """What may be wider than the screen scrolls by itself, with the keyboard too."""
    return f'<div class="scroll" tabindex="0">{body}</div>'


def _row(name: str, waiting: int, dead: str, state: str) -> str:
    return (
        f"<tr><td>{escape(name)}</td><td class=number>{waiting}</td><td class=number>{dead}</td><td>{state}</td></tr>"
    )


def _fine(dead: int) -> str:
    return '<span class="badge bad">Look at them</span>' if dead else '<span class="badge good">Fine</span>'


def _bars(counts: list[tuple[str, int]]) -> str:
    """A small chart; every number stands above its bar."""
    most, width, height = max(1, *(count for _, count in counts)), 40, 120
    parts = []
    for position, (day, count) in enumerate(counts):
        left, tall = position * width, round((height - 40) * count / most)
        top = height - 20 - tall
        parts.append(f'<rect x="{left + 6}" y="{top}" width="{width - 12}" height="{tall}" rx="2"></rect>')
        parts.append(f'<text x="{left + width // 2}" y="{top - 5}">{count}</text>')
        parts.append(f'<text x="{left + width // 2}" y="{height - 5}">{day}</text>')
    told = ", ".join(f"{day}: {count}" for day, count in counts)
    return _wide(
        f'<svg class="bars" role="img" aria-label="Orders by day of the month. {told}" '
        f'viewBox="0 0 {width * len(counts)} {height}">{"".join(parts)}</svg>'
    )


def _customer(order: Order | None) -> str:
    billing = order.billing if order else None
    return f"{billing.first_name or ''} {billing.last_name or ''}".strip() if billing else ""


def _sent(look: Look, message: Message) -> str:
    return look.time(parse_instant(message.dts))
