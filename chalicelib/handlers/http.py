"""The HTTP door: who is asking, what was sent, and the envelope of the answer. Alone knows Chalice's request."""

import logging
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from secrets import compare_digest, token_hex
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from chalice.app import Blueprint, Request, Response

from chalicelib import wiring
from chalicelib.domain import wire
from chalicelib.domain.access import Access, AccessKey, key_hash
from chalicelib.domain.audit import Actor
from chalicelib.domain.dates import Instant, later, midnight, parse_instant
from chalicelib.domain.errors import (
    CodeNeeded,
    Contended,
    Invalid,
    NotAllowed,
    NotFound,
    Problem,
    Refused,
    ShopError,
    Stale,
    TooLarge,
    TooMany,
    Unauthorised,
)
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.users import SignedIn
from chalicelib.flows import sign_in
from chalicelib.flows.ports import Shop

log = logging.getLogger(__name__)

T = TypeVar("T")

BASE = "/rest/v2"
# A request's body; API Gateway would take 10 MB, but no noun is that large.
MAXIMUM_BODY_BYTES = 1024 * 1024
# Pages: the contract's default and most. A larger limit is clamped, since the official samples send 1000.
DEFAULT_LIMIT = 100
MAXIMUM_LIMIT = 200
# Past this a page by offset is a walk over the whole list; nobody reads that far.
MAXIMUM_OFFSET = 1_000_000
# One line of subscribers is one customer: addresses of IPv6 are given out in networks of this size.
IPV6_CUSTOMER_BITS = 64
# Names in a path: an e-mail address is the longest that any noun has.
MAXIMUM_NAME = 200
# A client that met a busy record may come back after so many seconds.
BUSY_SECONDS = 1
# A route that anybody may call: it shows nothing of any merchant.
OPEN = "open"
# A route without a key: what is sent is signed, and the view holds the signature against the body.
SIGNED = "signed"
# A page for a person's browser, and its style: a link's token opens it, and the view answers HTML, whatever happens.
PAGE = "page"
STOREFRONT = "storefront"
# What the merchant's page calls before anybody is signed in, and what it calls of whoever is: no key opens these.
SIGN_IN = "sign_in"
SESSION = "session"
# Routes without a key or a session that their scope names.
WITHOUT_KEY = frozenset({OPEN, SIGNED, PAGE, SIGN_IN})
# Headers that carry a key: where one of them stands, it decides, and no cookie is looked at.
KEY_HEADERS = ("x-ultracart-simple-key", "x-ultracart-browser-key", "authorization")
CSRF_HEADER = "x-backroom-csrf"
# A form of the page's own cannot set a header, and says it in a field.
CSRF_FIELD = "csrf"
# The longest form of ours has seven fields.
MOST_FIELDS = 20
# Methods that change nothing for anybody, whatever the route.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# RFC 7396: what such a body says is null is taken away. Of any other, null counts as absent: clients send it unasked.
MERGE_PATCH = "application/merge-patch+json"

STATUSES: dict[type[ShopError], int] = {
    Invalid: 400,
    NotFound: 400,
    Unauthorised: 401,
    CodeNeeded: 401,
    NotAllowed: 403,
    TooMany: 429,
    TooLarge: 413,
    Stale: 412,
    Refused: 409,
    Contended: 503,
}


class Route(msgspec.Struct, frozen=True):
    """One declared call: what the OpenAPI document, the permission tests and the docs are made from."""

    method: str
    path: str
    scope: str
    name: str
    summary: str
    takes: Any
    gives: Any
    query: tuple[str, ...]


ROUTES: list[Route] = []


class Ask(msgspec.Struct):
    """One request, read: the shop that the key or the session opens, the query, the body."""

    request: Request
    request_id: str
    access: Access | None
    time_left: Callable[[], float]
    _shop: Shop | None = None
    _merchant: Merchant | None = None
    headers_out: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def shop(self) -> Shop:
        if self._shop is None:
            if self.access is None:
                raise Unauthorised("This call needs a key.")
            self._shop = wiring.open_shop(self.access.merchant_id, self.time_left, self._by_hand(self.access))
        return self._shop

    def _by_hand(self, access: Access) -> Actor | None:
        """Whoever changes something in his own name: shoppers, who come with a browser key, do not."""
        shopper = isinstance(access, AccessKey) and access.kind == "browser"
        return None if shopper else Actor(access.actor, self.address)

    @property
    def by(self) -> str:
        """Who asks, as it is written down: the key's name, the user's login."""
        return self.access.name if self.access else ""

    @property
    def merchant(self) -> Merchant:
        if self._merchant is None:
            self._merchant = self.shop.configuration.section(Merchant).noun
        return self._merchant

    @property
    def form(self) -> wire.Form:
        return self.merchant.form()

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query_params or {}

    @property
    def expand(self) -> list[str]:
        return [name.strip() for name in self.query.get("_expand", "").split(",") if name.strip()]

    @property
    def actor(self) -> str:
        """Who asks, as a timeline tells it."""
        return self.access.actor if self.access else "nobody"

    @property
    def signed_in(self) -> SignedIn:
        """The user of the session. Raises Unauthorised where a key has opened the route."""
        if not isinstance(self.access, SignedIn):
            raise Unauthorised(NOBODY_SIGNED_IN)
        return self.access

    def cookie(self, name: str) -> str | None:
        """None where there is none of that name, or more than one: then somebody has put one in."""
        pairs = [pair.strip().partition("=") for pair in (self.header("cookie") or "").split(";")]
        found = [value for key, _, value in pairs if key == name]
        return found[0] if len(found) == 1 else None

    def header(self, name: str) -> str | None:
        found: str | None = self.request.headers.get(name)
        return found

    @property
    def source_ip(self) -> str:
        """The client's address as the gateway saw it: no header can pretend to another."""
        return str(self.request.context.get("identity", {}).get("sourceIp", ""))

    @property
    def address(self) -> str:
        """The client's address; of IPv6, the line's network."""
        text = self.source_ip
        try:
            address = ip_address(text)
        except ValueError:
            return text[:64]
        if isinstance(address, IPv6Address):
            return str(ip_network((address, IPV6_CUSTOMER_BITS), strict=False))
        return text

    def sent(self) -> bytes:
        """The body as it came, to the byte. Raises TooLarge."""
        body = self.request.raw_body or b""
        body = body.encode() if isinstance(body, str) else body
        if len(body) > MAXIMUM_BODY_BYTES:
            raise TooLarge(f"The body may have {MAXIMUM_BODY_BYTES} bytes at most.")
        return body

    def raw(self) -> Any:
        """The body as plain values; a merge patch as one. Raises Invalid, TooLarge."""
        body = self.sent()
        if not body:
            raise Invalid.one("", "required", "a JSON body is required")
        found = wire.parse(body)
        patches = (self.header("content-type") or "").startswith(MERGE_PATCH) and isinstance(found, dict)
        return wire.Patch(found) if patches else found

    def fields(self) -> dict[str, str]:
        """The form that was posted; of a field that comes twice the last one. Raises Invalid, TooLarge."""
        try:
            return dict(parse_qsl(self.sent().decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
        except ValueError:
            raise Invalid.one("", "malformed_form", "This is not a form of ours.") from None

    def body(self, type_: type[T]) -> T:
        """The body as a noun. Raises Invalid with all problems."""
        return wire.noun(self.raw(), type_)

    def has_body(self) -> bool:
        return bool(self.request.raw_body)

    def page(self) -> tuple[int, int]:
        """(limit, offset). Raises Invalid for what is no number."""
        limit, offset = self._number("_limit", DEFAULT_LIMIT), self._number("_offset", 0)
        if offset > MAXIMUM_OFFSET:
            raise Invalid.one("/_offset", "out_of_range", f"may be {MAXIMUM_OFFSET} at most")
        return max(1, min(limit, MAXIMUM_LIMIT)), offset

    def only(self, *known: str, untold: tuple[str, ...] = ()) -> None:
        """A criterion that is not known is refused by name, never ignored; those that are ``untold`` are known."""
        allowed = ", ".join(sorted(known))
        problems = [
            Problem(
                pointer=f"/{name[:80]}",
                code="unknown_parameter",
                message=f"is not a parameter here; these are: {allowed}",
            )
            for name in self.query
            if name not in known + untold
        ]
        if problems:
            raise Invalid(problems)

    def flag(self, name: str) -> bool:
        """A query boolean; the official Python SDK writes True and False."""
        value = self.query.get(name, "").lower()
        if value not in ("", "true", "false"):
            raise Invalid.one(f"/{name}", "not_allowed_value", "allowed are true and false")
        return value == "true"

    def moment(self, name: str, *, last: bool = False) -> Instant | None:
        """An instant of the query, or the beginning of a day of the merchant's, ``last``: its end. Raises Invalid."""
        # A plus sign that was not percent-encoded arrives as a space.
        text = self.query.get(name, "").strip().replace(" ", "+")
        if not text:
            return None
        try:
            if len(text) == len("2027-01-31"):
                return midnight(date.fromisoformat(text) + timedelta(days=1 if last else 0), self.form.zone_name)
            moment = parse_instant(text)
            return later(moment, seconds=1) if last else moment
        except (ValueError, OverflowError):
            message = "must be a day, as in 2027-01-31, or ISO 8601 with an offset, as in 2027-01-31T00:00:00-05:00"
            raise Invalid.one(f"/{name}", "invalid", message) from None

    def if_match(self) -> int | None:
        """The version that If-Match names, if it is sent. Raises Invalid for what is no ETag of ours."""
        value = self.header("if-match")
        if value is None or value == "*":
            return None
        text = value.strip().removeprefix("W/").strip('"')
        if not text.isdecimal() or len(text) > 10:
            raise Invalid.one("/If-Match", "invalid", 'must be an ETag as it was sent, as in "7"')
        return int(text)

    def etag(self, version: int) -> None:
        self.headers_out["ETag"] = f'"{version}"'

    def _number(self, name: str, default: int) -> int:
        value = self.query.get(name)
        if value is None:
            return default
        if not value.isdecimal() or len(value) > 9:
            raise Invalid.one(f"/{name}", "wrong_type", "must be a whole number, zero or more")
        return int(value)


def oid_of(text: str, noun: str) -> int:
    """An oid from a path; what is no number names nothing."""
    if not text.isdecimal() or len(text) > 10:
        raise NotFound(noun, text)
    return int(text)


# --- the envelope ----------------------------------------------------------------------------------------------------


def one(payload_name: str, payload: Any) -> dict[str, Any]:
    return {payload_name: payload, "success": True, "metadata": {"payload_name": payload_name}}


def many(payload_name: str, payload: list[Any], *, limit: int, offset: int, total: int | None) -> dict[str, Any]:
    """A page. It is short only where it is the last: official clients stop at the first short one."""
    result_set: dict[str, Any] = {"count": len(payload), "limit": limit, "offset": offset}
    if total is not None:
        result_set["total_records"] = total
        result_set["more"] = offset + len(payload) < total
        if result_set["more"]:
            result_set["next_offset"] = offset + len(payload)
    return {
        payload_name: payload,
        "success": True,
        "metadata": {"payload_name": payload_name, "result_set": result_set},
    }


def done() -> dict[str, Any]:
    return {"success": True, "metadata": {}}


def page_of(names: list[T], limit: int, offset: int) -> list[T]:
    return names[offset : offset + limit]


# --- the door --------------------------------------------------------------------------------------------------------

View = Callable[..., Any]


class Door:
    """The routes of one resource. Each declares its scope; what is not declared is denied."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.blueprint = Blueprint(name)

    def __call__(
        self,
        method: str,
        path: str,
        scope: str,
        *,
        summary: str,
        takes: Any = None,
        gives: Any = None,
        query: tuple[str, ...] = (),
        base: str = BASE,
    ) -> Callable[[View], View]:
        """Declare one call. The view gets the Ask and the path's parts; it answers a dict (200), None (204), or a
        Response of its own."""
        whole = base + path

        def declare(view: View) -> View:
            name = f"{self.name}_{view.__name__}"
            ROUTES.append(Route(method, whole, scope, view.__name__, summary, takes, gives, query))

            def wrapped(**parts: str) -> Response:
                return answered(self.blueprint.current_request, scope, view, parts, self.blueprint.lambda_context)

            wrapped.__name__ = name
            self.blueprint.route(whole, methods=[method], name=name, content_types=CONTENT_TYPES)(wrapped)
            return view

        return declare


# Clients spell the type both ways; what it says is not what decides (the body must be JSON in any case).
FORM = "application/x-www-form-urlencoded"
CONTENT_TYPES = ["application/json", MERGE_PATCH, FORM, "text/plain"]


def answered(request: Request, scope: str, view: View, parts: Mapping[str, str], context: Any) -> Response:
    """Run a view and answer in the contract's envelope, whatever happens."""
    request_id = token_hex(16).upper()
    ask = Ask(request=request, request_id=request_id, access=None, time_left=_time_left(context))
    try:
        ask.access = _access(ask, scope)
        cors = _cors(ask, scope)
        ask.headers_out.update(cors)
        answer = view(ask, **_names(parts))
    except ShopError as error:
        return _refused(ask, error, found_nothing=404 if request.method == "GET" or scope == SIGNED else None)
    except Exception:
        log.exception("unexpected error", extra={"request_id": request_id})
        return _error(ask, 500, "internal", "Something went wrong here; the request id helps us find it.", [])
    if isinstance(answer, Response):
        answer.headers.update(_headers(ask))
        return answer
    if answer is None:
        return Response(body="", status_code=204, headers=_headers(ask))
    return Response(body=wire.to_json(answer).decode(), status_code=200, headers=_json_headers(ask))


def _names(parts: Mapping[str, str]) -> dict[str, str]:
    """The parts of the path, decoded. What is longer than any name names nothing (and would not fit into a key)."""
    names = {name: unquote(part) for name, part in parts.items()}
    for name, part in names.items():
        if len(part) > MAXIMUM_NAME:
            raise NotFound(name.replace("_", " "), part[:20] + "…")
    return names


def _time_left(context: Any) -> Callable[[], float]:
    if context is None or not hasattr(context, "get_remaining_time_in_millis"):
        return lambda: wiring.FUNCTION_SECONDS
    return lambda: context.get_remaining_time_in_millis() / 1000


NOBODY_SIGNED_IN = "Nobody is signed in."


def cookie_name() -> str:
    """``__Host-``: browsers take it over TLS only, from this very host, for all of its paths; nothing beside can put
    one in. The embedded engine has no TLS. Chromium (156, tried) takes such a cookie from loopback all the same, other
    browsers do not: so there it has neither prefix nor ``Secure``, and its name carries the port, for ports share
    cookies and two back rooms on one machine would sign each other out."""
    if secure():
        return "__Host-backroom"
    return f"backroom-{urlsplit(wiring.house().public_url).port or 80}"


def secure() -> bool:
    return wiring.house().public_url.startswith("https:")


def _access(ask: Ask, scope: str) -> Access | None:
    """The key or the session that the request carries, if it opens this scope. Raises Unauthorised, NotAllowed."""
    if scope == SIGN_IN:
        _same_origin(ask)
    if scope in WITHOUT_KEY:
        return None
    if scope != STOREFRONT and not any(ask.header(name) for name in KEY_HEADERS):
        return _session(ask, scope)
    text = ask.header("x-ultracart-browser-key") if scope == STOREFRONT else ask.header("x-ultracart-simple-key")
    if text is None and scope != STOREFRONT:
        scheme, _, token = (ask.header("authorization") or "").partition(" ")
        text = token.strip() if scheme.lower() == "bearer" else None
    found = wiring.house().keys().find(key_hash(text)) if text and len(text) <= 200 else None
    if found is None or found.revoked_dts is not None:
        raise Unauthorised("The key is missing or not known.")
    if scope == SESSION:
        raise Unauthorised(NOBODY_SIGNED_IN)
    wiring.house().keys().used(found, wiring.house().entrance().now())
    if not found.allows(scope):
        raise NotAllowed(f"The key does not have the scope {scope}.")
    return found


def _session(ask: Ask, scope: str) -> SignedIn:
    """Who is signed in, if he may. What changes something must come from the page itself, which alone knows the
    session's csrf text."""
    text = ask.cookie(cookie_name())
    if text is None:
        raise Unauthorised(NOBODY_SIGNED_IN if scope == SESSION else "The key is missing or not known.")
    found = sign_in.signed_in(wiring.house().entrance(), text)
    if ask.request.method not in SAFE_METHODS:
        _same_origin(ask)
        form = (ask.header("content-type") or "").lower().startswith(FORM)
        said = ask.header(CSRF_HEADER) or (ask.fields().get(CSRF_FIELD, "") if form else "")
        if not compare_digest(said.encode(), found.csrf.encode()):
            raise NotAllowed(f"The header {CSRF_HEADER} is not the session's.")
    if scope != SESSION and not found.allows(scope):
        raise NotAllowed(f"You do not have the permission that this needs ({scope}).")
    return found


def _same_origin(ask: Ask) -> None:
    """Whether the page that asks is our own. The browser says so, in one way or both; what says neither is no page of
    ours. Raises NotAllowed."""
    fetch, origin = ask.header("sec-fetch-site"), ask.header("origin")
    ours = {f"{'https' if secure() else 'http'}://{ask.header('host')}", _origin(wiring.house().public_url)}
    if (fetch or origin) is None or fetch not in (None, "same-origin") or (origin is not None and origin not in ours):
        raise NotAllowed("This call is for the shop's own page, and comes from elsewhere.")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _cors(ask: Ask, scope: str) -> dict[str, str]:
    """Browsers may read the answer where the merchant allowed their page's origin; others are refused."""
    origin = ask.header("origin")
    if scope != STOREFRONT or origin is None:
        return {}
    if origin not in (ask.merchant.allowed_origins or []):
        raise NotAllowed(f"The origin {origin[:100]} is not one of the shop's allowed origins.")
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "X-UltraCart-Request-Id, UC-REST-ERROR, Retry-After",
        "Vary": "Origin",
    }


def _refused(ask: Ask, error: ShopError, *, found_nothing: int | None) -> Response:
    """``found_nothing``: the status of NotFound, where it is another than the contract has for writes."""
    status = STATUSES.get(type(error), 400)
    if isinstance(error, NotFound):
        status = found_nothing or status
    problems = error.problems if isinstance(error, Invalid) else []
    if isinstance(error, TooMany):
        ask.headers_out["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Contended):
        ask.headers_out["Retry-After"] = str(BUSY_SECONDS)
    return _error(ask, status, error.code, str(error), problems)


def _error(ask: Ask, status: int, code: str, message: str, problems: list[Problem]) -> Response:
    told = message[:2000]
    body = {
        "error": {"developer_message": told, "user_message": told, "error_code": str(status)},
        "metadata": {},
        "problems": [msgspec.structs.asdict(problem) for problem in problems],
        "code": code,
        "request_id": ask.request_id,
    }
    headers = {**_json_headers(ask), "UC-REST-ERROR": _one_line(told)}
    return Response(body=wire.to_json(body).decode(), status_code=status, headers=headers)


def _one_line(text: str) -> str:
    """A header's value: no line ends, plain ASCII, short."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:500]


def _headers(ask: Ask) -> dict[str, str | list[str]]:
    return {
        "X-UltraCart-Request-Id": ask.request_id,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **ask.headers_out,
    }


def _json_headers(ask: Ask) -> dict[str, str | list[str]]:
    return {"Content-Type": "application/json; charset=UTF-8", **_headers(ask)}
