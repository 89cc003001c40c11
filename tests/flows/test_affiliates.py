"""Who sent an order is credited for it and for its rebills, unless the merchant has named another on the auto order."""

import pytest

from chalicelib.domain.errors import Invalid
from chalicelib.domain.orders import Order, OrderAffiliate, OrderItem
from chalicelib.domain.placing import OrderAssignToAffiliateRequest, StorefrontLine, StorefrontOrder, order_of
from chalicelib.flows import edit, place_order
from chalicelib.flows.assign import assign_to_affiliate
from chalicelib.flows.explain import explained
from tests.flows.test_crashes import put_card
from tests.flows.test_kinds import DECLINES, TO_RECEIVABLES
from tests.worlds import World

SENT = [OrderAffiliate(affiliate_oid=7, sub_id="spring"), OrderAffiliate(affiliate_oid=3)]


def a_subscriber(world: World) -> int:
    order_id = world.order({"COFFEE": "Monthly"}, affiliates=SENT)
    return world.shop.auto_orders.oid_by_original_order(order_id) or 0


def credited(world: World, oid: int) -> list[list[tuple[int | None, str | None]]]:
    return [[(one.affiliate_oid, one.sub_id) for one in order.affiliates or []] for order in world.rebills(oid)]


def test_rebills_name_the_affiliates_of_the_original_order() -> None:
    world = World().open()
    oid = a_subscriber(world)
    world.travel(32)
    assert credited(world, oid) == [[(7, "spring"), (3, None)]]


def test_the_affiliate_that_the_merchant_names_on_the_auto_order_is_credited_for_rebills_alone() -> None:
    world = World().open()
    oid = a_subscriber(world)
    edit.update(world.shop, oid, {"override_affiliate_id": 9})
    world.travel(32)
    assert credited(world, oid) == [[(9, None)]]
    assert world.shop.orders.get(world.document(oid).original_order_id or "").noun.affiliates == SENT


def test_a_rebill_that_goes_to_accounts_receivable_names_them_too() -> None:
    world = World().open(**TO_RECEIVABLES | {"number_of_retries": 1})
    oid = a_subscriber(world)
    put_card(world, oid, DECLINES)
    world.travel(32)
    order_id = f"{world.document(oid).original_order_id}-001"
    assert world.shop.orders.get(order_id).noun.affiliates == SENT


def test_explain_says_who_is_credited_and_which_field_decided() -> None:
    world = World().open()
    oid = a_subscriber(world)
    at = world.bills_at(oid)

    def said() -> list[tuple[object, object]]:
        reasons = explained(world.shop, oid, at)["reasons"]
        return [(one["params"], one.get("setting")) for one in reasons if one["code"] == "affiliate_credited"]

    assert said() == [({"affiliate_oid": 7, "sub_id": "spring"}, None), ({"affiliate_oid": 3}, None)]
    edit.update(world.shop, oid, {"override_affiliate_id": 9})
    assert said() == [({"affiliate_oid": 9}, "override_affiliate_id")]


def test_a_storefront_says_who_sent_its_shopper() -> None:
    request = StorefrontOrder(
        items=[StorefrontLine(merchant_item_id="TEA", quantity=1)],  # type: ignore[arg-type]
        billing={},  # type: ignore[arg-type]
        affiliates=SENT,
    )
    assert order_of(request).affiliates == SENT


def test_an_affiliate_has_an_oid_and_stands_there_once() -> None:
    world = World().open()
    wanted = [OrderAffiliate(sub_id="x"), OrderAffiliate(affiliate_oid=7), OrderAffiliate(affiliate_oid=7)]
    order = Order(items=[OrderItem(merchant_item_id="TEA", quantity=1)], affiliates=wanted)  # type: ignore[arg-type]
    with pytest.raises(Invalid) as refused:
        place_order.place(world.shop, order, by_shopper=False)
    assert {problem.pointer: problem.code for problem in refused.value.problems} == {
        "/affiliates/0/affiliate_oid": "required",
        "/affiliates/2/affiliate_oid": "conflict",
    }


def test_an_order_is_assigned_once_however_often_it_is_said_and_its_rebills_follow() -> None:
    world = World().open()
    oid = a_subscriber(world)
    order_id = world.document(oid).original_order_id or ""
    version = world.shop.orders.get(order_id).version
    for _ in range(2):
        assign_to_affiliate(world.shop, order_id, OrderAssignToAffiliateRequest(affiliate_id=4, affiliate_sub_id="b"))
    assert world.shop.orders.get(order_id).version == version + 1
    world.travel(32)
    assert credited(world, oid) == [[(4, "b")]]


def test_an_affiliate_is_assigned_by_his_id_for_nobody_keeps_a_list_of_them() -> None:
    world = World().open()
    request = OrderAssignToAffiliateRequest(affiliate_email="jo@example.com")
    with pytest.raises(Invalid) as refused:
        assign_to_affiliate(world.shop, world.order({"TEA": None}), request)
    assert [(problem.pointer, problem.code) for problem in refused.value.problems] == [
        ("/affiliate_email", "not_available"),
        ("/affiliate_id", "required"),
    ]
