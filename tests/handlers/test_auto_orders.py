"""Auto orders over HTTP: every call answers in the contract's form, refuses by name, and keeps merchants apart."""

from typing import Any

import pytest

from chalicelib.domain.dates import later, parse_instant
from chalicelib.domain.links import UPDATE_BILLING_SECONDS
from chalicelib.handlers.http import ROUTES
from tests.houses import Reply, TestHouse

ALL = "/rest/v2/auto_order/auto_orders"
GOOD, OTHER, DECLINES = "4111111111111111", "5555555555554444", "4000000000000002"
TAB = {"auto_orderable": True, "auto_order_schedules": ["Weekly", "Monthly"]}
JANE = {"email": "jane@example.com", "first_name": "Jane", "last_name": "Roe", "country_code": "US"}


class Desk:
    """One merchant's key to the house, with tea on the shelf and auto orders of it."""

    def __init__(self, house: TestHouse, merchant_id: str = "DEMO") -> None:
        self.house = house
        self.key = house.found(merchant_id, allowed_origins=[], sender_email="shop@example.com")
        self.browser = house.key(merchant_id, kind="browser")
        for name in ("TEA", "CUP"):
            self.made(
                "POST", "/rest/v2/item/items", {"merchant_item_id": name, "pricing": {"cost": 9.5}, "auto_order": TAB}
            )

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Reply:
        return self.house.call(method, path, body, key=self.key, query=query or None)

    def made(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        reply = self.call(method, path, body, **query)
        assert reply.status == 200, reply.body
        return reply.json

    def token(self, number: str = GOOD) -> str:
        card = {"card_number": number, "card_expiration_month": 12, "card_expiration_year": 2040}
        return str(self.house.call("POST", "/storefront/card_tokens", card, key=self.browser).json["card_token"])

    def order(self, schedule: str | None = "Weekly", email: str = "jane@example.com") -> str:
        line: dict[str, Any] = {"merchant_item_id": "TEA", "quantity": 1}
        line |= {"auto_order_schedule": schedule} if schedule else {}
        payment = {"credit_card": {"card_number_token": self.token()}}
        order = {"items": [line], "billing": JANE | {"email": email}, "payment": payment}
        order_id = str(self.made("POST", "/rest/v2/order/orders", order)["order"]["order_id"])
        self.made("POST", f"/rest/v2/order/orders/{order_id}/process_payment", {})
        return order_id

    def auto_order(self, **more: Any) -> int:
        found = self.made("GET", f"{ALL}/reference_order_id/{self.order(**more)}")
        return int(found["auto_order"]["auto_order_oid"])

    def item(self, oid: int) -> dict[str, Any]:
        item: dict[str, Any] = self.made("GET", f"{ALL}/{oid}", _expand="items")["auto_order"]["items"][0]
        return item

    def rows(self, oid: int) -> list[dict[str, Any]]:
        timeline: list[dict[str, Any]] = self.made("GET", f"{ALL}/{oid}/timeline")["timeline"]
        return timeline


@pytest.fixture
def desk(house: TestHouse) -> Desk:
    return Desk(house)


@pytest.fixture
def oid(desk: Desk) -> int:
    return desk.auto_order()


def test_every_put_sent_twice_answers_the_same_and_changes_nothing_further(desk: Desk, oid: int) -> None:
    item_oid = desk.item(oid)["auto_order_item_oid"]
    source = desk.auto_order()
    properties = {"properties": [{"name": "a", "value": "b"}]}
    requests: dict[str, tuple[str, Any]] = {
        "update_auto_order": (f"/{oid}", {"override_affiliate_id": 7}),
        "pause_auto_order": (f"/{oid}/pause", {}),
        "update_auto_order_properties": (f"/{oid}/properties", properties),
        "update_auto_order_item_properties": (f"/{oid}/items/{item_oid}/properties", properties),
        "update_auto_order_payment": (f"/{oid}/payment", {"card_number_token": desk.token(), "attempt_rebill": True}),
        "update_auto_orders_batch": ("/batch", {"autoOrders": [{"auto_order_oid": oid, "override_affiliate_id": 8}]}),
        "consolidate_auto_orders": (f"/{oid}/consolidate", {"source_auto_order_oids": [source]}),
    }
    # Add-ons are edits of an item like its properties.
    puts = {r.name for r in ROUTES if r.method == "PUT" and r.path.startswith(ALL)} - {"update_auto_order_item_add_ons"}
    assert puts == set(requests)
    for name, (path, body) in requests.items():
        first = desk.call("PUT", ALL + path, body)
        assert first.status == 200, (name, first.body)
        kept = desk.house.everything()
        again = desk.call("PUT", ALL + path, body)
        assert (again.status, again.json) == (200, first.json), name
        assert desk.house.everything() == kept, name


def test_each_change_names_the_key_that_made_it(desk: Desk, oid: int) -> None:
    desk.made("PUT", f"{ALL}/{oid}", {"override_affiliate_id": 7})
    entry, begun = desk.rows(oid)
    assert (entry["kind"], entry["actor"], begun["kind"]) == ("edited", "key test", "begun")
    assert entry["changes"] == [{"field": "override_affiliate_id", "after": "7"}]
    logs = desk.made("GET", f"{ALL}/{oid}", _expand="logs")["auto_order"]["logs"]
    assert [set(log) for log in logs] == [{"log_dts", "log_message"}] * 2
    assert "override_affiliate_id: nothing → 7 (by key test)" in logs[1]["log_message"]


def test_each_change_names_the_user_who_is_signed_in(desk: Desk, oid: int) -> None:
    owner = desk.house.owner(login="olga@example.com")
    assert owner.call("PUT", f"{ALL}/{oid}", {"override_affiliate_id": 7}).status == 200
    assert desk.rows(oid)[0]["actor"] == "olga@example.com"


def test_the_timeline_comes_in_pages_whose_cursors_are_good_for_nothing_else(desk: Desk, oid: int) -> None:
    for affiliate in range(1, 6):
        desk.made("PUT", f"{ALL}/{oid}", {"override_affiliate_id": affiliate})
    found: list[Any] = []
    query = {"_limit": "4"}
    while True:
        page = desk.made("GET", f"{ALL}/{oid}/timeline", **query)
        found += page["timeline"]
        if "next_cursor" not in page["metadata"]:
            break
        assert len(page["timeline"]) == 4
        query["cursor"] = page["metadata"]["next_cursor"]
    assert found == desk.rows(oid)
    assert len(found) == 6
    other = desk.auto_order()
    for path, cursor in ((f"/{other}/timeline", query["cursor"]), (f"/{oid}/timeline", "made-up")):
        reply = desk.call("GET", ALL + path, cursor=cursor)
        assert (reply.status, reply.problems) == (400, {"/cursor": "cursor_invalid"})


def test_an_attempt_by_hand_is_told_with_who_asked_for_it(desk: Desk, oid: int) -> None:
    desk.house.clock.pass_(days=8)
    desk.made("POST", f"{ALL}/{oid}/rebill")
    kinds = [(row["kind"], row["actor"]) for row in desk.rows(oid)]
    assert ("rebill_asked", "key test") in kinds
    assert ("billed", "system") in kinds


def test_a_card_is_replaced_by_a_token_and_billed_at_once_where_that_is_asked(desk: Desk, oid: int) -> None:
    desk.house.clock.pass_(days=8)
    body = {"card_number_token": desk.token(OTHER), "card_type": "MasterCard", "attempt_rebill": True}
    answer = desk.made("PUT", f"{ALL}/{oid}/payment", body, _expand="original_order,original_order.payment")
    card = answer["auto_order"]["original_order"]["payment"]["credit_card"]
    assert (card["card_type"], card["card_number"]) == ("MasterCard", "XXXXXXXXXXXX4444")
    assert (answer["rebill_attempted"], answer["rebill_success"]) == (True, True)
    assert answer["rebill_order_id"] == answer["auto_order"]["original_order"]["order_id"] + "-001"
    assert "stored_card" not in str(answer)


def test_a_card_that_is_declined_is_an_answer_and_no_error(desk: Desk, oid: int) -> None:
    desk.house.clock.pass_(days=8)
    body = {"card_number_token": desk.token(DECLINES), "attempt_rebill": True}
    answer = desk.made("PUT", f"{ALL}/{oid}/payment", body)
    assert (answer["rebill_attempted"], answer["rebill_success"]) == (True, False)
    assert answer["failure_reason"] == "The bank declined the charge."


def test_no_number_of_a_card_gets_in_or_is_kept(desk: Desk, oid: int) -> None:
    for body in (
        {"card_number_token": GOOD},
        {"card_number": GOOD, "card_number_token": "x"},
        {"card_number_token": desk.token(), "card_verification_number_token": "123"},
        {"card_number_token": desk.token(), "card_verification_number": "123"},
    ):
        reply = desk.call("PUT", f"{ALL}/{oid}/payment", body)
        assert reply.status == 400
        assert GOOD not in reply.body
    assert GOOD not in desk.house.everything()


def test_the_link_to_update_the_card_opens_this_auto_order_for_thirty_days(desk: Desk, oid: int) -> None:
    answer = desk.made("GET", f"{ALL}/{oid}/update_billing_url")
    url = answer["update_billing_url"]
    shown = desk.made("GET", f"{ALL}/{oid}", _expand="management")["auto_order"]["management"]
    assert shown == {"update_billing_url": url}
    token = url.partition("token=")[2]
    links = desk.house.open_shop("DEMO").links
    assert links.read("update_billing", token) == str(oid)
    desk.house.clock.pass_(seconds=UPDATE_BILLING_SECONDS)
    with pytest.raises(Exception, match="expired"):
        links.read("update_billing", token)


def test_mails_that_were_sent_and_kept_back_are_told_with_the_reason(desk: Desk, oid: int) -> None:
    desk.made("PUT", "/rest/v2/configuration/auto_order_processing", {"skip_receipt_email": True})
    desk.house.clock.pass_(days=8)
    desk.made("POST", f"{ALL}/{oid}/rebill")
    desk.house.relay()
    answer = desk.made("GET", f"{ALL}/{oid}/emails")
    assert answer["metadata"] == {"payload_name": "emails"}
    receipt, *kept_back = answer["emails"]
    assert (receipt["email"], receipt["skipped"]) == ("jane@example.com", False)
    assert [one["skipped"] for one in kept_back] == [True, True]
    assert all("skip_receipt_email" in one["skip_reason"] for one in kept_back)
    shown = desk.made("GET", f"{ALL}/{oid}", _expand="emails")["auto_order"]["emails"]
    assert shown == answer["emails"]


def test_cancel_reasons_stand_under_the_contracts_name(desk: Desk) -> None:
    assert desk.made("GET", f"{ALL}/cancel_reasons")["cancelReasons"] == []
    reasons = [
        {"reason": "Too dear", "visible_in_myaccount": True, "myaccount_alternate_description": "It costs too much"},
        {"reason": "Fraud", "visible_in_myaccount": False},
    ]
    desk.made("PUT", "/rest/v2/configuration/auto_order_processing", {"cancel_reasons": reasons})
    answer = desk.made("GET", f"{ALL}/cancel_reasons")
    assert (answer["cancelReasons"], answer["metadata"]) == (reasons, {"payload_name": "cancelReasons"})


def test_properties_are_replaced_whole_and_what_is_wrong_is_named_as_it_was_said(desk: Desk, oid: int) -> None:
    item_oid = desk.item(oid)["auto_order_item_oid"]
    for path in (f"/{oid}/properties", f"/{oid}/items/{item_oid}/properties"):
        first = [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]
        for wanted in (first, first[1:], []):
            answer = desk.made("PUT", ALL + path, {"properties": wanted}, _expand="properties,items")["auto_order"]
            shown = answer["items"][0] if "items" in path else answer
            assert shown.get("properties", []) == wanted
        wrong = {"properties": [{"name": "x" * 101, "colour": "red"}]}
        reply = desk.call("PUT", ALL + path, wrong)
        assert reply.problems == {"/properties/0/name": "out_of_range", "/properties/0/colour": "unknown_field"}
        assert desk.call("PUT", ALL + path, {}).problems == {"/properties": "required"}
    assert desk.call("PUT", f"{ALL}/{oid}/items/99/properties", {"properties": []}).status == 400


def test_a_batch_answers_the_auto_orders_in_the_order_in_which_they_were_named(desk: Desk) -> None:
    oids = [desk.auto_order() for _ in range(3)]
    named = [oids[2], oids[0], 99, oids[2]]
    answer = desk.made("POST", f"{ALL}/batch", {"auto_order_oids": named}, _expand="items")
    assert [found["auto_order_oid"] for found in answer["auto_orders"]] == [oids[2], oids[0]]
    assert all(found["items"] for found in answer["auto_orders"])
    assert desk.call("POST", f"{ALL}/batch", {"auto_order_oids": [1] * 201}).problems == {
        "/auto_order_oids": "too_many"
    }


def test_many_are_updated_at_once_or_left_to_the_workers_with_a_batch_to_ask_for(desk: Desk) -> None:
    oids = [desk.auto_order() for _ in range(2)]
    body = {"autoOrders": [{"auto_order_oid": oid, "override_affiliate_id": 9} for oid in oids]}
    answer = desk.made("PUT", f"{ALL}/batch", body, _placeholders="False")
    assert [found["override_affiliate_id"] for found in answer["auto_orders"]] == [9, 9]
    body["autoOrders"][0]["override_affiliate_id"] = 10
    queued = desk.made("PUT", f"{ALL}/batch", body, _async="True")["batch"]
    assert queued["number_waiting"] == 2
    assert desk.made("GET", f"/rest/v2/auto_order/batches/{queued['batch_id']}")["batch"] == queued
    assert desk.call("GET", "/rest/v2/auto_order/batches/none").status == 404


def test_actions_on_many_are_told_first_then_done_at_once_or_left_to_the_workers(desk: Desk) -> None:
    path, oids = "/rest/v2/auto_order/actions", [desk.auto_order() for _ in range(2)]
    body: dict[str, Any] = {"action": "skip", "auto_orders": [{"auto_order_oid": oid} for oid in (*oids, 99)]}
    kept = desk.house.everything()
    told = desk.made("POST", path, body, dry_run="true")["batch"]
    assert (told["number_ready"], told["number_refused"]) == (2, 1)
    assert told["auto_orders"][2]["problems"][0]["message"] == "There is no auto order 99."
    assert desk.house.everything() == kept, "looking writes nothing"
    days = [row["shipment_date"] for row in told["auto_orders"][:2]]
    rows = [{"auto_order_oid": oid, "shipment_date": day} for oid, day in zip(oids, days, strict=True)]
    for state in ("done", "unchanged"):
        done = desk.made("POST", path, {"action": "skip", "auto_orders": rows[:1]})["batch"]["auto_orders"][0]
        assert (done["state"], done["next_date"]) == (state, told["auto_orders"][0]["next_date"])
    assert desk.item(oids[0])["next_shipment_dts"][:10] == told["auto_orders"][0]["next_date"]
    later = {"action": "skip", "auto_orders": rows, "batch_id": "of-the-page-1"}
    queued = desk.made("POST", path, later, _async="true")["batch"]
    assert desk.made("GET", "/rest/v2/auto_order/batches/of-the-page-1")["batch"] == queued
    assert desk.call("POST", path, {"action": "skip", "auto_orders": []}).problems == {"/auto_orders": "out_of_range"}


def test_actions_reach_no_auto_order_of_another_merchants(desk: Desk, house: TestHouse, oid: int) -> None:
    theirs, path = Desk(house, "OTHER"), "/rest/v2/auto_order/actions"
    kept = house.everything()
    body = {"action": "cancel", "auto_orders": [{"auto_order_oid": oid}]}
    for query in ({"dry_run": "true"}, {}):
        (entry,) = theirs.made("POST", path, body, **query)["batch"]["auto_orders"]
        assert (entry["state"], entry["problems"][0]["code"]) == ("refused", "unknown")
    assert house.everything() == kept
    desk.made("POST", path, {**body, "batch_id": "named-by-one"}, _async="true")
    assert theirs.call("GET", "/rest/v2/auto_order/batches/named-by-one").status == 404


def test_an_order_gets_an_auto_order_and_an_item_of_it_is_ended_by_the_orders_id(desk: Desk) -> None:
    order_id = desk.order(schedule=None)
    made = desk.made("POST", f"{ALL}/reference_order_id/{order_id}", _expand="items")["auto_order"]
    assert (made["items"], made["status"], made["original_order_id"]) == ([], "active", order_id)
    item = {"original_item_id": "TEA", "original_quantity": 1, "frequency": "Weekly"}
    desk.made("PUT", f"{ALL}/{made['auto_order_oid']}", {"items": [item]})
    path = f"{ALL}/reference_order_id/{order_id}/items/original/TEA/cancel"
    ended = desk.made("POST", path, _expand="items")["auto_order"]["items"][0]
    assert "no_order_after_dts" in ended
    swapped = {"mode": "remove", "append_items": [item | {"original_item_id": "CUP"}]}
    (left,) = desk.made("POST", path, swapped, _expand="items")["auto_order"]["items"]
    assert left["original_item_id"] == "CUP"
    assert desk.call("POST", path, swapped).status == 400


def test_expansions_show_what_they_name_and_orders_in_full_with_their_own(desk: Desk, oid: int) -> None:
    desk.house.clock.pass_(days=8)
    desk.made("POST", f"{ALL}/{oid}/rebill")
    bare = desk.made("GET", f"{ALL}/{oid}")["auto_order"]
    assert not any(isinstance(value, list | dict) for value in bare.values())
    expand = "original_order,original_order.auto_order,original_order.billing,rebill_orders,rebill_orders.item"
    shown = desk.made("GET", f"{ALL}/{oid}", _expand=expand)["auto_order"]
    assert shown["original_order"]["billing"]["email"] == "jane@example.com"
    assert shown["original_order"]["auto_order"]["auto_order_oid"] == oid
    (rebilled,) = shown["rebill_orders"]
    assert (rebilled["items"][0]["merchant_item_id"], "billing" in rebilled) == ("TEA", False)
    assert "items" not in shown


def test_attempts_are_reset_by_a_call_of_their_own(desk: Desk, oid: int) -> None:
    desk.house.clock.pass_(days=8)
    desk.made("PUT", f"{ALL}/{oid}/payment", {"card_number_token": desk.token(DECLINES), "attempt_rebill": True})
    assert desk.made("GET", f"{ALL}/{oid}")["auto_order"]["credit_card_attempt"] == 1
    reply = desk.call("PUT", f"{ALL}/{oid}", {"credit_card_attempt": 0})
    assert reply.problems == {"/credit_card_attempt": "stale"}
    assert desk.made("POST", f"{ALL}/{oid}/reset_attempts")["auto_order"]["credit_card_attempt"] == 0


def test_another_merchants_auto_orders_are_no_auto_orders(desk: Desk, house: TestHouse, oid: int) -> None:
    item_oid = desk.item(oid)["auto_order_item_oid"]
    order_id = desk.made("GET", f"{ALL}/{oid}")["auto_order"]["original_order_id"]
    theirs = Desk(house, "OTHER")
    kept = house.everything()
    names = {"auto_order_oid": oid, "auto_order_item_oid": item_oid, "reference_order_id": order_id}
    names |= {"original_item_id": "TEA", "auto_order_code": "X", "batch_id": "X"}
    bodies: dict[str, Any] = {
        "update_auto_order_payment": {"card_number_token": theirs.token()},
        "consolidate_auto_orders": {"source_auto_order_oids": [oid]},
        "update_auto_order_properties": {"properties": []},
        "update_auto_order_item_properties": {"properties": []},
        "update_auto_order_item_add_ons": {"add_on_items": []},
    }
    asked = 0
    for route in ROUTES:
        if route.path.startswith(f"{ALL}/{{") or "reference_order_id" in route.path:
            body = bodies.get(route.name, {}) if route.method != "GET" else None
            reply = theirs.call(route.method, route.path.format(**names), body)
            assert reply.status == (404 if route.method == "GET" else 400), (route.name, reply.body)
            assert "jane" not in reply.body
            asked += 1
    assert asked >= 17
    raw = {"autoOrders": [{"auto_order_oid": oid, "enabled": False}]}
    assert theirs.call("PUT", f"{ALL}/batch", raw).problems == {"/autoOrders/0/auto_order_oid": "unknown"}
    assert theirs.made("POST", f"{ALL}/batch", {"auto_order_oids": [oid]})["auto_orders"] == []
    assert desk.made("GET", f"{ALL}/{oid}")["auto_order"]["status"] == "active"
    assert len(house.everything()) - len(kept) < 2000  # the token, and nothing else


# --- what comes ------------------------------------------------------------------------------------------------------


def test_the_next_orders_are_those_that_will_be_billed_with_their_totals(desk: Desk, oid: int) -> None:
    found = desk.made("GET", f"{ALL}/{oid}/next_orders")["next_orders"]
    assert [(order["run"], order["items"], order["total"]) for order in found["orders"]] == [
        (run, ["TEA"], 9.5) for run in (1, 2, 3, 4)
    ]
    assert len(desk.made("GET", f"{ALL}/{oid}/next_orders", _limit="2")["next_orders"]["orders"]) == 2
    desk.made("PUT", f"{ALL}/{oid}", {"enabled": False})
    assert desk.made("GET", f"{ALL}/{oid}/next_orders")["next_orders"]["orders"] == []


def test_explain_tells_of_the_next_run_where_that_is_asked(desk: Desk, oid: int) -> None:
    now = desk.made("GET", f"{ALL}/{oid}/explain")["explanation"]
    then = desk.made("GET", f"{ALL}/{oid}/explain", at="next_run")["explanation"]
    assert (now["decision"], then["decision"]) == ("look", "go")
    assert then["at"] == desk.item(oid)["next_shipment_dts"]
    assert then["plan"]["total"] == 9.5


def test_a_rehearsal_without_an_end_is_tonights(desk: Desk, oid: int) -> None:
    closes = parse_instant(desk.made("GET", "/rest/v2/report/runs")["runs_report"]["closes_dts"])
    tonight = desk.made("POST", "/rest/v2/auto_order/rehearsal")["rehearsal"]
    assert parse_instant(tonight["until"]) == later(closes, seconds=-1)
    assert tonight["number_of_orders"] == 0
