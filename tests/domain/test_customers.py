"""Customer profiles: what a request may say, what the server sets, and which addresses are the same one."""

from collections.abc import Iterator
from itertools import count
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ultracart import models

from chalicelib.domain import wire
from chalicelib.domain.customers import (
    MAXIMUM_ADDRESSES,
    Customer,
    CustomerBilling,
    CustomerCard,
    CustomerPricingTier,
    CustomerPrivacy,
    CustomerProperty,
    e164,
    normalised_email,
    numbered,
    stamped,
    validate,
)
from chalicelib.domain.dates import parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.loyalty import CustomerLoyalty
from chalicelib.domain.orders import Order
from chalicelib.domain.payments import StoredCard
from chalicelib.domain.wire import Form

FORM = Form(zone_name="America/New_York", currency_code="USD")
# What we say besides.
OF_OURS = {"CustomerAttachment": ["file_size"]}
OTHERS: set[Any] = {CustomerLoyalty, Order, StoredCard}
STORED = StoredCard(gateway="sandbox", reference="card_1", fingerprint="f1")


def structs_in(type_: Any) -> Iterator[type[wire.Noun]]:
    """The noun and the nouns in it; what is in orders and in loyalty is told elsewhere."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        yield type_  # type: ignore[misc]
        for hint in get_type_hints(type_).values() if type_ not in OTHERS else ():
            yield from structs_in(hint)
    for part in get_args(type_):
        yield from structs_in(part)


def customer(**fields: Any) -> Customer:
    return wire.noun({"email": "jane@example.com", **fields}, Customer)


def with_card() -> Customer:
    card = CustomerCard(
        card_number="XXXXXXXXXXXX1111",
        card_type="VISA",
        card_expiration_month=4,
        card_expiration_year=2030,
        stored_card=STORED,
    )
    return numbered(Customer(email="jane@example.com", cards=[card]), None, count(1))


def pointers(error: pytest.ExceptionInfo[Invalid]) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.code) for problem in error.value.problems]


@pytest.mark.parametrize("ours", list({*structs_in(Customer)} - OTHERS), ids=lambda ours: ours.__name__)
def test_the_noun_has_every_field_of_the_contract_and_in_its_order(ours: type[wire.Noun]) -> None:
    theirs = [*getattr(models, ours.__name__).attribute_map.values(), *OF_OURS.get(ours.__name__, ())]
    shown = [field.encode_name for field in msgspec.structs.fields(ours) if field.name not in ours.own]
    assert shown == sorted(theirs, key=str.lower)


def test_a_field_that_is_not_the_contracts_is_refused_by_name() -> None:
    with pytest.raises(Invalid) as error:
        customer(nickname="x")
    assert pointers(error) == [("/nickname", "unknown_field")]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("password", "short", "out_of_range"),
        ("password", "x" * 31, "out_of_range"),
        ("sales_rep_code", "x" * 11, "out_of_range"),
        ("tax_id", "x" * 16, "out_of_range"),
        ("website_url", "x" * 101, "out_of_range"),
        ("business_notes", "x" * 2001, "out_of_range"),
        ("minimum_subtotal", -1, "out_of_range"),
        ("free_shipping_minimum", "5", "wrong_type"),
        ("maximum_item_count", 1.5, "wrong_type"),
        ("allow_cod", 1, "wrong_type"),
        ("birth_date", "31 January", "wrong_type"),
    ],
)
def test_a_field_has_its_bounds(name: str, value: Any, code: str) -> None:
    with pytest.raises(Invalid) as error:
        customer(**{name: value})
    assert pointers(error) == [(f"/{name}", code)]


@pytest.mark.parametrize("email", ["jane", "no-at-sign", "jane@example.com", "用户@例子.公司", "a" * 100])
def test_an_address_need_not_look_like_one(email: str) -> None:
    validate(customer(email=email))


@pytest.mark.parametrize(
    ("email", "code"),
    [(None, "required"), ("   ", "required"), ("a\nb@example.com", "invalid"), ("a\u202eb@example.com", "invalid")],
)
def test_a_profile_needs_an_address_without_invisible_characters(email: str | None, code: str) -> None:
    with pytest.raises(Invalid) as error:
        validate(Customer(email=email))
    assert pointers(error) == [("/email", code)]


def test_an_address_of_101_characters_is_refused() -> None:
    with pytest.raises(Invalid) as error:
        customer(email="a" * 101)
    assert pointers(error) == [("/email", "out_of_range")]


def test_an_address_book_has_an_end() -> None:
    validate(customer(billing=[{"city": "Rome"}] * MAXIMUM_ADDRESSES))
    with pytest.raises(Invalid) as error:
        customer(billing=[{"city": "Rome"}] * (MAXIMUM_ADDRESSES + 1))
    assert pointers(error) == [("/billing", "out_of_range")]


def test_all_problems_are_told_at_once() -> None:
    profile = customer(
        cc_emails=[{"label": "office"}],
        properties=[{"value": "x"}],
        tags=[{}],
        billing=[{"default_billing": True}, {}, {"default_billing": True}],
        shipping=[{"default_shipping": True}, {"default_shipping": True}],
    )
    profile.email = None
    profile.pricing_tiers = [CustomerPricingTier()]
    profile.free_shipping = profile.no_free_shipping = True
    profile.minimum_item_count, profile.maximum_item_count = 5, 4
    with pytest.raises(Invalid) as error:
        validate(profile)
    assert pointers(error) == [
        ("/email", "required"),
        ("/cc_emails/0/email", "required"),
        ("/properties/0/name", "required"),
        ("/tags/0/tag_value", "required"),
        ("/pricing_tiers/0/pricing_tier_oid", "required"),
        ("/no_free_shipping", "conflict"),
        ("/maximum_item_count", "conflict"),
        ("/billing/2/default_billing", "conflict"),
        ("/shipping/1/default_shipping", "conflict"),
    ]


@pytest.mark.parametrize("name", ["customer_profile_oid", "merchant_id", "signup_dts", "last_modified_dts"])
def test_what_the_server_sets_is_no_part_of_an_insert(name: str) -> None:
    value: Any = {"customer_profile_oid": 7, "merchant_id": "DEMO"}.get(name, "2027-01-31T00:00:00-05:00")
    with pytest.raises(Invalid) as error:
        wire.refuse_owned({"email": "jane", name: value}, Customer)
    assert pointers(error) == [(f"/{name}", "read_only")]


def test_the_server_numbers_every_entry_and_says_whose_it_is() -> None:
    profile = numbered(
        customer(billing=[{}, {}], shipping=[{}], cc_emails=[{"email": "a"}], properties=[{"name": "n"}]),
        None,
        count(10),
    )
    assert profile.customer_profile_oid == 10
    assert [entry.customer_billing_oid for entry in profile.billing or []] == [11, 12]
    assert [entry.customer_shipping_oid for entry in profile.shipping or []] == [13]
    assert [entry.customer_profile_email_oid for entry in profile.cc_emails or []] == [14]
    assert [entry.customer_profile_property_oid for entry in profile.properties or []] == [15]
    assert [entry.customer_profile_oid for entry in profile.billing or []] == [10, 10]
    assert [entry.customer_profile_oid for entry in profile.shipping or []] == [10]


def test_known_entries_keep_their_oids_and_new_ones_get_fresh_ones() -> None:
    before = numbered(customer(billing=[{"city": "Rome"}, {"city": "Oslo"}]), None, count(1))
    wanted = wire.overlay(before, {"billing": [{"city": "Bonn"}, {"customer_billing_oid": 2, "city": "Turin"}]})
    after = numbered(wanted, before, iter([2, 3, 9]))
    assert [(entry.customer_billing_oid, entry.city) for entry in after.billing or []] == [(9, "Bonn"), (2, "Turin")]
    assert [(entry.customer_billing_oid, entry.city) for entry in before.billing or []] == [(2, "Rome"), (3, "Oslo")]


def test_an_entry_cannot_take_the_oid_of_another_profile_or_use_one_twice() -> None:
    before = numbered(customer(billing=[{}]), None, count(1))
    with pytest.raises(Invalid) as error:
        numbered(
            Customer(
                email="jane",
                billing=[
                    CustomerBilling(customer_billing_oid=2),
                    CustomerBilling(customer_billing_oid=2),
                    CustomerBilling(customer_billing_oid=77),
                ],
                properties=[CustomerProperty(customer_profile_property_oid=5, name="n")],
            ),
            before,
            count(100),
        )
    assert pointers(error) == [
        ("/billing/1/customer_billing_oid", "unknown"),
        ("/billing/2/customer_billing_oid", "unknown"),
        ("/properties/0/customer_profile_property_oid", "unknown"),
    ]


def test_what_was_not_sent_stays() -> None:
    before = numbered(customer(billing=[{"city": "Rome"}], tags=[{"tag_value": "vip"}]), None, count(1))
    after = numbered(wire.overlay(before, {"fax": "1"}), before, count(50))
    assert after == wire.overlay(before, {"fax": "1"})


def test_what_only_we_set_inside_a_block_is_refused_by_name() -> None:
    profile = customer(privacy={"last_update_dts": "2027-01-31T00:00:00Z"}, reviewer={"rank": 1, "nickname": "JJ"})
    with pytest.raises(Invalid) as error:
        numbered(profile, None, count(1))
    assert pointers(error) == [("/privacy/last_update_dts", "read_only"), ("/reviewer/rank", "read_only")]


def test_a_change_of_privacy_has_its_instant_and_sending_it_back_changes_nothing() -> None:
    first, second = parse_instant("2027-01-31T00:00:00Z"), parse_instant("2027-02-28T00:00:00Z")
    profile = stamped(customer(privacy={"marketing": True}), None, first)
    assert profile.privacy == CustomerPrivacy(marketing=True, last_update_dts=first)
    assert stamped(profile, profile, second) == profile
    changed = stamped(wire.overlay(profile, {"privacy": {"marketing": False}}), profile, second)
    assert changed.privacy == CustomerPrivacy(marketing=False, last_update_dts=second)


@pytest.mark.parametrize(
    ("phone", "country", "international"),
    [
        ("(212) 555-0100", "US", "+12125550100"),
        ("1-212-555-0100", "CA", "+12125550100"),
        ("+49 30 901820", "US", "+4930901820"),
        ("212 555 0100", None, None),
        ("030 901820", "DE", None),
        ("555-0100", "US", None),
        ("212-555-0100 ext. 4", "US", None),
        ("+1 212 555 0100 +1", "US", None),
        ("+1234567890123456", "US", None),
        (None, "US", None),
    ],
)
def test_a_phone_number_has_its_international_form_where_its_country_is_sure(
    phone: str | None, country: str | None, international: str | None
) -> None:
    assert e164(phone, country) == international


def test_the_international_form_follows_the_number_and_is_not_set() -> None:
    before = numbered(customer(billing=[{"day_phone": "212-555-0100", "country_code": "US"}]), None, count(1))
    read = wire.render(before, FORM, ["billing"])["billing"][0]
    assert read["day_phone_e164"] == "+12125550100"
    after = numbered(wire.overlay(before, {"billing": [read | {"day_phone": "212-555-0199"}]}), before, count(50))
    assert (after.billing or [])[0].day_phone_e164 == "+12125550199"
    with pytest.raises(Invalid) as error:
        numbered(wire.overlay(before, {"billing": [read | {"day_phone_e164": "+1999"}]}), before, count(50))
    assert pointers(error) == [("/billing/0/day_phone_e164", "read_only")]


# --- cards -----------------------------------------------------------------------------------------------------------


def test_how_a_card_is_charged_is_kept_and_never_shown() -> None:
    profile = with_card()
    kept = wire.load(wire.kept(profile), Customer)
    assert kept == profile
    shown = wire.render(profile, FORM, ["cards"])
    assert shown["cards"][0]["card_number"] == "XXXXXXXXXXXX1111"
    assert "stored_card" not in shown["cards"][0]
    assert "card_1" not in str(wire.whole(profile, FORM))


def test_a_request_cannot_bring_its_own_stored_card() -> None:
    raw = {"gateway": "sandbox", "reference": "card_9", "fingerprint": "f9"}
    with pytest.raises(Invalid) as error:
        customer(cards=[{"stored_card": raw}])
    assert pointers(error) == [("/cards/0/stored_card", "unknown_field")]


def test_a_card_that_is_sent_back_as_it_was_read_can_still_be_charged() -> None:
    before = with_card()
    read = wire.render(before, FORM, ["cards"])
    after = numbered(wire.overlay(before, {"cards": read["cards"]}), before, count(50))
    assert after == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("card_number", "4111111111111111"),
        ("card_type", "AMEX"),
        ("card_expiration_month", 5),
        ("card_expiration_year", 2040),
    ],
)
def test_a_stored_card_is_not_changed_but_replaced(field: str, value: Any) -> None:
    before = with_card()
    known = (before.cards or [])[0].customer_profile_credit_card_id
    sent_back = {"cards": [{"customer_profile_credit_card_id": known, field: value}]}
    with pytest.raises(Invalid) as error:
        numbered(wire.overlay(before, sent_back), before, count(50))
    assert pointers(error) == [(f"/cards/0/{field}", "read_only")]


def test_a_card_is_added_by_its_token_never_by_its_number() -> None:
    with pytest.raises(Invalid) as error:
        numbered(customer(cards=[{"card_number": "4111111111111111", "card_type": "VISA"}]), None, count(1))
    assert pointers(error) == [("/cards/0/card_number_token", "required")]


def test_a_used_token_is_not_kept() -> None:
    card = CustomerCard(card_number_token="tok", stored_card=STORED)
    profile = numbered(Customer(email="jane", cards=[card]), None, count(1))
    assert (profile.cards or [])[0].card_number_token is None


def test_cards_that_are_left_out_are_gone() -> None:
    before = with_card()
    assert numbered(wire.overlay(before, {"cards": []}), before, count(50)).cards == []


# --- the wire --------------------------------------------------------------------------------------------------------


def test_blocks_are_shown_where_they_are_asked_for() -> None:
    profile = numbered(
        customer(billing=[{"city": "Rome"}], tags=[{"tag_value": "vip"}], birth_date="1980-02-29"), None, count(1)
    )
    assert wire.render(profile, FORM) == {
        "birth_date": "1980-02-29",
        "customer_profile_oid": 1,
        "email": "jane@example.com",
    }
    assert wire.render(profile, FORM, ["tags"])["tags"] == [{"tag_value": "vip"}]


@given(
    st.fixed_dictionaries(
        {"email": st.text("abc@.", min_size=1, max_size=20)},
        optional={
            "fax": st.text(max_size=32),
            "tax_exempt": st.booleans(),
            "birth_date": st.dates().map(lambda day: day.isoformat()),
            "tags": st.lists(st.fixed_dictionaries({"tag_value": st.text(min_size=1, max_size=250)}), max_size=5),
            "billing": st.lists(st.fixed_dictionaries({"city": st.text(max_size=32)}), max_size=5),
        },
    )
)
def test_a_profile_comes_back_as_it_was_kept(raw: dict[str, Any]) -> None:
    profile = numbered(wire.noun(raw, Customer), None, count(1))
    assert wire.load(wire.kept(profile), Customer) == profile
    assert numbered(wire.overlay(profile, {}), profile, count(500)) == profile


# --- the unique address ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Jane@Example.com", "jane@example.com"),
        (" jane@example.com ", "jane@example.com"),
        ("jose\u0301@example.com", "jos\u00e9@example.com"),
    ],
)
def test_these_are_one_address(one: str, other: str) -> None:
    assert normalised_email(one) == normalised_email(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("straße@example.com", "strasse@example.com"),
        ("jane+a@example.com", "jane@example.com"),
        ("j.ane@example.com", "jane@example.com"),
    ],
)
def test_these_are_two(one: str, other: str) -> None:
    assert normalised_email(one) != normalised_email(other)


@given(st.text(max_size=100))
def test_normalising_twice_changes_nothing(email: str) -> None:
    assert normalised_email(normalised_email(email)) == normalised_email(email)
