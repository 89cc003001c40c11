"""The API reference: the document says what the app does, and the page that shows it runs under a strict policy."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from app import app
from chalicelib.domain.access import RESOURCES
from chalicelib.domain.events import CATALOGUE
from chalicelib.domain.webhooks import Answer
from chalicelib.domain.wire import Noun
from chalicelib.flows.deliver import deliver
from chalicelib.flows.reconcile import go_on
from chalicelib.handlers import docs, files, openapi
from chalicelib.handlers.http import OPEN, PAGE, ROUTES, SESSION, SIGNED, STOREFRONT, WITHOUT_KEY, Route
from tests.houses import Reply, TestHouse, a_house
from tests.worlds import NoOutside

ROOT = Path(__file__).parent.parent.parent
# How long the page of two hundred calls may take to be drawn while the other processor is busy, in milliseconds.
PATIENCE = 90_000
GREEN = "4111111111111111"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(openapi.text())
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def everywhere(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document, however deep."""
    if isinstance(value, dict):
        yield value
        for entry in value.values():
            yield from everywhere(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from everywhere(entry)


# --- routes ----------------------------------------------------------------------------------------------------------


def test_every_route_is_declared_with_a_scope_and_none_stands_outside() -> None:
    declared = {(route.method, route.path) for route in ROUTES}
    standing = {(method, path) for path, methods in app.routes.items() for method in methods}
    assert standing == declared
    assert len(declared) == len(ROUTES)
    scopes = {f"{resource}_{way}" for resource in RESOURCES for way in ("read", "write")}
    assert {route.scope for route in ROUTES} <= scopes | {*WITHOUT_KEY, SESSION, STOREFRONT}


def documented() -> list[Route]:
    return [
        r
        for r in ROUTES
        if r.method != "OPTIONS"
        and r.scope != PAGE
        and not r.path.startswith(("/docs", "/admin"))
        and r.path != "/rest/v2/openapi.json"
    ]


def test_every_call_is_documented_once_under_a_name_of_its_own(document: dict[str, Any]) -> None:
    assert {(m, p) for m, p, _ in operations(document)} == {(r.method, r.path) for r in documented()}
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


def test_what_is_said_of_single_calls_is_said_of_calls_that_exist() -> None:
    said = {*openapi.ANSWERS, *openapi.CRITERIA, *openapi.OPTIONAL_BODIES, *openapi.IDEMPOTENT}
    assert said <= {route.name for route in documented()}


def test_each_call_names_the_key_that_opens_it(document: dict[str, Any]) -> None:
    scopes = {(route.method, route.path): route.scope for route in ROUTES}
    for method, path, operation in operations(document):
        scope, security = scopes[method, path], operation["security"]
        if scope == STOREFRONT:
            assert security == [{"ultraCartBrowserApiKey": []}]
        elif scope in (OPEN, SIGNED):
            assert security == []
        else:
            assert security == [{"ultraCartSimpleApiKey": [scope]}, {"ultraCartOauth": [scope]}]
    assert set(document["components"]["securitySchemes"]) == {
        "ultraCartSimpleApiKey",
        "ultraCartOauth",
        "ultraCartBrowserApiKey",
    }


def test_every_part_of_a_path_is_a_parameter(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))


def test_every_criterion_that_is_documented_is_taken(document: dict[str, Any], house: TestHouse) -> None:
    key = house.found()
    for name in openapi.CRITERIA:
        ((path, operation),) = [(p, o) for _, p, o in operations(document) if o["operationId"] == name]
        for parameter in operation["parameters"]:
            example = {"integer": "1", "number": "1", "boolean": "true"}.get(parameter["schema"].get("type"), "")
            reply = house.call("GET", path, key=key, query={parameter["name"]: example})
            assert reply.status == 200, (name, parameter, reply.body)


# --- the document ----------------------------------------------------------------------------------------------------


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"] == "3.1.0"
    assert "jsonSchemaDialect" not in document


def test_every_schema_is_a_json_schema_and_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for found in everywhere(document):
        if isinstance(reference := found.get("$ref"), str):
            target: Any = document
            for part in reference.removeprefix("#/").split("/"):
                target = target[part]


def test_nothing_is_null_and_amounts_are_numbers(document: dict[str, Any]) -> None:
    for found in everywhere(document):
        assert found.get("type") != "null", found
        assert found.get("format") != "decimal", found
        assert None not in found.values(), found


def test_amounts_and_instants_look_as_they_are_rendered(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["OrderSummary"]["properties"]["total"] == {"$ref": "#/components/schemas/Currency"}
    assert set(schemas["Currency"]["properties"]) == {"value", "localized", "localized_formatted"}
    assert schemas["Order"]["properties"]["creation_dts"]["format"] == "date-time"


@pytest.mark.parametrize("noun", ["Webhook", "DeliveryLog", "Order", "Item"])
def test_what_is_never_shown_is_not_documented_and_what_the_server_sets_is_read_only(
    document: dict[str, Any], noun: str
) -> None:
    types = [*openapi.NOUNS.values(), *(t for route in ROUTES for t in openapi._answer_types(route).values())]
    (type_,) = {struct for t in types for struct in openapi.structs_in(t) if struct.__name__ == noun}
    assert issubclass(type_, Noun)
    properties = document["components"]["schemas"][noun]["properties"]
    assert not type_.own & set(properties)
    assert {name for name, schema in properties.items() if schema.get("readOnly")} == set(type_.read_only)


def test_what_a_noun_calls_its_fields_stands_in_their_schemas(document: dict[str, Any]) -> None:
    types = [*(route.takes for route in ROUTES), *openapi.NOUNS.values()]
    called = {struct for t in types for struct in openapi.structs_in(t) if getattr(struct, "words", None)}
    assert called
    for struct in called:
        properties = document["components"]["schemas"][struct.__name__]["properties"]
        for name, (title, *_) in struct.words.items():  # type: ignore[attr-defined]
            assert properties[name]["title"] == title


def test_the_bounds_of_an_amount_are_those_that_are_enforced(document: dict[str, Any], house: TestHouse) -> None:
    quantity = document["components"]["schemas"]["OrderItem"]["properties"]["quantity"]
    assert quantity == {"type": "number", "exclusiveMinimum": 0, "maximum": 100_000}
    key = house.found()
    house.call("POST", "/rest/v2/item/items", {"merchant_item_id": "TEA", "pricing": {"cost": 1}}, key=key)
    for value, wanted in ((0, 400), (0.5, 200), (100_000, 200), (100_001, 400)):
        body = {"items": [{"merchant_item_id": "TEA", "quantity": value}], "billing": {"email": "a@example.com"}}
        reply = house.call("POST", "/rest/v2/order/orders", body, key=key)
        assert reply.status == wanted, (value, reply.body)
        if wanted == 400:
            assert reply.problems == {"/items/0/quantity": "out_of_range"}


def test_a_bound_is_found_wherever_the_amount_stands() -> None:
    from chalicelib.domain.fields import Amount, Percentage, Quantity

    assert openapi._bounds(Amount | None) == {"minimum": 0, "maximum": 9_999_999}
    assert openapi._bounds(list[Percentage] | None) == {"minimum": 0, "maximum": 100}
    assert openapi._bounds(dict[str, Quantity]) == {"exclusiveMinimum": 0, "maximum": 100_000}
    assert openapi._bounds(Decimal | None) == {}


def test_every_event_is_a_webhook_that_carries_its_noun(document: dict[str, Any]) -> None:
    assert set(document["webhooks"]) == {name for names in CATALOGUE.values() for name in names}
    body = document["webhooks"]["order_create"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    event = body["properties"]["events"]["oneOf"][0]["items"]
    assert event["properties"] == {"order_create": {"$ref": "#/components/schemas/Order"}}


# --- what the app answers is what the document says -------------------------------------------------------------------


class Checked:
    """A house whose every answer is held against the document."""

    def __init__(self, house: TestHouse, document: dict[str, Any]) -> None:
        self.house, self.document = house, document
        self.seen: set[str] = set()

    def call(self, name: str, body: Any = None, *, key: str, wanted: int = 200, **more: Any) -> Reply:
        """``more``: parts of the path, ``query`` and ``headers``."""
        ((method, path, operation),) = [o for o in operations(self.document) if o[2]["operationId"] == name]
        query, headers = more.pop("query", None), more.pop("headers", None)
        reply = self.house.call(method, path.format(**more), body, key=key, query=query, headers=headers)
        assert reply.status == wanted, (name, reply.body)
        if body is not None and wanted == 200:
            self.hold(body, operation["requestBody"]["content"]["application/json"]["schema"])
        said = operation["responses"].get(str(wanted)) or operation["responses"]["default"]
        if "$ref" in said:
            said = self.document["components"]["responses"][said["$ref"].rsplit("/", 1)[1]]
        for header in said.get("headers", {}):
            assert header in reply.headers or header == "Retry-After", (name, header)
        if "content" in said:
            schema = said["content"]["application/json"]["schema"]
            self.hold(reply.json, schema)
            if wanted == 200:
                # The envelope is open to more, so that it may grow; what it holds today is all documented.
                assert set(reply.json) <= set(schema["properties"]) | {"error"}, (name, set(reply.json))
        else:
            assert reply.body == ""
        self.seen.add(name)
        return reply

    def hold(self, value: Any, schema: dict[str, Any]) -> None:
        whole = {**schema, "components": self.document["components"]}
        Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


class Receiver(NoOutside):
    """Takes what is posted and keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[Any] = []

    def post(self, url: str, body: bytes, headers: Any) -> Answer:
        self.bodies.append(json.loads(body))
        return Answer(status=200, body="thanks", duration_ms=12)


EVERYTHING = {
    "order": "billing,shipping,item,summary,payment,payment.transaction,auto_order,checkout,coupon,taxes,internal",
    "auto_order": (
        "items,items.future_schedules,items.sample_schedule,add_ons,logs,original_order,rebill_orders,properties,emails,"
        "management"
    ),
    "item": "pricing,auto_order,shipping,tax,physical,restriction,accounting,properties,tags",
    "customer": "billing,shipping,cards,tags,properties,cc_emails",
}
TEA = {
    "merchant_item_id": "TEA",
    "description": "Green tea",
    "pricing": {"cost": 9.5},
    "auto_order": {"auto_orderable": True, "auto_order_schedules": ["Monthly"]},
}
JOE = {
    "email": "joe@example.com",
    "billing": [{"first_name": "Joe", "country_code": "US"}],
    "tags": [{"tag_value": "x"}],
}
JANE = {"email": "jane@example.com", "first_name": "Jane", "country_code": "US"}


def expanded(noun: str) -> dict[str, str]:
    return {"_expand": EVERYTHING[noun]}


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def shop(document: dict[str, Any], receiver: Receiver) -> Checked:
    house = a_house(http=receiver)
    house.found(allowed_origins=[])
    return Checked(house, document)


@pytest.fixture
def key(shop: Checked) -> str:
    return shop.house.key()


@pytest.fixture
def browser(shop: Checked) -> str:
    return shop.house.key(kind="browser")


def bought(shop: Checked, key: str, browser: str) -> str:
    """An order that a shopper has placed and paid; TEA comes every month from now on."""
    if shop.house.call("GET", "/rest/v2/item/items/merchant_item_id/TEA", key=key).status == 404:
        shop.call("insert_item", TEA, key=key)
    card = {"card_number": GREEN, "card_expiration_month": 12, "card_expiration_year": 2030}
    token = shop.call("create_card_token", card, key=browser).json["card_token"]
    line = {"merchant_item_id": "TEA", "quantity": 2, "auto_order_schedule": "Monthly"}
    order = {"items": [line], "billing": JANE, "card_token": token}
    reply = shop.call("place_order", order, key=browser, headers={"Idempotency-Key": "order-1"})
    return str(reply.json["order"]["order_id"])


def test_answers_of_the_catalogue_and_the_settings_are_as_documented(shop: Checked, key: str, browser: str) -> None:
    made = shop.call("insert_item", TEA, key=key, query=expanded("item")).json["item"]["merchant_item_oid"]
    shop.call("get_items", key=key, query=expanded("item"))
    shop.call("update_item", {"pricing": {"cost": 12.25}}, key=key, merchant_item_oid=made, query=expanded("item"))
    shop.call("get_storefront_item", key=browser, merchant_item_id="TEA")
    shop.call("delete_item", key=key, merchant_item_oid=made, wanted=204)
    shop.call("get_item", key=key, merchant_item_oid=made, wanted=404)
    coupon = {"merchant_code": "TEN", "percent_off_subtotal": {"discount_percent": 10}}
    shop.call("insert_coupon", coupon, key=key)
    shop.call("get_coupons", key=key)
    shop.call("does_coupon_code_exist", key=key, merchant_code="TEN")
    shop.call("insert_customer", JOE, key=key, query=expanded("customer"))
    for section in ("merchant", "auto_order_processing", "shipping_methods", "taxes"):
        shop.call(f"get_{section}", key=key)
    shop.call("get_auto_order_processing_schema", key=key)


def test_answers_about_users_are_as_documented(shop: Checked, key: str) -> None:
    made = shop.call("insert_user", {"login": "anna"}, key=key).json["user"]["user_id"]
    shop.call("get_users", key=key)
    shop.call("get_user", key=key, user_id=made)
    shop.call("insert_user_welcome", key=key, user_id=made)
    shop.call("update_user", {"phone": "1"}, key=key, user_id=made)
    shop.house.owner()
    logged = next(user["user_id"] for user in shop.call("get_users", key=key).json["users"] if user.get("owner"))
    assert shop.call("get_user_logins", key=key, user_id=logged).json["logins"]
    shop.call("insert_user", {"login": "anna"}, key=key, wanted=400)
    shop.call("delete_user", key=key, user_id=made, wanted=204)


def test_answers_about_reconciliations_are_as_documented(shop: Checked, key: str, browser: str) -> None:
    bought(shop, key, browser)
    shop.call("begin_reconciliation", {"gateway": "sandbox"}, key=key)
    [(_, message)] = shop.house.sent.take()
    with shop.house.sandbox._db as db:
        db.execute("update capture set amount = '1.00'")
    go_on(shop.house.open_shop("DEMO"), message["gateway"], message["day"])
    shown = shop.call("get_reconciliations", key=key, query={"since": "2027-01-31"}).json["reconciliations"]
    assert shown[0]["number_of_held"] == 1
    shop.call("get_reconciliations", key=key, query={"since": "today"}, wanted=400)


def test_what_a_gateway_may_be_answered_is_as_documented(shop: Checked) -> None:
    shop.call("take_gateway_event", {}, key="api_none", merchant_id="DEMO", code="sandbox", wanted=401)
    shop.call("take_gateway_event", {}, key="api_none", merchant_id="NONE", code="sandbox", wanted=404)


def test_refusals_are_as_documented(shop: Checked, key: str) -> None:
    shop.call("insert_item", {"merchant_item_id": "", "colour": "red"}, key=key, wanted=400)
    shop.call("get_items", key="api_unknown", wanted=401)
    shop.call("get_items", key=shop.house.key(scopes=["order_read"]), wanted=403)


def test_answers_about_orders_and_auto_orders_are_as_documented(shop: Checked, key: str, browser: str) -> None:
    order_id = bought(shop, key, browser)
    shop.call("get_order", key=key, order_id=order_id, query=expanded("order"))
    shop.call("get_orders", key=key, query=expanded("order"))
    shop.call("get_orders_by_query", {"email": "jane@example.com"}, key=key, query=expanded("order"))
    line = {"merchant_item_id": "TEA", "quantity": 1}
    unpaid = shop.call("insert_order", {"items": [line], "billing": JANE}, key=key, query=expanded("order")).json
    shop.call("process_payment", key=key, order_id=unpaid["order"]["order_id"], wanted=400)
    shop.call("assign_to_affiliate", {"affiliate_id": 5}, key=key, order_id=order_id, query=expanded("order"))
    found = shop.call("get_auto_orders", key=key, query=expanded("auto_order")).json["auto_orders"]
    oid = found[0]["auto_order_oid"]
    shop.call("get_auto_order", key=key, auto_order_oid=oid, query=expanded("auto_order"))
    shop.call("explain_auto_order", key=key, auto_order_oid=oid)
    shop.call("attempt_auto_order_rebill", key=key, auto_order_oid=oid)
    shop.call("rehearse", key=key, query={"until": "2027-04-01T00:00:00Z"})
    shop.house.clock.pass_(days=32)
    rebilled = shop.call("attempt_auto_order_rebill", key=key, auto_order_oid=oid, query=expanded("auto_order")).json
    assert rebilled["rebill_success"]
    shop.call("pause_auto_order", key=key, auto_order_oid=oid, query=expanded("auto_order"))


def test_answers_about_parts_of_auto_orders_are_as_documented(shop: Checked, key: str, browser: str) -> None:
    order_id = bought(shop, key, browser)
    shown, one = expanded("auto_order"), {"key": key}
    found = shop.call("get_auto_order_by_reference_order_id", key=key, reference_order_id=order_id, query=shown)
    auto_order = found.json["auto_order"]
    one |= {"auto_order_oid": auto_order["auto_order_oid"]}
    item = one | {"auto_order_item_oid": auto_order["items"][0]["auto_order_item_oid"]}
    properties = {"properties": [{"name": "gift", "value": "yes"}]}
    shop.call("update_auto_order", {"override_affiliate_id": 5}, **one, query=shown)
    shop.call("update_auto_order_properties", properties, **one, query=shown)
    shop.call("update_auto_order_item_properties", properties, **item, query=shown)
    shop.call("update_auto_order_item_add_ons", {"add_on_items": []}, **item, query=shown)
    shop.call("get_auto_order_update_billing_url", **one)
    shop.call("get_auto_order_emails", **one)
    shop.call("get_auto_order_cancel_reasons", key=key)
    shop.call("reset_auto_order_attempts", **one)
    card = {"card_number": GREEN, "card_expiration_month": 12, "card_expiration_year": 2030}
    token = shop.call("create_card_token", card, key=browser).json["card_token"]
    payment = {"card_number_token": token, "attempt_rebill": True}
    shop.call("update_auto_order_payment", payment, **one, query=shown)
    shop.house.clock.pass_(days=40)
    shop.call("attempt_auto_order_rebill", **one)
    timeline = shop.call("get_auto_order_timeline", **one).json["timeline"]
    assert {row["kind"] for row in timeline} >= {"edited", "billed"}
    yearly = {"original_item_id": "TEA", "original_quantity": 1, "frequency": "Yearly"}
    ended = {"mode": "end", "append_items": [yearly]}
    by_order = {"key": key, "reference_order_id": order_id}
    shop.call("cancel_auto_order_item_by_reference_order_id", ended, **by_order, original_item_id="TEA", query=shown)
    shop.call("establish_auto_order_by_reference_order_id", **by_order, wanted=400)


def test_answers_about_many_auto_orders_are_as_documented(shop: Checked, key: str, browser: str) -> None:
    bought(shop, key, browser)
    (oid,) = (found["auto_order_oid"] for found in shop.call("get_auto_orders", key=key).json["auto_orders"])
    shown = expanded("auto_order")
    shop.call("get_auto_orders_batch", {"auto_order_oids": [oid]}, key=key, query=shown)
    edits = {"autoOrders": [{"auto_order_oid": oid, "override_affiliate_id": 5}]}
    shop.call("update_auto_orders_batch", edits, key=key, query=shown)
    queued = shop.call("update_auto_orders_batch", edits, key=key, query={"_async": "true"}).json["batch"]
    shop.call("get_auto_order_batch", key=key, batch_id=queued["batch_id"])
    shop.call("consolidate_auto_orders", {"source_auto_order_oids": [oid]}, key=key, auto_order_oid=oid, wanted=400)


def subscribed() -> dict[str, Any]:
    """A webhook that wants everything, whole."""
    categories = [
        {
            "event_category": category,
            "subscribed": True,
            "events": [{"event_name": n, "subscribed": True, "expansion": EVERYTHING[category]} for n in names],
        }
        for category, names in CATALOGUE.items()
    ]
    return {"webhook_url": "https://shop.example.com/hook", "event_categories": categories}


def pass_on(shop: Checked, oid: int) -> None:
    shop.house.relay()
    waiting = shop.house.backroom().waiting
    for shard in waiting.shards():
        for row in waiting.due("deliveries", shard, shop.house.clock.now(), 1000)[0]:
            deliver(shop.house.open_shop(row.merchant_id), oid, row.subject.partition("/")[2])


def test_answers_about_webhooks_are_as_documented(shop: Checked, key: str) -> None:
    oid = shop.call("insert_webhook", subscribed(), key=key).json["webhook"]["webhook_oid"]
    shop.call("insert_item", TEA, key=key)
    pass_on(shop, oid)
    logs = shop.call("get_webhook_log_summaries", key=key, webhookOid=oid).json["webhook_log_summaries"]
    request_id = logs[0]["request_id"]
    shop.call("get_webhook_log", key=key, webhookOid=oid, requestId=request_id)
    shop.call("resend_webhook_delivery", key=key, webhookOid=oid, requestId=request_id)
    shop.call("get_webhooks", key=key, query={"_placeholders": "true"})
    shop.call("get_webhook_event_categories", key=key)
    shop.call("rotate_webhook_secret", key=key, webhookOid=oid)
    shop.call("resend_event", key=key, webhookOid=oid, eventName="item_update")
    shop.call("get_dead_webhook_deliveries", key=key, webhookOid=oid)
    shop.call("replay_dead_webhook_deliveries", key=key, webhookOid=oid)
    shop.call("update_webhook", {"name": "x"}, key=key, webhookOid=oid)
    shop.call("delete_webhook", key=key, webhookOid=oid, wanted=204)


def test_what_a_webhook_gets_is_as_documented(shop: Checked, key: str, browser: str, receiver: Receiver) -> None:
    oid = shop.call("insert_webhook", subscribed(), key=key).json["webhook"]["webhook_oid"]
    bought(shop, key, browser)
    shop.call("insert_customer", JOE, key=key)
    pass_on(shop, oid)
    told = set()
    for body in receiver.bodies:
        (name,) = body["events"][0]
        told.add(name)
        said = shop.document["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]["schema"]
        shop.hold(body, said)
    assert {"item_create", "order_create", "order_payment_process", "auto_order_create", "customer_create"} <= told


# --- serving ---------------------------------------------------------------------------------------------------------


def test_the_document_is_open_to_anybody_and_made_once(house: TestHouse) -> None:
    reply = house.call("GET", "/rest/v2/openapi.json")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert reply.body == openapi.text()
    assert openapi.text() is openapi.text()


@pytest.mark.parametrize("path", ["/rest/v2/openapi.json", "/docs", *(f"/docs/{name}" for name in docs.FILES)])
def test_what_a_browser_has_already_is_not_sent_again(house: TestHouse, path: str) -> None:
    first = house.call("GET", path)
    assert first.headers["Cache-Control"] == "no-cache"
    again = house.call("GET", path, headers={"If-None-Match": f'"other", W/{first.headers["ETag"]}'})
    assert (again.status, again.body, again.headers["ETag"]) == (304, "", first.headers["ETag"])
    assert house.call("GET", path, headers={"If-None-Match": '"other"'}).body == first.body


def test_the_page_lets_no_script_run_but_its_own_and_sends_nothing_elsewhere(house: TestHouse) -> None:
    reply = house.call("GET", "/docs")
    rules = dict(rule.split(" ", 1) for rule in reply.headers["Content-Security-Policy"].split("; "))
    assert rules["default-src"] == "'none'"
    assert (rules["script-src"], rules["style-src"], rules["connect-src"]) == ("'self'",) * 3
    assert "unsafe" not in reply.headers["Content-Security-Policy"]
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bon\w+=|style=|https?://", reply.body)
    loaded = set(re.findall(r'(?:src|href)="docs/([^"]+)"', reply.body))
    assert loaded == set(docs.FILES)


def test_with_a_slash_at_its_end_the_page_leads_to_where_its_files_are(house: TestHouse) -> None:
    reply = house.call("GET", "/docs/")
    assert (reply.status, reply.headers["Location"]) == (301, "../docs")


@pytest.mark.parametrize("name", ["index.html", "..%2Fdocs%2Findex.html", "..%2F..%2Fconfig.py", "LICENSE", "x" * 300])
def test_no_other_file_is_served(house: TestHouse, name: str) -> None:
    assert house.call("GET", f"/docs/{name}").status == 404


VENDORED = {
    "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "NOTICE": "0d20d1adef18aee3f40dd258172155521ce702ac445cb5f7b7d60ed32dad2fb2",
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui-bundle.js.LICENSE.txt": "37eb6e7e59aed57b2c1acf076574b818ea07b74265717e0bd67b59e0baf9abbb",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}


def test_swagger_ui_is_what_its_makers_published_as_5_35_0(house: TestHouse) -> None:
    folder = files.ADMIN / "vendor" / "swagger-ui"
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    assert found == VENDORED
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        served = house.call("GET", f"/docs/{name}").body
        assert hashlib.sha256(served.encode()).hexdigest() == VENDORED[name]


def test_starting_the_app_reads_no_page_and_makes_no_document() -> None:
    program = (
        "import app; from chalicelib.handlers import files, openapi; "
        "print(files.text.cache_info().currsize, openapi.text.cache_info().currsize)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["0", "0"]), done.stderr


# --- in a browser ----------------------------------------------------------------------------------------------------


def test_in_a_browser_the_page_shows_every_call_and_makes_one(chromium: Any, house: TestHouse) -> None:
    """The browser's requests come to the house's door; nothing goes out."""
    key = house.found()
    house.call("POST", "/rest/v2/item/items", TEA, key=key)
    complaints: list[str] = []
    asked: list[str] = []

    def refused(text: str) -> bool:
        return "Content Security Policy" in text or "Failed to load" in text

    def answer(route: Any) -> None:
        request = route.request
        asked.append(request.url)
        path = request.url.removeprefix("http://backroom.test/prod")
        reply = house.call(request.method, path, request.post_data_buffer, headers=request.headers)
        route.fulfill(status=reply.status, headers=reply.headers, body=reply.body)

    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("console", lambda message: complaints.append(message.text) if refused(message.text) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.route("**/*", answer)
    page.goto("http://backroom.test/prod/docs#/item/get_items")
    page.wait_for_selector("#operations-item-get_items .try-out__btn")
    assert page.locator(".errors-wrapper").count() == 0
    tags = {tag.get_attribute("data-tag") for tag in page.locator(".opblock-tag").all()}
    assert tags == {openapi._tag(route) for route in documented()}
    assert "order_payment_process" in page.inner_text(".webhooks")

    page.click("button.authorize")
    page.locator(".auth-container", has_text="ultraCartSimpleApiKey").locator("input").fill(key)
    page.locator(".auth-container", has_text="ultraCartSimpleApiKey").locator("button.authorize").click()
    page.locator(".auth-container", has_text="ultraCartSimpleApiKey").locator("button.btn-done").click()
    page.click("#operations-item-get_items .try-out__btn")
    page.click("#operations-item-get_items .execute")
    page.wait_for_selector("#operations-item-get_items .live-responses-table")
    assert "Green tea" in page.inner_text("#operations-item-get_items .live-responses-table")
    assert not complaints
    assert all(url.startswith("http://backroom.test/prod/") for url in asked), asked

    # And the policy is no mere text.
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.bad = 1'}))")
    assert page.evaluate("window.bad") is None
    assert len(complaints) == 1
    context.close()
