"""What follows a rebill or a decline besides its money: the second mail, what the order says of mailings, the digest;
each setting on and off, and explained."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.domain.dates import parse_instant
from chalicelib.domain.items import ItemAutoOrder
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.orders import OrderMarketing
from chalicelib.flows import edit, explain
from chalicelib.flows.notify import send_mail
from tests.flows.test_crashes import put_card
from tests.worlds import World

DECLINES = "4000000000000002"
BILLED = "2027-02-28T00:00:00-05:00"


def with_mail(world: World) -> World:
    """The shop has addresses, so that mails are planned."""
    merchant = world.shop.configuration.section(Merchant)
    with_addresses = replace(merchant.noun, sender_email="shop@example.com", support_email="help@example.com")
    world.shop.write(world.shop.configuration.save(with_addresses, merchant.version))
    return world


def notices(world: World, about: str) -> dict[str, tuple[str, str | None]]:
    """What became of each notice about a noun, and why."""
    return {mail.template: (mail.state, mail.skip_reason) for mail in world.shop.mails.of(about)}


def after_a_rebill(world: World, oid: int) -> dict[str, tuple[str, str | None]]:
    world.clock.go(world.bills_at(oid))
    world.work()
    return notices(world, f"order#{world.rebills(oid)[-1].order_id}")


def explained(world: World, oid: int, at: str = BILLED) -> list[tuple[str, Any, str | None]]:
    found = explain.explained(world.shop, oid, parse_instant(at))["reasons"]
    return [(one["code"], one["params"].get("notice"), one.get("setting")) for one in found]


# --- the second mail -------------------------------------------------------------------------------------------------


def test_after_the_receipt_of_a_rebill_a_second_mail_says_how_to_cancel() -> None:
    world = with_mail(World().open())
    oid = world.subscribe()
    world.tell_all()
    original = notices(world, f"order#{world.document(oid).original_order_id}")
    assert list(original) == ["receipt"], "the first order has a receipt and no second mail"
    assert after_a_rebill(world, oid) == {"receipt": ("planned", None), "easy_cancel": ("planned", None)}
    assert not [one for one in explained(world, oid) if one[0] == "notice_kept_back"]


@pytest.mark.parametrize(
    ("rules", "receipt", "second"),
    [
        ({"suppress_easy_cancel_emails": True}, None, "the setting suppress_easy_cancel_emails: no second mail with"),
        ({"skip_receipt_email": True}, "the setting skip_receipt_email: no rec", "the setting skip_receipt_email: no"),
        ({"skip_shipment_notification": True, "skip_problem_emails": True}, None, None),
    ],
)
def test_settings_keep_the_second_mail_back_and_that_is_recorded_and_explained(
    rules: dict[str, Any], receipt: str | None, second: str | None
) -> None:
    world = with_mail(World().open(**rules))
    oid = world.subscribe()
    kept = {(notice, setting) for code, notice, setting in explained(world, oid) if code == "notice_kept_back"}
    found = after_a_rebill(world, oid)
    for template, reason in (("receipt", receipt), ("easy_cancel", second)):
        state, why = found[template]
        assert state == ("skipped" if reason else "planned")
        assert (why or "").startswith(reason or "")
        assert (template in {notice for notice, _ in kept}) == (reason is not None)
    for setting in rules:
        assert setting in {name for _, name in kept}


def test_an_item_that_wants_no_second_mail_keeps_it_back_for_the_whole_auto_order() -> None:
    world = with_mail(World().open())
    schedules: Any = ["Monthly"]
    tab = ItemAutoOrder(auto_orderable=True, auto_order_schedules=schedules, auto_order_upsell_no_easy_cancel=True)
    world.sell("COURSE", "30.00", tab)
    oid = world.subscribe({"COURSE": "Monthly", "TEA": "Monthly"})
    assert ("notice_kept_back", "easy_cancel", "auto_order_upsell_no_easy_cancel") in explained(world, oid)
    found = after_a_rebill(world, oid)
    assert found["receipt"] == ("planned", None)
    assert found["easy_cancel"] == ("skipped", "the item COURSE says auto_order_upsell_no_easy_cancel")


def test_the_last_order_of_a_cancel_after_is_told_as_a_cancellation_and_not_how_to_cancel() -> None:
    world = with_mail(World().open())
    oid = world.subscribe()
    edit.update(world.shop, oid, {"cancel_after_next_x_orders": 1})
    assert list(after_a_rebill(world, oid)) == ["receipt"]
    assert notices(world, f"auto_order#{oid}")["canceled"] == ("planned", None)


# --- mails about failed payments -------------------------------------------------------------------------------------


@pytest.mark.parametrize("skips", [True, False])
def test_mails_about_failed_payments_are_kept_back_by_their_setting_and_the_merchant_reads_of_it_all_the_same(
    skips: bool,
) -> None:
    world = with_mail(World().open(skip_problem_emails=skips, number_of_retries=2))
    oid = world.subscribe()
    put_card(world, oid, DECLINES)
    assert (("notice_kept_back", "update_billing", "skip_problem_emails") in explained(world, oid)) is skips
    world.travel(40)
    found = notices(world, f"auto_order#{oid}")
    reason = "the setting skip_problem_emails: no mails about failed payments" if skips else None
    assert found["update_billing"] == found["disabled"] == ("skipped" if skips else "planned", reason)
    assert [problem.code for problem in world.shop.problems.of(parse_instant("2027-03-03T12:00:00Z").date(), 10)] == [
        "disabled"
    ]


# --- mailings --------------------------------------------------------------------------------------------------------


def marketed(**rules: Any) -> tuple[World, int]:
    world = World().open(**rules)
    said = OrderMarketing(mailing_list=True, cell_phone_opt_in=False, advertising_source="a banner")
    order_id = world.order({"COFFEE": "Monthly"}, marketing=said)
    oid = world.shop.auto_orders.oid_by_original_order(order_id)
    assert oid is not None
    return world, oid


def test_a_rebill_carries_what_the_customer_said_of_mailings_and_not_where_he_came_from() -> None:
    world, oid = marketed()
    assert "marketing_left_out" not in [code for code, *_ in explained(world, oid)]
    world.travel(30)
    assert world.rebills(oid)[0].marketing == OrderMarketing(mailing_list=True, cell_phone_opt_in=False)


def test_with_the_setting_it_says_nothing_of_mailings_so_that_nobody_is_enrolled_again() -> None:
    world, oid = marketed(skip_third_party_marketing_emails=True)
    assert ("marketing_left_out", None, "skip_third_party_marketing_emails") in explained(world, oid)
    world.travel(30)
    assert world.rebills(oid)[0].marketing is None
    assert world.shop.orders.get(world.document(oid).original_order_id or "").noun.marketing is not None


def test_of_who_said_nothing_of_mailings_nothing_is_said() -> None:
    world = World().open()
    oid = world.subscribe()
    world.travel(30)
    assert world.rebills(oid)[0].marketing is None


# --- the digest ------------------------------------------------------------------------------------------------------


def digests(world: World) -> list[tuple[str, str]]:
    """The digests of a year that were planned, and what each says."""
    found = []
    for month in range(2, 5):
        for day in range(1, 29):
            found += world.shop.mails.of(f"day#2027-{month:02d}-{day:02d}")
    world.outside.mails.clear()
    for mail in found:
        send_mail(world.shop, mail.about, mail.mail_id)
    return [(mail.subject, mail.text) for mail in world.outside.mails]


def test_a_month_of_approved_rebills_has_no_digest() -> None:
    world = with_mail(World().open())
    world.subscribe()
    world.travel(40)
    assert digests(world) == []


def test_what_was_held_and_what_was_disabled_on_one_day_is_one_digest_of_both() -> None:
    world = with_mail(World().open(number_of_retries=1))
    held, disabled = world.subscribe({"TEA": "Monthly"}), world.subscribe({"COFFEE": "Monthly"})
    kept = world.shop.items.get("TEA")
    kept.noun.inactive = True
    world.shop.write(world.shop.items.replaced("TEA", kept.noun, kept.version))
    put_card(world, disabled, DECLINES)
    world.travel(32, twice=True)
    ((subject, text),) = digests(world)
    assert subject == "Problems of 28 February 2027: 2"
    assert "Item unavailable: 1\n" in text
    assert "Disabled: 1\n" in text
    for oid in (held, disabled):
        assert f"Auto order {world.document(oid).auto_order_code}\n" in text
    assert world.taken() == Decimal("27.45"), "both first orders, and nothing since"
