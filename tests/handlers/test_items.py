"""Items over HTTP: what comes in, what is refused, and that nothing of what was refused stays."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from chalicelib.domain.errors import Refused
from chalicelib.stores.port import Change
from tests.houses import TestHouse

ITEMS = "/rest/v2/item/items"
TEA = {"merchant_item_id": "TEA", "description": "Green tea", "pricing": {"cost": 9.5}}
MONTHLY = {"auto_orderable": True, "auto_order_schedules": ["Monthly"]}


def test_an_item_is_inserted_and_read_back_by_either_name(house: TestHouse, key: str) -> None:
    made = house.call("POST", ITEMS, TEA, key=key, query={"_expand": "pricing"})
    assert made.status == 200
    assert made.headers["ETag"] == '"1"'
    assert made.json == {
        "item": {
            "creation_dts": "2027-01-31T15:00:00-05:00",
            "description": "Green tea",
            "last_modified_dts": "2027-01-31T15:00:00-05:00",
            "merchant_id": "DEMO",
            "merchant_item_id": "TEA",
            "merchant_item_oid": 1001,
            "pricing": {"cost": 9.5},
        },
        "success": True,
        "metadata": {"payload_name": "item"},
    }
    for path in (f"{ITEMS}/1001", f"{ITEMS}/merchant_item_id/TEA"):
        reply = house.call("GET", path, key=key, query={"_expand": "pricing", "_placeholders": "True"})
        assert (reply.status, reply.json) == (200, made.json)


def test_blocks_are_shown_only_where_they_are_asked_for(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, TEA | {"auto_order": MONTHLY}, key=key)
    assert "pricing" not in house.call("GET", f"{ITEMS}/1001", key=key).json["item"]
    shown = house.call("GET", f"{ITEMS}/1001", key=key, query={"_expand": "auto_order,no_such_block"}).json["item"]
    assert shown["auto_order"] == MONTHLY


def test_an_id_with_a_slash_is_found(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, {"merchant_item_id": "A/B.1"}, key=key)
    assert house.call("GET", f"{ITEMS}/merchant_item_id/A%2FB.1", key=key).status == 200


def test_an_insert_an_update_and_a_delete_are_told(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, TEA, key=key)
    house.call("PUT", f"{ITEMS}/1001", {"description": "Black tea"}, key=key)
    assert house.call("DELETE", f"{ITEMS}/1001", key=key).status == 204
    assert sorted(house.events()) == ["item_create", "item_delete", "item_update"]


def test_who_inserts_an_id_anew_makes_another_item_with_events_of_its_own(house: TestHouse, key: str) -> None:
    for _ in range(2):
        house.call("POST", ITEMS, TEA, key=key)
        oid = house.call("GET", f"{ITEMS}/merchant_item_id/TEA", key=key).json["item"]["merchant_item_oid"]
        house.call("DELETE", f"{ITEMS}/{oid}", key=key)
    assert sorted(house.events()) == ["item_create", "item_create", "item_delete", "item_delete"]


# --- the list --------------------------------------------------------------------------------------------------------


def names(reply: Any) -> list[str]:
    return [item["merchant_item_id"] for item in reply.json["items"]]


def test_what_was_just_written_is_in_the_list(house: TestHouse, key: str) -> None:
    assert names(house.call("GET", ITEMS, key=key)) == []
    house.call("POST", ITEMS, TEA, key=key)
    assert names(house.call("GET", ITEMS, key=key)) == ["TEA"]
    house.clock.pass_(seconds=1)
    house.call("DELETE", f"{ITEMS}/1001", key=key)
    assert names(house.call("GET", ITEMS, key=key)) == []


def test_pages_are_full_until_the_last_and_say_how_many_there_are(house: TestHouse, key: str) -> None:
    for number in range(5):
        house.call("POST", ITEMS, {"merchant_item_id": f"TEA{number}"}, key=key)
    first = house.call("GET", ITEMS, key=key, query={"_limit": "2"})
    assert names(first) == ["TEA0", "TEA1"]
    assert first.json["metadata"]["result_set"] == {
        "count": 2,
        "limit": 2,
        "offset": 0,
        "total_records": 5,
        "more": True,
        "next_offset": 2,
    }
    assert names(house.call("GET", ITEMS, key=key, query={"_limit": "2", "_offset": "4"})) == ["TEA4"]
    assert house.call("GET", ITEMS, key=key, query={"_limit": "9999"}).json["metadata"]["result_set"]["limit"] == 200


def test_items_are_found_by_category_and_sorted(house: TestHouse, key: str) -> None:
    for name, path in (("B", "/tea/"), ("A", "/tea/"), ("C", None)):
        house.call("POST", ITEMS, {"merchant_item_id": name, "parent_category_path": path}, key=key)
    query = {"parent_category_path": "/tea/", "_sort": "-merchant_item_id", "_placeholders": "False"}
    assert names(house.call("GET", ITEMS, key=key, query=query)) == ["B", "A"]


def test_items_are_found_by_a_piece_of_their_id_or_of_how_their_description_begins(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, TEA, key=key)
    long = "A pot for two, with a lid that stays where it is put, and a handle"
    house.call("POST", ITEMS, {"merchant_item_id": "POT.2", "description": long}, key=key)
    for text, found in (("green", ["TEA"]), ("t.2", ["POT.2"]), ("for TWO", ["POT.2"]), ("handle", []), ("…", [])):
        query = {"merchant_item_id_or_description": text}
        reply = house.call("GET", ITEMS, key=key, query=query)
        assert [item["merchant_item_id"] for item in reply.json["items"]] == found, text


def test_items_are_found_by_when_they_changed(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, {"merchant_item_id": "OLD"}, key=key)
    house.clock.pass_(days=2)
    house.call("POST", ITEMS, {"merchant_item_id": "NEW"}, key=key)
    assert names(house.call("GET", ITEMS, key=key, query={"_since": "2027-02-01"})) == ["NEW"]


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ({"colour": "red"}, "/colour", "unknown_parameter"),
        ({"parent_category_id": "1"}, "/parent_category_id", "not_available"),
        ({"_limit": "ten"}, "/_limit", "wrong_type"),
        ({"_limit": "-1"}, "/_limit", "wrong_type"),
        ({"_offset": "9999999"}, "/_offset", "out_of_range"),
        ({"_sort": "colour"}, "/_sort", "unknown_field"),
        ({"_since": "yesterday"}, "/_since", "invalid"),
    ],
)
def test_a_list_that_cannot_be_had_is_refused_by_name(
    house: TestHouse, key: str, query: dict[str, str], pointer: str, code: str
) -> None:
    reply = house.call("GET", ITEMS, key=key, query=query)
    assert (reply.status, reply.problems) == (400, {pointer: code})


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"/merchant_item_id": "required"}),
        ({"merchant_item_id": "X" * 21}, {"/merchant_item_id": "out_of_range"}),
        ({"merchant_item_id": "no blanks"}, {"/merchant_item_id": "out_of_range"}),
        ({"merchant_item_id": 7}, {"/merchant_item_id": "wrong_type"}),
        (TEA | {"colour": "green"}, {"/colour": "unknown_field"}),
        (TEA | {"description": "x" * 513}, {"/description": "out_of_range"}),
        (TEA | {"merchant_item_oid": 5, "creation_dts": "2027-01-01T00:00:00Z"},
         {"/merchant_item_oid": "read_only", "/creation_dts": "read_only"}),
        (TEA | {"pricing": {"cost": -1}}, {"/pricing/cost": "out_of_range"}),
        (TEA | {"pricing": {"cost": "9.50"}}, {"/pricing/cost": "wrong_type"}),
        (TEA | {"pricing": {"currency_code": "EUR"}}, {"/pricing/currency_code": "not_allowed_value"}),
        (TEA | {"pricing": {"sale_end": "next week"}}, {"/pricing/sale_end": "invalid"}),
        (TEA | {"pricing": {"sale_end": "9999-12-31T23:59:59-12:00"}}, {"/pricing/sale_end": "invalid"}),
        (TEA | {"physical": {"weight": {"uom": "STONE", "value": 1}}}, {"/physical/weight/uom": "not_allowed_value"}),
        (TEA | {"auto_order": {"auto_orderable": True, "auto_order_schedules": ["Fortnightly"]}},
         {"/auto_order/auto_order_schedules/0": "not_allowed_value"}),
        (TEA | {"auto_order": {"auto_orderable": True}}, {"/auto_order/auto_order_schedules": "required"}),
        (TEA | {"auto_order": MONTHLY | {"auto_order_cancel_item_oid": 5}},
         {"/auto_order/auto_order_cancel_item_oid": "not_available"}),
        (TEA | {"restriction": {"minimum_quantity": -2}}, {"/restriction/minimum_quantity": "out_of_range"}),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_by_name_and_leaves_nothing(
    house: TestHouse, key: str, body: dict[str, Any], problems: dict[str, str]
) -> None:
    before = house.everything()
    reply = house.call("POST", ITEMS, body, key=key)
    assert (reply.status, reply.problems) == (400, problems)
    assert reply.headers["UC-REST-ERROR"]
    assert house.everything() == before


def test_an_unknown_enum_is_told_what_is_allowed(house: TestHouse, key: str) -> None:
    reply = house.call("POST", ITEMS, TEA | {"tax": {"tax_product_type": "ghost"}}, key=key)
    assert "allowed are '', 'digital', 'physical', 'service'" in reply.message("/tax/tax_product_type")


def test_all_problems_are_told_at_once_whoever_finds_them(house: TestHouse, key: str) -> None:
    reply = house.call(
        "POST",
        ITEMS,
        {
            "merchant_item_id": "X" * 21,
            "merchant_item_oid": 5,
            "colour": "green",
            "kit": True,
            "pricing": {"cost": -1, "currency_code": "EUR"},
            "auto_order": {"auto_order_upsell": True, "steps": [{"type": "item", "schedule": "Fortnightly"}]},
        },
        key=key,
    )
    assert reply.problems == {
        "/merchant_item_id": "out_of_range",
        "/merchant_item_oid": "read_only",
        "/colour": "unknown_field",
        "/kit": "not_available",
        "/pricing/cost": "out_of_range",
        "/pricing/currency_code": "not_allowed_value",
        "/auto_order/steps/0/schedule": "not_allowed_value",
        "/auto_order/steps/0/recurring_merchant_item_id": "required",
    }


def test_an_id_that_is_taken_is_refused(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, TEA, key=key)
    before = house.everything()
    reply = house.call("POST", ITEMS, TEA, key=key)
    assert (reply.status, reply.problems) == (400, {"/merchant_item_id": "duplicate"})
    assert house.everything() == before


def test_a_step_rebills_an_item_that_there_is(house: TestHouse, key: str) -> None:
    def box(of: str) -> dict[str, Any]:
        step = {"type": "item", "recurring_merchant_item_id": of, "schedule": "Monthly"}
        return {"merchant_item_id": "BOX", "auto_order": {"auto_order_upsell": True, "steps": [step]}}

    reply = house.call("POST", ITEMS, box("TEA"), key=key)
    assert reply.problems == {"/auto_order/steps/0/recurring_merchant_item_id": "unknown"}
    assert house.call("POST", ITEMS, box("BOX"), key=key).status == 200, "itself, for one"
    house.call("POST", ITEMS, TEA, key=key)
    assert house.call("PUT", f"{ITEMS}/1001", box("TEA"), key=key).status == 200


def test_a_whole_programme_is_kept_and_shown_as_it_was_said(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, TEA, key=key)
    house.call("POST", ITEMS, TEA | {"merchant_item_id": "BIG"}, key=key)
    tab = {
        "auto_order_upsell": True,
        "auto_order_upsell_one_per_customer": True,
        "auto_order_paused": True,
        "cancel_other_auto_orders": True,
        "auto_order_upgrade_items": ["BIG"],
        "auto_order_downgrade_items": ["TEA"],
        "steps": [
            {"type": "pause until", "pause_until_day_of_month": 31, "pause_until_minimum_delay_days": 10},
            {"type": "kit only", "recurring_merchant_item_id": "BIG", "schedule": "Weekly", "repeat_count": 1},
            {
                "type": "item",
                "recurring_merchant_item_id": "TEA",
                "recurring_merchant_item_oid": 1001,
                "schedule": "Every...",
                "arbitrary_schedule_days": 9,
                "repeat_count": 3,
                "managed_by": "The club",
                "arbitrary_unit_cost": 9,
                "arbitrary_unit_cost_schedules": [{"retry_days": 3, "arbitrary_unit_cost": 7.5}],
                "grandfather_pricing": [{"on_or_before_date": "2026-12-31T00:00:00-05:00", "unit_cost": 6}],
            },
            {"type": "pause until", "pause_until_date": "2028-06-01T00:00:00-04:00"},
            {"type": "loop"},
        ],
    }
    made = house.call("POST", ITEMS, {"merchant_item_id": "BOX", "auto_order": tab}, key=key)
    assert made.status == 200, made.body
    oid = made.json["item"]["merchant_item_oid"]
    shown = house.call("GET", f"{ITEMS}/{oid}", key=key, query={"_expand": "auto_order"}).json["item"]["auto_order"]
    assert shown == tab
    assert house.call("PUT", f"{ITEMS}/{oid}", {"auto_order": shown}, key=key).headers["ETag"] == '"1"'


def test_an_item_names_others_that_there_are_and_by_their_own_oids(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, TEA, key=key)
    step = {"type": "item", "recurring_merchant_item_id": "TEA", "schedule": "Monthly"}
    tab = {"auto_order_upgrade_items": ["TEA", "BIG"], "auto_order_downgrade_items": ["SMALL"]}
    reply = house.call("POST", ITEMS, {"merchant_item_id": "BOX", "auto_order": tab}, key=key)
    assert reply.problems == {
        "/auto_order/auto_order_upgrade_items/1": "unknown",
        "/auto_order/auto_order_downgrade_items/0": "unknown",
    }
    for oid, problems in ((1001, None), (77, {"/auto_order/steps/0/recurring_merchant_item_oid": "conflict"})):
        steps = [{**step, "recurring_merchant_item_oid": oid}]
        body = {"merchant_item_id": f"BOX{oid}", "auto_order": {"auto_order_upsell": True, "steps": steps}}
        reply = house.call("POST", ITEMS, body, key=key)
        assert (reply.problems if problems else reply.status) == (problems or 200)


# --- changes ---------------------------------------------------------------------------------------------------------


def test_an_update_changes_the_keys_that_it_names(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, TEA | {"pricing": {"cost": 9.5, "cogs": 3}, "auto_order": MONTHLY}, key=key)
    house.clock.pass_(hours=1)
    body = {"pricing": {"cost": 10}, "auto_order": {"auto_order_schedules": ["Weekly"]}}
    item = house.call("PUT", f"{ITEMS}/1001", body, key=key, query={"_expand": "pricing,auto_order"}).json["item"]
    assert item["description"] == "Green tea"
    assert item["pricing"] == {"cost": 10, "cogs": 3}
    assert item["auto_order"] == {"auto_orderable": True, "auto_order_schedules": ["Weekly"]}
    assert item["last_modified_dts"] == "2027-01-31T16:00:00-05:00"


def test_null_takes_away_in_a_merge_patch_and_counts_as_absent_elsewhere(house: TestHouse, key: str) -> None:
    tea = TEA | {"pricing": {"cost": 9.5, "sale_cost": 8}, "tags": {"tags": [{"tagValue": "green"}]}}
    house.call("POST", ITEMS, tea, key=key)
    gone = {"description": None, "merchant_item_id": None, "pricing": {"sale_cost": None, "cogs": 4}, "tags": None}
    query = {"_expand": "pricing,tags"}
    put = house.call("PUT", f"{ITEMS}/1001", gone | {"merchant_item_oid": None}, key=key, query=query).json["item"]
    assert (put["description"], put["pricing"]) == ("Green tea", {"cost": 9.5, "sale_cost": 8, "cogs": 4})
    patch = {"Content-Type": "application/merge-patch+json"}
    reply = house.call("PUT", f"{ITEMS}/1001", gone, key=key, query=query, headers=patch)
    assert reply.problems == {"/merchant_item_id": "read_only"}
    gone |= {"merchant_item_id": "TEA", "merchant_item_oid": None}
    for _ in range(2):
        item = house.call("PUT", f"{ITEMS}/1001", gone, key=key, query=query, headers=patch).json["item"]
        assert item["pricing"] == {"cost": 9.5, "cogs": 4}
        assert item["merchant_item_oid"] == 1001
        assert not {"description", "tags"} & set(item)


def test_an_item_that_was_read_can_be_sent_back_twice(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, TEA, key=key)
    read = house.call("GET", f"{ITEMS}/1001", key=key, query={"_expand": "pricing"}).json["item"]
    house.clock.pass_(hours=1)
    replies = [house.call("PUT", f"{ITEMS}/1001", read | {"description": "Black"}, key=key) for _ in range(2)]
    assert [reply.status for reply in replies] == [200, 200]
    assert [reply.headers["ETag"] for reply in replies] == ['"2"', '"2"'], "the second changes nothing"
    assert house.events().count("item_update") == 1


def test_an_item_keeps_its_names(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, TEA, key=key)
    body = {"merchant_item_id": "COFFEE", "merchant_item_oid": 7, "kit": True}
    reply = house.call("PUT", f"{ITEMS}/1001", body, key=key)
    assert reply.problems == {
        "/merchant_item_id": "read_only",
        "/merchant_item_oid": "read_only",
        "/kit": "not_available",
    }
    same = {"merchant_item_id": "TEA", "merchant_item_oid": 1001}
    assert house.call("PUT", f"{ITEMS}/1001", same, key=key).status == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_change_of_a_version_that_is_past_is_refused(house: TestHouse, key: str, method: str) -> None:
    house.call("POST", ITEMS, TEA, key=key)
    house.call("PUT", f"{ITEMS}/1001", {"description": "Black"}, key=key, headers={"If-Match": '"1"'})
    stale = house.call(method, f"{ITEMS}/1001", {"description": "White"}, key=key, headers={"If-Match": '"1"'})
    assert (stale.status, stale.json["code"]) == (412, "stale")
    assert house.call("GET", f"{ITEMS}/1001", key=key).json["item"]["description"] == "Black"
    wrong = house.call(method, f"{ITEMS}/1001", {}, key=key, headers={"If-Match": "one"})
    assert (wrong.status, wrong.problems) == (400, {"/If-Match": "invalid"})


class Interrupting:
    """An engine that lets somebody else write first, just before the first write of a call."""

    def __init__(self, house: TestHouse) -> None:
        self._port = house.port
        self._lock = threading.Lock()
        self.interrupt: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def write(self, *changes: Change) -> None:
        interrupt, self.interrupt = self.interrupt, None
        if interrupt:
            interrupt()
        self._port.write(*changes)


def test_an_update_that_met_a_faster_one_is_laid_over_it(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, TEA, key=key)
    house.port = port = Interrupting(house)
    port.interrupt = lambda: house.call("PUT", f"{ITEMS}/1001", {"description": "Black"}, key=key)
    reply = house.call("PUT", f"{ITEMS}/1001", {"pricing": {"cost": 12}}, key=key, query={"_expand": "pricing"})
    assert (reply.status, reply.headers["ETag"]) == (200, '"3"')
    assert reply.json["item"]["description"] == "Black"
    assert reply.json["item"]["pricing"] == {"cost": 12}


def test_an_update_with_if_match_that_met_a_faster_one_is_stale(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, TEA, key=key)
    house.port = port = Interrupting(house)
    port.interrupt = lambda: house.call("PUT", f"{ITEMS}/1001", {"description": "Black"}, key=key)
    reply = house.call("PUT", f"{ITEMS}/1001", {"kit": False}, key=key, headers={"If-Match": '"1"'})
    assert reply.status == 412


class Busy(Interrupting):
    """An engine on which somebody else is always first."""

    def write(self, *changes: Change) -> None:
        if len(changes) > 1:
            raise Refused(0, None)
        self._port.write(*changes)


def test_an_item_that_others_never_leave_alone_is_busy(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, TEA, key=key)
    house.port = Busy(house)
    for method in ("PUT", "DELETE"):
        reply = house.call(method, f"{ITEMS}/1001", {"description": "Black"}, key=key)
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")


def test_an_oid_that_is_taken_by_chance_is_drawn_again(house: TestHouse, key: str) -> None:
    draws = iter([7, 7, 7, 8])
    house.oids = lambda: draws
    oids: Sequence[int] = [
        house.call("POST", ITEMS, {"merchant_item_id": name}, key=key).json["item"]["merchant_item_oid"]
        for name in ("A", "B")
    ]
    assert oids == [7, 8]


def test_what_was_deleted_is_gone_under_every_name(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, TEA, key=key)
    house.call("DELETE", f"{ITEMS}/1001", key=key)
    assert house.call("GET", f"{ITEMS}/1001", key=key).status == 404
    assert house.call("GET", f"{ITEMS}/merchant_item_id/TEA", key=key).status == 404
    assert house.call("DELETE", f"{ITEMS}/1001", key=key).status == 400, "on a write, what is not there is a 400"
    house.call("POST", ITEMS, TEA, key=key)
    assert house.call("GET", f"{ITEMS}/1001", key=key).status == 404, "the old oid is not the new item's"


def test_another_merchants_item_is_as_if_it_were_not_there(house: TestHouse, key: str) -> None:
    house.call("POST", ITEMS, TEA, key=key)
    other = house.found("OTHER")
    before = house.everything()
    for method, path, status in (
        ("GET", "/1001", 404),
        ("GET", "/merchant_item_id/TEA", 404),
        ("PUT", "/1001", 400),
        ("DELETE", "/1001", 400),
    ):
        assert house.call(method, ITEMS + path, {"description": "mine now"}, key=other).status == status
    assert names(house.call("GET", ITEMS, key=other)) == []
    assert "mine now" not in house.everything()
    assert [line for line in before.splitlines() if line not in house.everything().splitlines()] == []


@pytest.mark.parametrize("oid", ["0", "abc", "1e3", "-1", "99999999999999999999", "%C2%B2", "1001%00"])
def test_what_is_no_oid_names_nothing(house: TestHouse, key: str, oid: str) -> None:
    assert house.call("GET", f"{ITEMS}/{oid}", key=key).status == 404
