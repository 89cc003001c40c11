"""The OpenAPI 3.1 document: every declared call and every event, out of the routes, the nouns and the catalogue.

``jsonSchemaDialect`` is left out on purpose: Swagger UI warns of any that is not the default.
"""

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from inspect import cleandoc
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from chalicelib.domain import wire
from chalicelib.domain.auto_orders import AutoOrder
from chalicelib.domain.batches import Batch
from chalicelib.domain.consents import AutoOrderConsent
from chalicelib.domain.coupons import Coupon
from chalicelib.domain.customer_search import NOT_IN_GET as CUSTOMER_NOT_IN_GET
from chalicelib.domain.customer_search import CustomerQuery
from chalicelib.domain.customers import Customer
from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Problem
from chalicelib.domain.events import CATALOGUE
from chalicelib.domain.fields import LARGEST_OID
from chalicelib.domain.items import Item
from chalicelib.domain.money import Currency
from chalicelib.domain.notices import NoticePreview, NoticeTemplateView
from chalicelib.domain.orders import Order, OrderPaymentTransaction
from chalicelib.domain.search import (
    NOT_IN_GET,
    OF_AUTO_ORDERS,
    UNAVAILABLE,
    AutoOrderQuery,
    Condition,
    ItemQuery,
    OrderQuery,
)
from chalicelib.domain.storefront import StorefrontItem
from chalicelib.domain.users import User
from chalicelib.domain.webhooks import API_VERSION, DESCRIPTIONS
from chalicelib.handlers.http import BASE, DEFAULT_LIMIT, MAXIMUM_LIMIT, OPEN, PAGE, ROUTES, SIGNED, STOREFRONT, Route

Schema = dict[str, Any]

SCHEMAS = "#/components/schemas/"
# What the document is about; pages, preflights and itself are not.
ROOMS = (f"{BASE}/", "/gateways/", "/storefront/")
ITSELF = "/openapi.json"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

# What an attempt to bill came to.
REBILLED: dict[str, Any] = {
    "auto_order": AutoOrder,
    "rebill_attempted": bool,
    "rebill_success": bool,
    "rebill_order_id": str,
    "failure_reason": str,
}
# Calls whose answer is more than a noun under its own name, by the name of the route.
ANSWERS: dict[str, dict[str, Any]] = {
    "attempt_auto_order_rebill": REBILLED,
    "update_auto_order_payment": REBILLED,
    "update_auto_orders_batch": {"auto_orders": list[AutoOrder], "batch": Batch},
    "advance_test_clock": {"test_clock": dict[str, Any]},
    "create_bank_account_token": {"bank_account_token": str, "expiration_dts": Instant},
    "create_card_token": {"card_token": str, "expiration_dts": Instant},
    "create_payment_method_token": {"card_token": str, "expiration_dts": Instant},
    "does_coupon_code_exist": {"exists": bool},
    "explain_auto_order": {"explanation": dict[str, Any]},
    "get_auto_order_consent": {"consent": AutoOrderConsent},
    "get_auto_order_processing_links": {"links": list[dict[str, str]]},
    "get_notice_template": {"notice_template": NoticeTemplateView},
    "get_notice_templates": {"notice_templates": list[NoticeTemplateView]},
    "get_storefront_item": {"item": StorefrontItem},
    "insert_user": {"user": User, "welcome_url": str},
    "insert_user_welcome": {"welcome_url": str},
    "place_order": {
        "order": Order,
        "payment_outcome": Literal[
            "action_needed", "approved", "charged_later", "declined", "not_known_yet", "not_sent"
        ],
        "payment_message": str,
        "payment_url": str,
    },
    "preview_notice_template": {"preview": NoticePreview},
    "process_payment": {"payment_transaction": OrderPaymentTransaction},
    "rehearse": {"rehearsal": dict[str, Any]},
    "restore_notice_template": {"notice_template": NoticeTemplateView},
    "send_test_notice": {"test_mail": dict[str, Any]},
    "update_notice_template": {"notice_template": NoticeTemplateView},
}
# The criteria of a GET are the fields of its query, where the route does not list them.
CRITERIA: dict[str, type[wire.Noun]] = {
    "get_auto_orders": AutoOrderQuery,
    "get_customers": CustomerQuery,
    "get_items": ItemQuery,
    "get_orders": OrderQuery,
}
# Answers without the envelope, as the contract has them.
BARE = frozenset({"get_customer_editor_values", "get_customers_for_data_tables"})
# Answers of 204 to what is no DELETE.
EMPTY = frozenset({"erase_customer", "merge_customer"})
# Nouns that are shown whole, whatever ``_expand`` says.
ALWAYS_WHOLE = frozenset({Coupon})
OPTIONAL_BODIES = frozenset(
    {
        "cancel_auto_order_item_by_reference_order_id",
        "pause_auto_order",
        "preview_notice_template",
        "preview_refund",
        "process_payment",
    }
)
# Whether the header must be there.
IDEMPOTENT = {"insert_order": False, "place_order": True}
_WITHOUT_KEY = {OPEN: "Open to anybody.", SIGNED: "Signed by the gateway, as its account's webhook secrets say."}
NOUNS: dict[str, type[msgspec.Struct]] = {"auto_order": AutoOrder, "customer": Customer, "item": Item, "order": Order}

INTEGER: Schema = {"type": "integer", "minimum": 0}
BOOLEAN: Schema = {"type": "boolean"}
STRING: Schema = {"type": "string"}
MOMENT = "a day (the merchant's), as in 2027-01-31, or ISO 8601 with an offset"
PARAMETERS: dict[str, tuple[Schema, str]] = {
    "_async": (BOOLEAN, "leave it to the workers; the answer names the batch"),
    "_expand": (STRING, "blocks to show, with commas between; nothing but plain fields is shown without them"),
    "_limit": (
        {**INTEGER, "default": DEFAULT_LIMIT},
        f"entries of a page; more than {MAXIMUM_LIMIT} mean {MAXIMUM_LIMIT}. A short page is the last",
    ),
    "_offset": ({**INTEGER, "default": 0}, "entries before the page"),
    "_placeholders": (BOOLEAN, "show what is empty or not subscribed to as well, for a form"),
    "_since": (STRING, f"changed (of a log: delivered) since: {MOMENT}"),
    "_sort": (STRING, "fields with commas between; `-` before one that goes down"),
    "at": ({"type": "string", "format": "date-time"}, "the instant to explain; now without it"),
    "at_once": (BOOLEAN, "the old secret does not sign any more: it has leaked"),
    "beginDate": (STRING, f"delivered at or after: {MOMENT}"),
    "card_expires_date_begin": (STRING, f"its card is good until then or longer: {MOMENT}"),
    "card_expires_date_end": (STRING, f"its card is good until then at most: {MOMENT}"),
    "condition": (
        {"type": "string", "enum": list(get_args(Condition))},
        "how an active one stands: a declined charge is tried again, it cannot be billed as it stands, it is paused",
    ),
    "dry_run": (BOOLEAN, "tell only what would come of it; nothing is saved"),
    "duration": (INTEGER, "milliseconds, or longer"),
    "endDate": (STRING, f"delivered at or before: {MOMENT}"),
    "event": (STRING, "the name of an event"),
    "exclude_expired": (BOOLEAN, "leave out what has expired"),
    "next_attempt_date_begin": (STRING, f"a declined charge is tried again then or later: {MOMENT}"),
    "next_attempt_date_end": (STRING, f"a declined charge is tried again then or before: {MOMENT}"),
    "search_string": (STRING, "words; each begins a word of a customer's e-mail address, names, company, ..."),
    "signup_dts_end": (STRING, f"signed up at or before: {MOMENT}"),
    "signup_dts_start": (STRING, f"signed up at or after: {MOMENT}"),
    "since": ({"type": "string", "format": "date"}, "the first day (the merchant's), as in 2027-01-31"),
    "status": ({**INTEGER, "maximum": 599}, "the receiver's status"),
    "success": (BOOLEAN, "taken by the receiver, or not"),
    "until": ({"type": "string", "format": "date-time"}, "how far to look"),
    "validate_original_order": (BOOLEAN, "taken for the contract's sake; everything is validated"),
}

ABOUT = """
UltraCart's REST API v2 in names, shapes and statuses, so that its official clients work here as they are; and calls of
our own in the same form.

**Keys.** Every call needs a key with the scope that stands in its description: a simple key in
`x-ultracart-simple-key`, or the same as a bearer token. Calls under `/storefront` need a browser key in
`x-ultracart-browser-key`, and come from pages of the shop's allowed origins.

**Answers** are `{"<noun>": ..., "success": true, "metadata": {"payload_name": "<noun>"}}`; lists have
`metadata.result_set`. What is absent is left out, never null. Without `_expand` only plain fields are shown.

**Updates** change only the keys that they send; arrays are replaced whole, and null counts as absent. Sent as
`application/merge-patch+json`, null takes away what stood there (but of auto orders, orders, users and webhooks).
Where an answer has an `ETag`, its `PUT` and `DELETE` take it back in `If-Match` and answer 412 where somebody was
faster.

**Errors** are `{"error": {...}, "problems": [...]}`: all problems at once, each with a JSON pointer. A criterion that
is not supported is refused by name, never ignored.

**Amounts** are exact numbers in the merchant's currency; instants carry the merchant's offset.
""".strip()


@lru_cache(maxsize=1)
def text() -> str:
    """The document as JSON. Made once: all routes are declared by the time that anybody asks."""
    return wire.to_json(document()).decode()


def document() -> Schema:
    routes = [
        route
        for route in ROUTES
        if route.path.startswith(ROOMS)
        and route.method in METHODS
        and route.path != BASE + ITSELF
        and route.scope != PAGE
    ]
    nouns = _Nouns([route.takes for route in routes] + [t for r in routes for t in _answer_types(r).values()])
    paths: dict[str, Schema] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, nouns)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Backroom",
            "version": API_VERSION,
            "summary": "The back office of shops that sell on a schedule.",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        # Relative to the document, whatever stage or domain it is served under.
        "servers": [{"url": "../..", "description": "where this document comes from"}],
        "tags": [{"name": name} for name in dict.fromkeys(_tag(route) for route in routes)],
        "paths": paths,
        "webhooks": {name: _event(name, NOUNS[category]) for category, names in CATALOGUE.items() for name in names},
        "components": {
            "schemas": dict(sorted({**_SHARED, **nouns.components}.items())),
            "headers": _HEADERS,
            "responses": _RESPONSES,
            "securitySchemes": _SECURITY,
        },
    }


# --- calls -----------------------------------------------------------------------------------------------------------


def _tag(route: Route) -> str:
    return route.path.removeprefix(f"{BASE}/").lstrip("/").split("/")[0]


def _operation(route: Route, nouns: "_Nouns") -> Schema:
    operation: Schema = {
        "operationId": route.name,
        "tags": [_tag(route)],
        "summary": route.summary,
        "description": _WITHOUT_KEY.get(route.scope) or f"Scope: `{route.scope}`.",
        "security": _security(route.scope),
        "parameters": [*_path_parameters(route), *_query_parameters(route, nouns), *_header_parameters(route)],
        "responses": {**_success(route, nouns), **_failures(route)},
    }
    if route.takes is not None:
        operation["requestBody"] = {
            "required": route.name not in OPTIONAL_BODIES,
            "content": {"application/json": {"schema": nouns.schema(route.takes)}},
        }
    return operation


def _security(scope: str) -> list[Schema]:
    if scope in _WITHOUT_KEY:
        return []
    if scope == STOREFRONT:
        return [{"ultraCartBrowserApiKey": []}]
    return [{"ultraCartSimpleApiKey": [scope]}, {"ultraCartOauth": [scope]}]


def _path_parameters(route: Route) -> Iterator[Schema]:
    for part in route.path.split("/"):
        if part.startswith("{"):
            name = part.strip("{}")
            oid: Schema = {"type": "integer", "format": "int32", "minimum": 1, "maximum": LARGEST_OID}
            schema = oid if name.lower().endswith("oid") else {"type": "string", "minLength": 1}
            yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(route: Route, nouns: "_Nouns") -> Iterator[Schema]:
    known = _criteria(CRITERIA[route.name], nouns) if route.name in CRITERIA else {}
    since = ["_since"] if "since" in getattr(CRITERIA.get(route.name), "__struct_fields__", ()) else []
    own = OF_AUTO_ORDERS if CRITERIA.get(route.name) is AutoOrderQuery else ()
    for name in dict.fromkeys([*route.query, *since, *own, *known]):
        schema, description = (known[name], "") if name in known else PARAMETERS.get(name, (STRING, ""))
        if name == "_expand":
            allowed = ", ".join(f"`{e}`" for e in _expansions(_noun_of(route)))
            description = f"{description}: {allowed}" if allowed else "taken; everything is shown in any case"
        parameter: Schema = {"name": name, "in": "query", "schema": schema}
        yield {**parameter, "description": description} if description else parameter


def _criteria(query: type[wire.Noun], nouns: "_Nouns") -> dict[str, Schema]:
    hidden = {*NOT_IN_GET, *CUSTOMER_NOT_IN_GET, *UNAVAILABLE, *query.own, "since"}
    fields = {f.encode_name: f.name for f in msgspec.structs.fields(query)}
    hints = _hints(query)
    return {name: nouns.schema(hints[field]) for name, field in fields.items() if name not in hidden}


def _header_parameters(route: Route) -> Iterator[Schema]:
    if route.name in IDEMPOTENT:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": IDEMPOTENT[route.name],
            "schema": STRING,
            "description": "the same key again answers the same order as it now stands",
        }


def _success(route: Route, nouns: "_Nouns") -> Schema:
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-UltraCart-Request-Id",)}
    types = _answer_types(route)
    if not types and (route.method == "DELETE" or route.name in EMPTY):
        return {"204": {"description": "Done; there is nothing to say.", "headers": headers}}
    properties = {name: nouns.schema(type_) for name, type_ in types.items()}
    answer: Schema = (
        nouns.schema(route.gives)
        if route.name in BARE
        else {
            "type": "object",
            "properties": {**properties, "success": BOOLEAN, "metadata": _ref("ResponseMetadata")},
            "required": ["success", "metadata"],
        }
    )
    return {"200": {"description": "Done.", "headers": headers, "content": {"application/json": {"schema": answer}}}}


def _answer_types(route: Route) -> dict[str, Any]:
    """What the answer's envelope holds: names and types."""
    if route.name in ANSWERS:
        return ANSWERS[route.name]
    if isinstance(route.gives, dict):
        return route.gives
    return {} if route.gives is None else {_payload_name(route.gives): route.gives}


def _payload_name(gives: Any) -> str:
    """A noun stands under its section, or under its own name; many under the plural."""
    if get_origin(gives) is list:
        return _payload_name(get_args(gives)[0]) + "s"
    section: str | None = getattr(gives, "section", None)
    return section or "".join(f"_{c.lower()}" if c.isupper() else c for c in gives.__name__).lstrip("_")


def _failures(route: Route) -> Schema:
    statuses = ["400", "default"]
    if route.scope not in _WITHOUT_KEY:
        statuses += ["401", "403"]
    if route.scope == SIGNED:
        statuses += ["401", "404"]
    if "{" in route.path and route.method == "GET":
        statuses.append("404")
    return {status: {"$ref": f"#/components/responses/{_NAMES[status]}"} for status in sorted(statuses)}


# --- events ----------------------------------------------------------------------------------------------------------


def _event(name: str, noun: type[msgspec.Struct]) -> Schema:
    event = {"type": "object", "properties": {name: _ref(noun.__name__)}, "required": [name]}
    compressed = {"type": "string", "contentEncoding": "base64", "description": "`compress_events`: gzipped, as text"}
    body = {
        "type": "object",
        "properties": {"events": {"oneOf": [{"type": "array", "items": event}, compressed]}},
        "required": ["events"],
    }
    return {
        "post": {
            "summary": DESCRIPTIONS[name],
            "description": "Signed as Standard Webhooks have it: HMAC-SHA256 of `id.timestamp.body` under each live "
            "secret. The same event comes with the same `webhook-id`, however often. The noun is shown with the "
            "subscription's expansion.",
            "security": [],
            "parameters": [
                {"name": "webhook-id", "in": "header", "required": True, "schema": STRING},
                {"name": "webhook-timestamp", "in": "header", "required": True, "schema": STRING},
                {"name": "webhook-signature", "in": "header", "required": True, "schema": STRING},
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {
                "2XX": {"description": "Taken."},
                "410": {"description": "Never again: the webhook is disabled."},
                "default": {"description": "Tried again: 19 times in a week, as `Retry-After` asks."},
            },
        }
    }


# --- nouns -----------------------------------------------------------------------------------------------------------


class _Nouns:
    """The schemas of all nouns in play, as clients write and read them."""

    def __init__(self, types: list[Any]) -> None:
        self.components = components([*(t for t in types if t is not None), *NOUNS.values(), Problem])

    def schema(self, type_: Any) -> Schema:
        if getattr(type_, "__name__", "") in self.components:
            return _ref(type_.__name__)
        if get_origin(type_) is list:
            return {"type": "array", "items": self.schema(get_args(type_)[0])}
        (found,), _ = msgspec.json.schema_components([type_], schema_hook=_hook, ref_template=SCHEMAS + "{name}")
        mended: Schema = _mended(found, _bounds(type_))
        return mended


def components(types: list[Any], home: str = SCHEMAS) -> dict[str, Schema]:
    """The schemas of all nouns in the types, by their names; references lead to ``home``."""
    _, found = msgspec.json.schema_components(types, schema_hook=_hook, ref_template=home + "{name}")
    seen: set[Any] = set()
    structs = {struct.__name__: struct for type_ in types for struct in structs_in(type_, seen)}
    return {name: _told(structs[name], schema) for name, schema in found.items()}


@lru_cache(maxsize=512)
def _hints(struct: type) -> dict[str, Any]:
    return get_type_hints(struct, include_extras=True)


def _hook(type_: type) -> Schema:
    if type_ is Currency:
        return _ref("Currency")
    if type_ is Instant:
        return {"type": "string", "format": "date-time"}
    raise NotImplementedError(type_)


def structs_in(type_: Any, seen: set[Any] | None = None) -> Iterator[type[msgspec.Struct]]:
    """Every struct in the type, each once."""
    seen = set() if seen is None else seen
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        if type_ not in seen:
            seen.add(type_)
            yield type_
            for hint in _hints(type_).values():
                yield from structs_in(hint, seen)
        return
    for part in get_args(type_):
        yield from structs_in(part, seen)


def _told(struct: Any, schema: Schema) -> Schema:
    """A noun's schema without what is kept and never shown, with what only the server sets, and what no answer shows,
    marked as such."""
    own: frozenset[str] = getattr(struct, "own", frozenset())
    read_only: frozenset[str] = getattr(struct, "read_only", frozenset())
    write_only: frozenset[str] = getattr(struct, "write_only", frozenset())
    hints = _hints(struct)
    properties: Schema = {}
    for field in msgspec.structs.fields(struct):
        if field.name in own:
            continue
        property_ = _mended(schema["properties"][field.encode_name], _bounds(hints[field.name]))
        properties[field.encode_name] = {
            **property_,
            **_called(*getattr(struct, "words", {}).get(field.encode_name, ())),
            **({"readOnly": True} if field.name in read_only else {}),
            **({"writeOnly": True} if field.name in write_only else {}),
        }
    required = [name for name in schema["required"] if name in properties]
    kept = {name: value for name, value in schema.items() if name not in {"properties", "required", "title"}}
    if "description" in kept:
        kept["description"] = cleandoc(kept["description"]).replace("``", "`")
    return {**kept, "properties": properties, **({"required": required} if required else {})}


def _called(title: str = "", description: str = "", ui: Schema | None = None) -> Schema:
    told = {"title": title, "description": description, "x-ui": ui}
    return {name: value for name, value in told.items() if value}


def _mended(schema: Any, bounds: Schema) -> Any:
    """Decimals are numbers with their bounds; what may be left out is left out, never null."""
    if isinstance(schema, list):
        return [_mended(entry, bounds) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "decimal":
        rest = {name: value for name, value in schema.items() if name not in {"type", "format", "default"}}
        default = schema.get("default")
        return {"type": "number", **bounds, **rest, **({} if default is None else {"default": Decimal(default)})}
    if "enum" in schema and all(isinstance(value, str) for value in schema["enum"]):
        schema = {"type": "string", **schema}
    options = schema.get("anyOf")
    if options:
        left = [entry for entry in options if entry != {"type": "null"}]
        if len(left) == 1:
            rest = {name: value for name, value in schema.items() if name != "anyOf"}
            return _mended({**left[0], **rest}, bounds)
        schema = {**schema, "anyOf": left}
    return {
        name: value if name == "default" else _mended(value, bounds)
        for name, value in schema.items()
        if not (name == "default" and value is None)
    }


_SIGNS = {"gt": "exclusiveMinimum", "ge": "minimum", "le": "maximum"}


def _bounds(hint: Any) -> Schema:
    """The bounds of the Decimals in a field, which msgspec carries and does not know (see ``domain.fields``)."""
    found: Schema = {}
    if get_origin(hint) is Annotated:
        for meta in get_args(hint)[1:]:
            extra = getattr(meta, "extra", None) or {}
            found |= {_SIGNS[sign]: bound for sign, bound in extra.items()}
    for part in get_args(hint):
        if not (isinstance(part, type) and issubclass(part, msgspec.Struct | NoneType)):
            found |= _bounds(part)
    return found


def _noun_of(route: Route) -> Any:
    """The noun that the answer shows, if it shows one."""
    found = [struct for type_ in _answer_types(route).values() for struct in structs_in(type_)]
    return found[0] if found else None


def _expansions(noun: Any) -> list[str]:
    """What ``_expand`` may name; nothing where a noun is always shown whole."""
    if noun is None or noun in ALWAYS_WHOLE:
        return []
    hints = _hints(noun)
    names = {
        noun.expansions.get(field.name, field.encode_name)
        for field in msgspec.structs.fields(noun)
        if field.name not in noun.own and _is_block(hints[field.name])
    }
    return sorted(names | set(noun.deep))


def _is_block(hint: Any) -> bool:
    if get_origin(hint) in (list, dict):
        return True
    if isinstance(hint, type):
        return issubclass(hint, msgspec.Struct)
    return any(_is_block(part) for part in get_args(hint))


# --- what all share --------------------------------------------------------------------------------------------------


def _ref(name: str) -> Schema:
    return {"$ref": SCHEMAS + name}


_SHARED: dict[str, Schema] = {
    "Currency": {
        "type": "object",
        "description": "An amount in the merchant's currency. A request may also say it as a plain number.",
        "properties": {
            "value": {"type": "number"},
            "localized": {"type": "number", "readOnly": True},
            "localized_formatted": {"type": "string", "readOnly": True},
        },
        "required": ["value"],
    },
    "ResponseMetadata": {
        "type": "object",
        "properties": {"payload_name": STRING, "result_set": _ref("ResultSet")},
    },
    "ResultSet": {
        "type": "object",
        "description": "Of a list. `total_records` is left out where nobody has counted.",
        "properties": {
            "count": INTEGER,
            "limit": INTEGER,
            "offset": INTEGER,
            "total_records": INTEGER,
            "more": BOOLEAN,
            "next_offset": INTEGER,
        },
        "required": ["count", "limit", "offset"],
    },
    "Error": {
        "type": "object",
        "properties": {
            "developer_message": STRING,
            "user_message": STRING,
            "error_code": {"type": "string", "description": "the HTTP status"},
        },
        "required": ["developer_message", "user_message"],
    },
    "ErrorResponse": {
        "type": "object",
        "properties": {
            "error": _ref("Error"),
            "metadata": {"type": "object"},
            "problems": {"type": "array", "items": _ref("Problem")},
            "code": {"type": "string", "description": "what kind of error, for machines"},
            "request_id": STRING,
        },
        "required": ["error", "metadata", "problems"],
    },
}

_HEADERS: dict[str, Schema] = {
    "X-UltraCart-Request-Id": {"description": "names the request in all logs", "schema": STRING},
    "UC-REST-ERROR": {"description": "the error in one line", "schema": STRING},
    "Retry-After": {"description": "seconds to wait; of 429 and 503", "schema": INTEGER},
}
_NAMES = {"400": "Invalid", "401": "Unauthorised", "403": "NotAllowed", "404": "NotFound", "default": "Failed"}


def _error_response(description: str, *headers: str) -> Schema:
    named = ("X-UltraCart-Request-Id", "UC-REST-ERROR", *headers)
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in named},
        "content": {"application/json": {"schema": _ref("ErrorResponse")}},
    }


_RESPONSES: dict[str, Schema] = {
    "Invalid": _error_response("The request breaks rules, all in `problems`; or what it changes is not there."),
    "Unauthorised": _error_response("The key is missing or not known; or the signature is not the gateway's."),
    "NotAllowed": _error_response("The key lacks the scope, or the page's origin is not allowed."),
    "NotFound": _error_response("There is no such thing."),
    "Failed": _error_response(
        "409 a condition did not hold, 412 somebody was faster, 413 too large, 429 too many, 503 busy (try again), "
        "500 an error of ours.",
        "Retry-After",
    ),
}
# The page puts the cursor into the last one: the key that most calls need.
_SECURITY: dict[str, Schema] = {
    "ultraCartBrowserApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "x-ultracart-browser-key",
        "description": "for a storefront's pages; it may stand in their source",
    },
    "ultraCartOauth": {"type": "http", "scheme": "bearer"},
    "ultraCartSimpleApiKey": {"type": "apiKey", "in": "header", "name": "x-ultracart-simple-key"},
}
