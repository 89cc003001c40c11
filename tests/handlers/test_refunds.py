"""Refunds over HTTP: told before they are made, and nothing of them half done."""

import pytest

from tests.handlers.test_shipping import place_one
from tests.houses import TestHouse


@pytest.fixture
def paid(house: TestHouse, key: str) -> str:
    path = place_one(house, key)
    assert house.call("POST", f"{path}/process_payment", {}, key=key).json["success"]
    return path


def test_what_a_refund_would_come_to_is_told_and_its_figures_are_what_is_sent(
    house: TestHouse, key: str, paid: str
) -> None:
    one = {"items": [{"item_index": 1, "quantity_refunded": 1, "total_refunded": 9.5}]}
    before = house.everything()
    told = house.call("POST", f"{paid}/refund_preview", one, key=key).json["refund_preview"]
    assert (told["to_refund"]["value"], told["paid"]["value"]) == (9.5, 19)
    assert house.everything() == before
    for _ in range(2):
        done = house.call("PUT", f"{paid}/refund?_expand=summary,item", told["order"], key=key)
        assert done.json["order"]["summary"]["total_refunded"]["value"] == 9.5
        assert done.json["order"]["items"][0]["quantity_refunded"] == 1
    rest = house.call("POST", f"{paid}/refund_preview", key=key).json["refund_preview"]
    assert (rest["to_refund"]["value"], rest["refunded"]["value"]) == (9.5, 9.5)
    refused = house.call("POST", f"{paid}/refund_preview", {"summary": {"total_refunded": 20}}, key=key)
    assert refused.problems == {"/summary/total_refunded": "too_large"}


def test_where_its_auto_order_would_not_be_canceled_no_money_is_given_back(
    house: TestHouse, key: str, paid: str
) -> None:
    reasons = {"cancel_reasons": [{"reason": "Moving away"}]}
    assert house.call("PUT", "/rest/v2/configuration/auto_order_processing", reasons, key=key).status == 200
    body = {"summary": {"total_refunded": 19}}
    before = house.everything()
    refused = house.call("PUT", f"{paid}/refund?auto_order_cancel=true", body, key=key)
    assert refused.problems == {"/cancel_reason": "not_allowed_value"}
    assert house.everything() == before
    query = "auto_order_cancel=true&auto_order_cancel_reason=Moving%20away&_expand=auto_order,summary"
    order = house.call("PUT", f"{paid}/refund?{query}", body, key=key).json["order"]
    assert (order["summary"]["total_refunded"]["value"], order["auto_order"]["status"]) == (19, "canceled")


def test_another_merchants_order_is_not_there_for_a_refund(house: TestHouse, key: str, paid: str) -> None:
    other = house.found("OTHER")
    for method, path in (("POST", "refund_preview"), ("PUT", "refund")):
        assert house.call(method, f"{paid}/{path}", {}, key=other).json["code"] == "not_found"
