"""A house to knock at: several merchants' shops on SQLite in memory, called through the doors of app.py.

house = a_house()
key = house.found("DEMO")
reply = house.call("POST", "/rest/v2/item/items", {"merchant_item_id": "TEA"}, key=key)
assert (reply.status, reply.json["item"]["merchant_item_oid"]) == (200, 1001)
"""

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from chalice.local import LambdaEventConverter, RouteMatcher

from chalicelib import wiring
from chalicelib.domain.access import AccessKey, Kind, key_hash
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.payments import Charge
from chalicelib.flows.ports import Http, Travel
from chalicelib.flows.tell import tell
from chalicelib.flows.users import make_owner
from chalicelib.gateways.sandbox import Behaviour, Sandbox
from chalicelib.stores.sqlite import SqliteTables
from tests.worlds import CheapPasswords, ListedQueue, ManualClock, NoOutside

ADDRESS = "203.0.113.7"
PASSWORD = "a kettle sings at noon"


@dataclass(frozen=True)
class Reply:
    """``json`` is None where the body is none."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def cookies(self) -> list[str]:
        """What it sets, each as ``name=text``."""
        said: Any = self.headers.get("Set-Cookie", [])
        return [text.partition(";")[0] for text in ([said] if isinstance(said, str) else said)]

    @property
    def problems(self) -> dict[str, str]:
        """Pointer to code, of every problem."""
        return {problem["pointer"]: problem["code"] for problem in self.json["problems"]}

    def message(self, pointer: str) -> str:
        return next(str(p["message"]) for p in self.json["problems"] if p["pointer"] == pointer)


class Browser:
    """One browser on the merchant's page: it keeps the cookie and the csrf text, and says where it stands, as a browser
    does."""

    def __init__(self, house: "TestHouse", address: str = ADDRESS) -> None:
        self.house = house
        self.address = address
        self.cookie = ""
        self.device = ""
        self.csrf = ""

    def call(self, method: str, path: str, body: Any = None, **headers: str | None) -> Reply:
        """``headers``: by their names with ``_`` for ``-``; None leaves one out that it would send."""
        sent: dict[str, str | None] = {
            "host": "127.0.0.1:8000",
            "origin": "http://127.0.0.1:8000",
            "sec-fetch-site": "same-origin",
            "x-backroom-csrf": self.csrf,
            "cookie": "; ".join(filter(None, (self.cookie, self.device))),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        reply = self.house.call(method, path, body, headers={k: v for k, v in sent.items() if v}, address=self.address)
        self.cookie = next((text for text in reply.cookies if "-device=" not in text), self.cookie)
        self.device = next((text for text in reply.cookies if "-device=" in text), self.device)
        if reply.status == 200 and path.startswith("/admin/") and "session" in reply.json:
            self.csrf = reply.json["session"]["csrf"]
        return reply

    def post_form(self, path: str, fields: Mapping[str, str], **headers: str | None) -> Reply:
        """As a form of the page's that opens a window."""
        sent: dict[str, str | None] = {
            "host": "127.0.0.1:8000",
            "origin": "http://127.0.0.1:8000",
            "sec-fetch-site": "same-origin",
            "cookie": self.cookie,
            "content-type": "application/x-www-form-urlencoded",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        said = urlencode({"csrf": self.csrf, **fields}).encode()
        return self.house.call("POST", path, said, headers={k: v for k, v in sent.items() if v}, address=self.address)

    def sign_in(self, login: str = "owner", password: str = PASSWORD, **more: str) -> Reply:
        return self.call("POST", "/admin/session", {"login": login, "password": password, **more})


@dataclass
class TestHouse(wiring.House):
    """A House whose parts a test can reach. Time stands still; oids count up from 1001; queues and mails are kept."""

    # Not a test class, whatever pytest reads into the name.
    __test__ = False

    tables: SqliteTables = field(kw_only=True)
    clock: ManualClock = field(kw_only=True)
    sent: ListedQueue = field(kw_only=True)
    outside: NoOutside = field(kw_only=True)
    sandbox: Sandbox = field(kw_only=True)
    passwords: CheapPasswords = field(default_factory=CheapPasswords)

    def found(self, merchant_id: str = "DEMO", **section: Any) -> str:
        """Found a merchant's shop and give its owner's key."""
        shop = self.open_shop(merchant_id)
        section_ = shop.configuration.save(Merchant(merchant_id=merchant_id, **section), 0)
        shop.write(section_, self.merchants().listed(merchant_id))
        return self.key(merchant_id)

    def key(self, merchant_id: str = "DEMO", scopes: list[str] | None = None, kind: Kind = "api") -> str:
        """Issue a key; without ``scopes`` it opens everything that its kind can open."""
        text = f"{kind}_{merchant_id}_{next(self._keys)}"
        issued = AccessKey(
            key_hash=key_hash(text),
            merchant_id=merchant_id,
            kind=kind,
            name="test",
            created_dts=self.clock.now(),
            scopes=scopes,
            # Its use is noted already, for an hour: a test sees its own writes alone.
            used_dts=self.clock.now(),
        )
        self.port.write(*self.keys().issued(issued))
        return text

    def owner(self, merchant_id: str = "DEMO", login: str = "owner", password: str = PASSWORD) -> "Browser":
        """The shop's owner in a browser, signed in by the link of invitation."""
        token, browser = self.owner_token(merchant_id, login), Browser(self)
        assert browser.call("POST", "/admin/welcome", {"token": token, "password": password}).status == 200
        return browser

    def owner_token(self, merchant_id: str = "DEMO", login: str = "owner") -> str:
        return make_owner(self.entrance(), self.open_shop(merchant_id), login, by="test")

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        address: str = ADDRESS,
        query: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request through app.py, as API Gateway hands it over. ``body``: bytes as they are, all else as JSON."""
        from app import app

        wiring.use(self)
        sent = {"content-type": "application/json", **{name.lower(): value for name, value in (headers or {}).items()}}
        if key is not None:
            sent["x-ultracart-browser-key" if key.startswith("browser") else "x-ultracart-simple-key"] = key
        if query:
            path += "?" + "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in query.items())
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        event = _events(tuple(app.routes)).create_lambda_event(method, path, sent, raw)
        event["requestContext"]["identity"]["sourceIp"] = address
        answer = app(event, None)
        return Reply(answer["statusCode"], answer["headers"] | answer["multiValueHeaders"], answer["body"])

    def events(self, merchant_id: str = "DEMO") -> list[str]:
        """The names of all events that a shop's outbox holds, told or not, in no order."""
        rows = self.tables._db.execute("select body from record where name = 'events'").fetchall()
        records = [json.loads(body) for (body,) in rows]
        texts = [json.loads(record["document"]) for record in records if record["pk"].startswith(f"{merchant_id}#")]
        return [happening["name"] for text in texts for happening in text["happenings"]]

    def records(self, table: str) -> int:
        """How many records a table holds: to see that a refused request left nothing."""
        row = self.tables._db.execute("select count(*) from record where name = ?", (table,)).fetchone()
        return int(row[0])

    def everything(self) -> str:
        """All that is kept, as one text: to see that something is not in it."""
        return "\n".join(body for (body,) in self.tables._db.execute("select body from record"))

    def relay(self) -> None:
        """Tell all that waits."""
        for shard in self.backroom().waiting.shards():
            rows, _ = self.backroom().waiting.due("events", shard, self.clock.now(), 100)
            for row in rows:
                tell(self.open_shop(row.merchant_id), row.subject)

    def __post_init__(self) -> None:
        self._keys = itertools.count(1)


@lru_cache(maxsize=4)
def _events(routes: tuple[str, ...]) -> LambdaEventConverter:
    return LambdaEventConverter(RouteMatcher(list(routes)))


def a_house(
    *,
    behave: Callable[[Charge, int], Behaviour | None] | None = None,
    http: Http | None = None,
    travel_of: Callable[[str], Travel | None] = lambda merchant_id: None,
) -> TestHouse:
    """An empty house: ``found`` its merchants first. ``behave`` decides what each post at the gateway does."""
    clock, tables, queue, outside = ManualClock(), SqliteTables(), ListedQueue(), NoOutside()
    sandbox = Sandbox(now=clock.now, behave=behave)
    numbers, words = itertools.count(1001), itertools.count(1)
    return TestHouse(
        port=tables,
        now_of=lambda merchant_id: clock.now(),
        latest_now=clock.now,
        queue=queue,
        mailer_of=lambda merchant_id: outside,
        http=http or outside,
        payments_of=lambda merchant_id: {"sandbox": sandbox},
        travel_of=travel_of,
        oids=lambda: numbers,
        word=lambda: f"word-{next(words)}",
        shuffled=list,
        tables=tables,
        clock=clock,
        sent=queue,
        outside=outside,
        sandbox=sandbox,
    )
