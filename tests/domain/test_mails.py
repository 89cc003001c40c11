"""Mails: which are planned, which rule keeps one back, what an address may be, and how a mail comes to its end."""

import unicodedata
from datetime import date
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.domain import mails, wire
from chalicelib.domain.customers import Customer, CustomerEmail
from chalicelib.domain.dates import Instant, later, parse_instant
from chalicelib.domain.events import Event, Happening, Notice, NounKind, Template, event_id
from chalicelib.domain.heads import Head
from chalicelib.domain.mails import Addressee, Mail, SentMail
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.orders import (
    Order,
    OrderBilling,
    OrderPayment,
    OrderPaymentCreditCard,
)
from chalicelib.domain.settings import AutoOrderProcessing

NOW = parse_instant("2027-01-31T12:00:00-05:00")
MERCHANT = Merchant(
    merchant_id="DEMO", name="Demo Shop", sender_email="shop@example.com", support_email="help@example.com"
)
JANE = Addressee(email="jane@example.com")
NO_RULES = AutoOrderProcessing()
# Line breaks, headers, markup, template syntax, marks that turn the direction, letters of other scripts.
HOSTILE = [
    "Jane\r\nBcc: everybody@example.com",
    "Jane\nX-Evil: 1\n\n<html>",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% for x in ().__class__.__mro__ %}{{ x }}{% endfor %}",
    "{{ shop.__init__.__globals__ }}",
    "evil\u202egnp.exe",
    "a\u2028b\u2029c\u0085d\x00e\x1b[31m",
    "שרה לוי",
    "José Ñandú 北京 🎁",
    "=?utf-8?q?=0D=0ABcc:_x@example.com?=",
    "a" * 5000,
    " \t ",
]
# Each notice and the kind of noun that it is about.
KINDS: dict[Template, NounKind] = {
    "receipt": "order",
    "shipment": "order",
    "preshipment_notice": "auto_order",
    "price_notice": "auto_order",
    "action_needed": "auto_order",
    "update_billing": "auto_order",
    "disabled": "auto_order",
    "card_expiring": "auto_order",
    "easy_cancel": "order",
    "canceled": "auto_order",
    "held": "auto_order",
}


def event(*notices: Notice) -> Event:
    happening = Happening(name="auto_order_update", kind="auto_order", id="7")
    return Event(event_id=event_id("DEMO", "auto_order#7", "x"), dts=NOW, happenings=[happening], notices=list(notices))


def notice(template: Template, **facts: str) -> Notice:
    return Notice(template=template, kind=KINDS[template], id="7", facts=facts)


def planned(
    template: Template,
    to: Addressee | None = JANE,
    merchant: Merchant = MERCHANT,
    settings: AutoOrderProcessing = NO_RULES,
) -> list[SentMail]:
    return mails.planned_mails(event(notice(template)), merchant, settings, {(KINDS[template], "7"): to})


def mail(template: Template = "receipt", **fields: Any) -> SentMail:
    return replace(planned(template)[0], **fields)


# --- planning --------------------------------------------------------------------------------------------------------


def test_an_event_without_notices_plans_nothing() -> None:
    assert mails.planned_mails(event(), MERCHANT, NO_RULES, {}) == []


def test_a_planned_mail_says_what_it_is_about_and_when_to_look_for_it() -> None:
    (found,) = mails.planned_mails(
        event(notice("update_billing", attempt="1")), MERCHANT, NO_RULES, {("auto_order", "7"): JANE}
    )
    assert found == SentMail(
        mail_id=mails.mail_id_of(event().event_id, "update_billing", "auto_order#7"),
        about="auto_order#7",
        template="update_billing",
        email="jane@example.com",
        created_dts=NOW,
        next_dts=later(NOW, seconds=mails.LEASE_SECONDS),
        facts={"attempt": "1"},
    )


@pytest.mark.parametrize("template", KINDS)
def test_the_same_event_plans_the_same_mails(template: Template) -> None:
    to = Addressee(email="jane@example.com", copies=["joe@example.com"])
    assert planned(template, to) == planned(template, to)


def test_a_notice_that_stands_twice_is_one_mail() -> None:
    found = mails.planned_mails(event(notice("receipt"), notice("receipt")), MERCHANT, NO_RULES, {("order", "7"): JANE})
    assert len(found) == 1


def test_ids_differ_by_event_template_noun_and_recipient() -> None:
    ids = {
        mails.mail_id_of(event_name, template, about, position)
        for event_name in ("evt_1", "evt_2")
        for template in KINDS
        for about in ("order#1", "order#2")
        for position in (0, 1)
    }
    assert len(ids) == 2 * len(KINDS) * 2 * 2


# The settings that keep notices back, and the notices; those marked only where a rebill's order is meant.
KEEPS_BACK: dict[str, dict[str, bool]] = {
    "skip_receipt_email": {"receipt": True, "easy_cancel": False},
    "skip_shipment_notification": {"shipment": True},
    "skip_problem_emails": {"update_billing": False, "disabled": False},
    "suppress_easy_cancel_emails": {"easy_cancel": False},
    "skip_third_party_marketing_emails": {},
}


@pytest.mark.parametrize("template", KINDS)
@pytest.mark.parametrize("setting", KEEPS_BACK)
@pytest.mark.parametrize("rebill", [False, True])
def test_a_setting_keeps_its_notices_back_and_no_others(template: Template, setting: str, rebill: bool) -> None:
    to = Addressee(email="jane@example.com", rebill=rebill)
    assert planned(template, to)[0].state == "planned", "no setting, so nothing is kept back"
    (found,) = planned(template, to, settings=AutoOrderProcessing(**{setting: True}))
    rebills_only = KEEPS_BACK[setting].get(template)
    kept_back = rebills_only is not None and (rebill or not rebills_only)
    assert found.state == ("skipped" if kept_back else "planned")
    assert (found.skip_reason or "").startswith(f"the setting {setting}: ") == kept_back


FLAGS = list(product((False, True), repeat=3))


@pytest.mark.parametrize("template", KINDS)
@pytest.mark.parametrize(("do_not_send", "address", "sender"), FLAGS)
def test_the_customers_wish_and_missing_addresses_keep_it_back(
    template: Template, do_not_send: bool, address: bool, sender: bool
) -> None:
    to = Addressee(email="jane@example.com" if address else None, do_not_send_mail=do_not_send)
    (found,) = planned(template, to, MERCHANT if sender else Merchant(merchant_id="DEMO"))
    kept_back = not sender or (template != "held" and (do_not_send or not address))
    assert found.state == ("skipped" if kept_back else "planned")
    assert bool(found.skip_reason) == kept_back
    assert (found.next_dts is None) == kept_back


def test_an_item_that_wants_no_easy_cancel_keeps_the_second_mail_back() -> None:
    said = Notice(template="easy_cancel", kind="order", id="7", facts={mails.NO_EASY_CANCEL: "COURSE"})
    (found,) = mails.planned_mails(event(said), MERCHANT, NO_RULES, {("order", "7"): JANE})
    assert (found.state, found.skip_reason) == (
        "skipped",
        "the item COURSE says auto_order_upsell_no_easy_cancel",
    )


@pytest.mark.parametrize("template", KINDS)
def test_nothing_is_sent_about_what_is_gone(template: Template) -> None:
    (found,) = planned(template, None)
    assert (found.state, found.skip_reason) == ("skipped", "what it is about does not exist any more")


@pytest.mark.parametrize("address", ["jane", "jane@", "@example.com", "a@b@c", "a b@example.com", "josé@example.com"])
def test_an_address_that_no_server_takes_is_recorded_as_skipped(address: str) -> None:
    (found,) = planned("receipt", Addressee(email=address))
    assert found.state == "skipped"
    assert (found.skip_reason or "").startswith("the customer's address ")
    assert found.email == address


def test_it_is_said_which_letters_a_server_does_not_take() -> None:
    (found,) = planned("receipt", Addressee(email="josé@example.com"))
    assert found.skip_reason == "the customer's address has letters before the @ that mail servers do not take"


def test_a_hold_is_told_to_the_shop_and_not_to_the_customer() -> None:
    (found,) = planned("held")
    assert found.email == "help@example.com"
    (found,) = planned("held", merchant=replace(MERCHANT, support_email=None))
    assert found.email == "shop@example.com"


def test_receipts_go_to_copies_too_and_other_mails_do_not() -> None:
    to = Addressee(email="jane@example.com", copies=["joe@example.com", "no address", "ann@example.com"])
    found = planned("receipt", to)
    assert [(one.email, one.state) for one in found] == [
        ("jane@example.com", "planned"),
        ("joe@example.com", "planned"),
        ("ann@example.com", "planned"),
    ]
    assert len({one.mail_id for one in found}) == 3
    for template in KINDS.keys() - {"receipt"}:
        assert len(planned(template, to)) == 1
    shipped = planned("shipment", Addressee(email="jane@example.com", shipment_copies=["joe@example.com"]))
    assert [one.email for one in shipped] == ["jane@example.com", "joe@example.com"]


def test_where_a_rule_keeps_a_receipt_back_it_is_recorded_once() -> None:
    to = Addressee(email="jane@example.com", copies=["joe@example.com"], do_not_send_mail=True)
    assert [one.state for one in planned("receipt", to)] == ["skipped"]


# --- whom ------------------------------------------------------------------------------------------------------------


def test_the_address_of_the_billing_comes_before_the_profiles() -> None:
    profile = Customer(email="profile@example.com")
    assert mails.addressee(Order(billing=OrderBilling(email="order@example.com")), profile).email == "order@example.com"
    assert mails.addressee(Order(billing=OrderBilling()), profile).email == "profile@example.com"
    assert mails.addressee(Order(), None) == Addressee()


def test_copies_are_of_the_order_and_of_the_profile_each_once() -> None:
    order = Order(billing=OrderBilling(email="Jane@example.com", cc_emails=["joe@example.com", "jane@EXAMPLE.com", ""]))
    profile = Customer(
        email="jane@example.com",
        cc_emails=[
            CustomerEmail(email="Joe@Example.com", receipt_notification=True),
            CustomerEmail(email="ann@example.com", receipt_notification=True),
            CustomerEmail(email="bob@example.com", shipment_notification=True),
        ],
    )
    found = mails.addressee(order, profile)
    assert found.copies == ["joe@example.com", "ann@example.com"]
    assert found.shipment_copies == ["joe@example.com", "bob@example.com"]


def test_copies_have_an_end() -> None:
    many = [CustomerEmail(email=f"a{number}@example.com", receipt_notification=True) for number in range(100)]
    found = mails.addressee(Order(), Customer(email="jane@example.com", cc_emails=many))
    assert len(found.copies) == mails.MAXIMUM_COPIES


def test_an_order_of_an_auto_order_is_a_rebill() -> None:
    assert mails.addressee(Order(run=3), None).rebill
    assert not mails.addressee(Order(), None).rebill


# --- addresses and typed texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "envelope"),
    [
        ("jane@example.com", "jane@example.com"),
        (" jane@example.com\r\n", "jane@example.com"),
        ("o'neil+tag@sub.example.co.uk", "o'neil+tag@sub.example.co.uk"),
        ("jane@münchen.example", "jane@xn--mnchen-3ya.example"),
        ("jane@localhost", "jane@localhost"),
    ],
)
def test_these_are_addresses(typed: str, envelope: str) -> None:
    assert mails.mail_address(typed) == envelope


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "jane",
        "a@b.example, c@d.example",
        "a@b.example\nBcc: c@d.example",
        "Jane <a@b.example>",
        "a@b.example>",
        '"a b"@b.example',
        "a@[127.0.0.1]",
        ".a@b.example",
        "a..b@b.example",
        "a@b..example",
        "a@" + "b" * 64 + ".example",
        "a" * 65 + "@b.example",
        "a\u202e@b.example",
        "a@b\u3002example, c@d.example",
        "undisclosed-recipients:;",
    ],
)
def test_these_are_not(typed: str) -> None:
    with pytest.raises(ValueError, match=r"is |has "):
        mails.mail_address(typed)


@given(st.text(max_size=60))
def test_an_address_never_holds_more_than_one(typed: str) -> None:
    try:
        found = mails.mail_address(typed)
    except ValueError:
        return
    assert found.isascii()
    assert found.count("@") == 1
    assert not set(found) & set(' ,;:<>()[]"\\\r\n\t\0')


@pytest.mark.parametrize("typed", HOSTILE)
def test_what_was_typed_stands_on_one_line(typed: str) -> None:
    line = mails.one_line(typed, 40)
    assert len(line) <= 40
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in line)
    assert "\u202e" not in line


@given(st.text(), st.integers(1, 50))
def test_any_text_stands_on_one_line(typed: str, longest: int) -> None:
    line = mails.one_line(typed, longest)
    assert len(line) <= longest
    assert line.splitlines() in ([], [line])
    assert mails.one_line(line, longest) == line


def test_words_of_other_scripts_stay_as_they_are() -> None:
    for words in ("שרה לוי", "José Ñandú 北京", "می‌خواهم", "👩‍🚀 and 🎁"):
        assert mails.one_line(words) == words


def outgoing(**fields: Any) -> Mail:
    base = {"merchant_id": "DEMO", "to": "a@b.example", "subject": "s", "text": "t", "sender": "shop@b.example"}
    return Mail(**(base | fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"to": "a@b.example\nBcc: c@d.example"},
        {"to": "a@b.example,c@d.example"},
        {"sender": ""},
        {"reply_to": "nobody"},
        {"subject": "a\r\nBcc: c@d.example"},
        {"subject": "a\u2028b"},
        {"sender_name": "Shop\nX: 1"},
        {"headers": {"X-A": "1\r\nX-B: 2"}},
        {"headers": {"X-A\r\nX-B": "1"}},
    ],
)
def test_a_mail_that_could_hold_a_second_header_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"holds|is "):
        mails.refuse_unsafe(outgoing(**fields))


def test_an_honest_mail_is_not() -> None:
    mails.refuse_unsafe(outgoing(subject="Ваш заказ", sender_name="שרה", reply_to="x@y.example", headers={"X-A": "1"}))


# --- from plan to end ------------------------------------------------------------------------------------------------


def test_the_name_in_the_due_index_leads_back_to_the_mail() -> None:
    found = mail()
    assert mails.read_waiting_name(mails.waiting_name(found)) == ("order#7", found.mail_id)


@pytest.mark.parametrize("name", ["", "mail", "mail#", "mail#x", "mail##order#1", "12#evt_1", "webhook#mail#1"])
def test_other_names_are_no_mails(name: str) -> None:
    assert mails.read_waiting_name(name) is None


def test_the_first_try_waits_for_nobody_and_a_later_one_for_its_time() -> None:
    assert mails.may_try(mail(), NOW)
    again = mails.not_sent(mails.claimed(mail(), "me", NOW), "down", NOW)
    assert not mails.may_try(again, later(NOW, seconds=59))
    assert mails.may_try(again, later(NOW, seconds=60))


@pytest.mark.parametrize("state", ["sending", "sent", "skipped", "failed"])
def test_only_a_planned_mail_is_tried(state: mails.State) -> None:
    assert not mails.may_try(mail(state=state), later(NOW, days=9))


def test_a_claim_made_at_once_leaves_the_due_time_where_it_is() -> None:
    planned_due = mail().next_dts
    assert mails.claimed(mail(), "me", later(NOW, seconds=180)).next_dts == planned_due
    late = later(NOW, seconds=181)
    assert mails.claimed(mail(), "me", late).next_dts == later(late, seconds=mails.LEASE_SECONDS)


def test_a_claim_is_abandoned_when_its_lease_is_over() -> None:
    claim = mails.claimed(mail(), "me", NOW)
    assert not mails.abandoned(claim, later(NOW, seconds=mails.LEASE_SECONDS - 1))
    assert mails.abandoned(claim, later(NOW, seconds=mails.LEASE_SECONDS))
    assert not mails.abandoned(mails.sent(claim, "s", NOW), later(NOW, days=9))


def test_a_mail_that_cannot_be_handed_over_is_tried_eight_times_in_two_days() -> None:
    found, now, waits = mail(), NOW, []
    while found.state == "planned":
        found = mails.not_sent(mails.claimed(found, "me", now), "SES is down", now)
        if found.next_dts:
            waits.append(int((found.next_dts - now).total_seconds()))
            now = found.next_dts
    assert tuple(waits) == mails.RETRY_SECONDS
    assert (found.state, found.tries) == ("failed", 8)
    assert found.failure_reason == "not sent in 8 tries: SES is down"
    assert (now - NOW).days == 1


@pytest.mark.parametrize(
    ("template", "after_one", "after_two"),
    [
        ("receipt", "planned", "failed"),
        ("preshipment_notice", "planned", "failed"),
        ("held", "planned", "failed"),
        ("update_billing", "failed", "failed"),
        ("disabled", "failed", "failed"),
        ("action_needed", "failed", "failed"),
        ("easy_cancel", "planned", "failed"),
        ("price_notice", "planned", "failed"),
    ],
)
def test_of_a_try_that_nobody_knows_receipts_get_one_more_and_problems_none(
    template: Template, after_one: str, after_two: str
) -> None:
    one = mails.unknown(mails.claimed(mail(template), "me", NOW), "no answer", NOW)
    assert one.state == after_one
    two = mails.unknown(mails.claimed(one, "me", NOW), "no answer", NOW)
    assert two.state == after_two
    assert (two.failure_reason or "").startswith("it may have been sent")


def test_a_mail_that_may_have_gone_out_is_never_called_skipped() -> None:
    assert mails.skipped(mail(), "why").state == "skipped"
    after = mails.skipped(mail(unknown=1), "why")
    assert (after.state, after.skip_reason) == ("failed", None)


@pytest.mark.parametrize(
    ("stands", "after", "may"),
    [
        ("sending", "sent", True),
        ("sending", "planned", True),
        ("planned", "sent", True),
        ("failed", "sent", True),
        ("planned", "planned", False),
        ("failed", "failed", False),
        ("sent", "sent", False),
        ("skipped", "sent", False),
    ],
)
def test_who_knows_that_it_was_sent_may_say_so_late(stands: mails.State, after: mails.State, may: bool) -> None:
    assert mails.may_mark(mail(state=stands, owner="me"), mail(state=after, owner="me")) is may


def test_a_claim_of_somebody_else_is_left_alone() -> None:
    assert not mails.may_mark(mail(state="sending", owner="other"), mail(state="sent", owner="me"))


def test_a_mail_is_shown_in_the_contracts_words() -> None:
    form = MERCHANT.form()
    sent = mails.sent(mails.claimed(mail(), "me", NOW), "Your receipt", NOW)
    assert wire.whole(mails.shown_mail(sent), form) == {
        "email": "jane@example.com",
        "internal": False,
        "message_id": sent.mail_id,
        "send_dts": "2027-01-31T12:00:00-05:00",
        "skipped": False,
        "subject": "Your receipt",
    }
    (skipped,) = planned("update_billing", settings=AutoOrderProcessing(skip_problem_emails=True))
    shown = wire.whole(mails.shown_mail(skipped), form)
    assert shown["skipped"] is True
    assert "skip_problem_emails" in shown["skip_reason"]
    assert wire.whole(mails.shown_mail(mail("held")), form)["internal"] is True


def test_what_is_kept_comes_back() -> None:
    found = mails.sent(mails.claimed(mail(), "me", NOW), "Ваш заказ", NOW)
    assert wire.load(wire.kept(found), SentMail) == found


# --- still worth telling? --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["Unprocessed", "Declined", "Refunded", "Voided", None])
def test_there_is_no_receipt_without_a_paid_order(status: Any) -> None:
    assert mails.outdated(mail(), None, Order(payment=OrderPayment(payment_status=status)))
    assert mails.outdated(mail(), None, Order())


def test_a_paid_order_has_one() -> None:
    assert mails.outdated(mail(), None, Order(payment=OrderPayment(payment_status="Processed"))) is None


@pytest.mark.parametrize(
    ("template", "head", "worth"),
    [
        ("update_billing", Head(status="active", round=2), True),
        ("update_billing", Head(status="active", round=3), False),
        ("update_billing", Head(status="active", round=0), False),
        ("update_billing", Head(status="canceled", round=2), False),
        ("update_billing", None, False),
        ("disabled", Head(status="disabled", round=3), True),
        ("disabled", Head(status="active"), False),
        ("preshipment_notice", Head(status="active"), True),
        ("preshipment_notice", Head(status="canceled"), False),
        ("action_needed", Head(status="active", round=2), True),
        ("action_needed", Head(status="active", round=3), False),
        ("price_notice", Head(status="active"), True),
        ("price_notice", Head(status="disabled"), False),
        ("easy_cancel", Head(status="active"), True),
        ("easy_cancel", Head(status="canceled"), False),
        ("easy_cancel", None, False),
        ("canceled", Head(status="canceled"), True),
        ("canceled", Head(status="active"), False),
        ("card_expiring", Head(status="canceled"), False),
        ("held", Head(status="canceled"), True),
        ("held", None, True),
    ],
)
def test_what_has_changed_meanwhile_is_not_told(template: Template, head: Head | None, worth: bool) -> None:
    assert (mails.outdated(mail(template, facts={"attempt": "2"}), head, None) is None) is worth


@pytest.mark.parametrize("stage", ["Shipping Department", "Rejected", None])
def test_there_is_no_shipment_notice_of_what_is_not_shipped(stage: Any) -> None:
    assert mails.outdated(mail("shipment"), None, Order(current_stage=stage))
    assert mails.outdated(mail("shipment"), None, Order(current_stage="Completed Order")) is None


def test_the_end_of_a_card_is_not_told_of_a_card_that_was_replaced() -> None:
    card = OrderPaymentCreditCard(card_expiration_month=3, card_expiration_year=2027)
    original, active = Order(payment=OrderPayment(credit_card=card)), Head(status="active")
    told = mail("card_expiring", facts={"month": "2027-03"})
    assert mails.outdated(told, active, original) is None
    renewed = Order(payment=OrderPayment(credit_card=replace(card, card_expiration_year=2030)))
    for other in (renewed, Order()):
        assert mails.outdated(told, active, other) == "the card has been changed meanwhile"


# --- to the merchant -------------------------------------------------------------------------------------------------


def test_the_digest_of_a_day_is_planned_once_for_the_next_morning() -> None:
    found = mails.digest_of(date(2027, 1, 31), MERCHANT, NOW)
    assert (found.email, found.about, found.state) == ("help@example.com", "day#2027-01-31", "planned")
    assert found.not_before == found.next_dts == parse_instant("2027-02-01T07:00:00-05:00")
    assert mails.digest_of(date(2027, 1, 31), MERCHANT, later(NOW, hours=3)).mail_id == found.mail_id
    assert mails.digest_of(date(2027, 2, 1), MERCHANT, NOW).mail_id != found.mail_id


def test_a_digest_is_not_sent_before_its_morning_whoever_comes_with_its_id() -> None:
    found = mails.digest_of(date(2027, 1, 31), MERCHANT, NOW)
    assert not mails.may_try(found, parse_instant("2027-02-01T06:59:59-05:00"))
    assert mails.may_try(found, parse_instant("2027-02-01T07:00:00-05:00"))


def test_a_shop_without_an_address_has_its_digest_recorded_as_skipped() -> None:
    found = mails.digest_of(date(2027, 1, 31), Merchant(merchant_id="DEMO"), NOW)
    assert (found.state, found.skip_reason) == ("skipped", "the shop has no support_email: it is missing")
    assert found.next_dts is None


def test_instants_are_kept_as_instants() -> None:
    kept = wire.load(wire.kept(mail()), SentMail)
    assert isinstance(kept.created_dts, Instant)
