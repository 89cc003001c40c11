"""Columns and saved views over HTTP: one's own, held against the search, and nobody else's."""

from typing import Any

import pytest

from chalicelib.domain.access import AccessKey, key_hash
from chalicelib.domain.views import MOST_COLUMNS, MOST_FILTERS, MOST_VIEWS
from tests.houses import TestHouse

VIEWS = "/rest/v2/configuration/views"
GMAIL = {
    "name": "Gmail in Georgia",
    "columns": ["email", "billing.last_name", "signup_dts"],
    "filters": [{"name": "email", "value": "*@gmail.com"}, {"name": "billing_state", "value": "GA"}],
    "sort": "-signup_dts,billing.last_name",
}


def key_of(house: TestHouse, name: str) -> str:
    """A key that is called so."""
    text = f"api_DEMO_{name}"
    issued = AccessKey(
        key_hash=key_hash(text), merchant_id="DEMO", kind="api", name=name, created_dts=house.clock.now()
    )
    house.port.write(*house.keys().issued(issued))
    return text


@pytest.mark.parametrize(
    ("screen", "view"),
    [
        ("customers", GMAIL),
        ("orders", {"name": "Paid", "columns": ["order_id", "billing.email", "summary.total"],
                    "filters": [{"name": "payment_date_begin", "value": "2027-01-01"}], "sort": "-creation_dts"}),
        ("auto_orders", {"name": "Active", "columns": ["auto_order_code", "items.next_shipment_dts"],
                         "filters": [{"name": "status", "value": "active"}], "sort": "next_shipment_dts"}),
        ("items", {"name": "All", "columns": ["merchant_item_id", "pricing.cost"], "sort": "description"}),
    ],
)  # fmt: skip
def test_what_was_saved_is_there_again(house: TestHouse, key: str, screen: str, view: dict[str, Any]) -> None:
    bare = house.call("GET", f"{VIEWS}/{screen}", key=key)
    assert (bare.status, bare.headers["ETag"]) == (200, '"0"')
    assert bare.json["screen_views"] == {"owner": "key test", "screen": screen}
    body = {"columns": view["columns"][:1], "views": [view]}
    saved = house.call("PUT", f"{VIEWS}/{screen}", body, key=key)
    assert (saved.status, saved.headers["ETag"]) == (200, '"1"'), saved.body
    assert saved.json["screen_views"] == {"owner": "key test", "screen": screen, **body}
    assert house.call("GET", f"{VIEWS}/{screen}", key=key).json == saved.json
    others = [other for other in ("customers", "orders", "auto_orders", "items") if other != screen]
    assert all("views" not in house.call("GET", f"{VIEWS}/{one}", key=key).json["screen_views"] for one in others)


def test_a_saved_view_can_be_asked_for(house: TestHouse, key: str) -> None:
    house.call("PUT", f"{VIEWS}/customers", {"views": [GMAIL]}, key=key)
    [view] = house.call("GET", f"{VIEWS}/customers", key=key).json["screen_views"]["views"]
    query = {entry["name"]: entry["value"] for entry in view["filters"]} | {"_sort": view["sort"]}
    assert house.call("GET", "/rest/v2/customer/customers", key=key, query=query).status == 200


def test_lists_are_whole_and_what_is_not_named_stays(house: TestHouse, key: str) -> None:
    house.call("PUT", f"{VIEWS}/customers", {"columns": ["email"], "views": [GMAIL]}, key=key)
    reply = house.call("PUT", f"{VIEWS}/customers", {"views": [{"name": "All"}]}, key=key)
    assert reply.json["screen_views"]["columns"] == ["email"]
    assert reply.json["screen_views"]["views"] == [{"name": "All"}]
    again = house.call("PUT", f"{VIEWS}/customers", reply.json["screen_views"], key=key)
    assert (again.status, again.headers["ETag"]) == (200, '"2"')
    assert house.call("PUT", f"{VIEWS}/customers", {"views": []}, key=key, headers={"If-Match": '"1"'}).status == 412


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({"columns": ["email", "colour", "email"]}, {"/columns/1": "unknown_field", "/columns/2": "duplicate"}),
        ({"columns": ["billing.colour", "email.x", "password", "cards.stored_card"]},
         {f"/columns/{position}": "unknown_field" for position in range(4)}),
        ({"owner": "key other"}, {"/owner": "read_only"}),
        ({"screen": "orders"}, {"/screen": "read_only"}),
        ({"views": [{"name": "A"}, {"name": "a"}]}, {"/views/1/name": "duplicate"}),
        ({"views": [{"columns": ["email"]}]}, {"/views/0/name": "required"}),
        ({"views": [{"name": "A", "sort": "colour"}]}, {"/views/0/sort": "unknown_field"}),
        ({"views": [{"name": "A", "filters": [{"name": "colour", "value": "red"}]}]},
         {"/views/0/filters/colour": "unknown_parameter"}),
        ({"views": [{"name": "A", "filters": [{"name": "email", "value": "*a*"}]}]},
         {"/views/0/filters/email": "not_allowed_value"}),
        ({"views": [{"name": "A", "filters": [{"name": "email", "value": "a"}] * 2}]},
         {"/views/0/filters/1": "duplicate"}),
        ({"views": [{"name": f"V{number}"} for number in range(MOST_VIEWS + 1)]}, {"/views": "out_of_range"}),
        ({"columns": ["email"] * (MOST_COLUMNS + 1)}, {"/columns": "out_of_range"}),
        ({"views": [{"name": "A", "filters": [{"name": "email", "value": "a"}] * (MOST_FILTERS + 1)}]},
         {"/views/0/filters": "out_of_range"}),
    ],
)  # fmt: skip
def test_what_the_screen_does_not_know_is_refused_by_name_and_leaves_nothing(
    house: TestHouse, key: str, body: dict[str, Any], problems: dict[str, str]
) -> None:
    before = house.everything()
    reply = house.call("PUT", f"{VIEWS}/customers", body, key=key)
    assert (reply.status, reply.problems) == (400, problems)
    assert house.everything() == before


def test_a_screen_that_is_not_there_is_not_found(house: TestHouse, key: str) -> None:
    assert house.call("GET", f"{VIEWS}/moon", key=key).status == 404
    assert house.call("PUT", f"{VIEWS}/moon", {}, key=key).status == 400


def test_everybody_has_their_own(house: TestHouse, key: str) -> None:
    house.call("PUT", f"{VIEWS}/customers", {"columns": ["email"]}, key=key)
    for other in (key_of(house, "ann"), house.found("OTHER")):
        assert "columns" not in house.call("GET", f"{VIEWS}/customers", key=other).json["screen_views"]
    same = house.call("GET", f"{VIEWS}/customers", key=key_of(house, "test")).json["screen_views"]
    assert same["columns"] == ["email"]


def test_whoever_may_look_may_keep_how_he_looks(house: TestHouse, key: str) -> None:
    reader = house.key(scopes=["configuration_read"])
    assert house.call("PUT", f"{VIEWS}/customers", {"columns": ["email"]}, key=reader).status == 200
    nobody = house.key(scopes=["customer_read"])
    assert house.call("PUT", f"{VIEWS}/customers", {"columns": ["email"]}, key=nobody).status == 403
