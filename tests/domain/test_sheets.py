"""Profiles as rows: what stands in a cell, what a changed cell means, and that no cell runs."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.customers import (
    Customer,
    CustomerBilling,
    CustomerCard,
    CustomerEmail,
    CustomerPrivacy,
    CustomerProperty,
    CustomerTag,
    CustomerTaxCodes,
)
from chalicelib.domain.dates import parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.sheets import (
    FORMULA,
    MAXIMUM_NUMBERED,
    Edit,
    armoured,
    cells_of,
    changed,
    columns,
    edits_of,
    guarded,
    guess,
    known,
    lengths_of,
    unguarded,
)

ADA = Customer(
    customer_profile_oid=1001,
    email="ada@example.com",
    birth_date=date(1815, 12, 10),
    free_shipping=True,
    free_shipping_minimum=Decimal("9.50"),
    maximum_item_count=7,
    signup_dts=parse_instant("2027-01-31T05:00:00Z"),
    privacy=CustomerPrivacy(marketing=False, last_update_dts=parse_instant("2027-01-31T05:00:00Z")),
    tags=[CustomerTag(tag_value="VIP"), CustomerTag(tag_value="a;b\\")],
    billing=[
        CustomerBilling(customer_billing_oid=1, city="Turin", postal_code="00123", day_phone="+39 11 1"),
        CustomerBilling(customer_billing_oid=2, city="London", default_billing=True),
    ],
    cards=[CustomerCard(card_number="XXXXXXXXXXXX1111", card_number_token="token")],
)
ADAS = {
    "email": "ada@example.com",
    "customer_profile_oid": "1001",
    "birth_date": "1815-12-10",
    "free_shipping": "true",
    "free_shipping_minimum": "9.50",
    "maximum_item_count": "7",
    "signup_dts": "2027-01-31T05:00:00Z",
    "privacy_marketing": "false",
    "tags": "VIP; a\\;b\\\\",
    "billing_1_city": "London",
    "billing_1_default_billing": "true",
    "billing_2_city": "Turin",
    "billing_2_postal_code": "00123",
    "billing_2_day_phone": "+39 11 1",
}


def edited(before: Customer | None, cells: dict[str, str], *, blanks_keep: bool = False) -> Customer:
    return changed(before, edits_of(before, cells, blanks_keep=blanks_keep))


def refused(before: Customer | None, cells: dict[str, str]) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        edited(before, cells)
    return {problem.pointer: problem.message for problem in caught.value.problems}


def test_a_profile_is_a_row_with_its_default_address_first_and_without_its_cards() -> None:
    assert cells_of(ADA) == ADAS


def test_an_untouched_row_says_nothing() -> None:
    every = {column.name: "" for column in columns(lengths_of(ADA))} | ADAS
    assert edits_of(ADA, every, blanks_keep=False) == []
    assert edited(ADA, every) == ADA


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("free_shipping", "TRUE"),
        ("free_shipping", "yes"),
        ("free_shipping_minimum", "9.5"),
        ("maximum_item_count", "7.0"),
        ("signup_dts", "anything: it is shown only"),
        ("email", "ADA@example.com"),
        ("tags", " VIP ;a\\;b\\\\;"),
    ],
)
def test_the_same_in_other_words_is_no_edit(column: str, text: str) -> None:
    assert edits_of(ADA, ADAS | {column: text}, blanks_keep=False) == []


def test_a_changed_cell_changes_its_field_and_nothing_else() -> None:
    told = edits_of(ADA, ADAS | {"billing_2_city": "Rome", "tags": "VIP; new"}, blanks_keep=False)
    assert told == [Edit("tags", "VIP; a\\;b\\\\", "VIP; new"), Edit("billing_2_city", "Turin", "Rome")]
    after = changed(ADA, told)
    assert after.tags == [CustomerTag(tag_value="VIP"), CustomerTag(tag_value="new")]
    assert [(entry.customer_billing_oid, entry.city) for entry in after.billing or []] == [(2, "London"), (1, "Rome")]
    assert (after.cards, after.privacy, after.signup_dts) == (ADA.cards, ADA.privacy, ADA.signup_dts)


def test_an_empty_cell_clears_its_field_or_says_nothing_as_one_likes() -> None:
    cells = ADAS | {"birth_date": "", "privacy_marketing": "", "tags": ""}
    bare = edited(ADA, cells)
    assert (bare.birth_date, bare.tags) == (None, None)
    assert bare.privacy is not None
    assert bare.privacy.marketing is None
    assert edited(ADA, cells, blanks_keep=True) == ADA


def test_a_column_that_is_not_in_the_file_says_nothing() -> None:
    assert edited(ADA, {"email": "ada@example.com", "fax": "1"}).billing == ADA.billing


def test_an_entry_of_which_nothing_is_left_is_gone() -> None:
    gone = {name: "" for name in ADAS if name.startswith("billing_2_")}
    after = edited(ADA, ADAS | gone)
    assert [entry.city for entry in after.billing or []] == ["London"]


def test_a_new_entry_is_added_behind_the_others() -> None:
    after = edited(ADA, ADAS | {"billing_3_city": "Paris", "cc_emails_1_email": "b@example.com"})
    assert [entry.city for entry in after.billing or []] == ["London", "Turin", "Paris"]
    assert after.cc_emails == [CustomerEmail(email="b@example.com")]


def test_what_comes_after_the_last_number_stands_in_one_cell_and_is_changed_there() -> None:
    many = [CustomerProperty(customer_profile_property_oid=n, name=f"p{n}", value="x") for n in range(1, 14)]
    customer = Customer(email="a@example.com", properties=many)
    cells = cells_of(customer)
    assert cells["properties_more"] == (
        '[{"name": "p11", "value": "x"}, {"name": "p12", "value": "x"}, {"name": "p13", "value": "x"}]'
    )
    assert edited(customer, cells) == customer
    after = edited(customer, cells | {"properties_more": '[{"name": "p11", "value": "y"}]'})
    assert [(one.customer_profile_property_oid, one.value) for one in (after.properties or [])[10:]] == [(11, "y")]
    assert "properties_more" in refused(customer, cells | {"properties_more": "[{"})
    assert "properties_more" in refused(customer, cells | {"properties_more": '[{"oid": "1"}]'})
    assert f"properties_{MAXIMUM_NUMBERED + 1}_name" not in known()


def test_what_a_field_does_not_take_is_told_by_its_column() -> None:
    assert refused(
        ADA,
        ADAS
        | {
            "free_shipping": "perhaps",
            "maximum_item_count": "many",
            "birth_date": "10/12/1815",
            "billing_2_country_code": "Italy",
            "free_shipping_minimum": "-1",
            "properties_1_expiration_dts": "2027-01-31",
        },
    ).keys() == {
        "free_shipping",
        "maximum_item_count",
        "birth_date",
        "billing_2_country_code",
        "free_shipping_minimum",
        "properties_1_expiration_dts",
    }


def test_a_new_profile_is_made_of_its_cells() -> None:
    cells = {"email": "New@Example.com", "billing_1_first_name": "New", "tax_codes_taxjar_customer_id": "7", "fax": ""}
    assert edited(None, cells) == Customer(
        email="New@Example.com",
        billing=[CustomerBilling(first_name="New")],
        tax_codes=CustomerTaxCodes(taxjar_customer_id="7"),
    )


def test_no_column_shows_a_password_a_card_or_what_is_kept_for_us_alone() -> None:
    for word in ("password", "card", "token", "stored", "merchant_id", "loyalty", "orders", "attachments"):
        assert not [name for name in known() if word in name], word


@pytest.mark.parametrize(
    ("heading", "column"),
    [
        ("Email", "email"),
        ("E-Mail Address", "email"),
        ("Customer Profile ID", "customer_profile_oid"),
        ("Address 1", "billing_1_address1"),
        ("Day Phone", "billing_1_day_phone"),
        ("Shipping Postal Code", "shipping_1_postal_code"),
        ("Shipping Zip", "shipping_1_postal_code"),
        ("Allow 3rd Party Billing", "allow_3rd_party_billing"),
        ("BILLING_2_CITY", "billing_2_city"),
        ("Shoe size", ""),
        ("", ""),
    ],
)
def test_a_heading_is_guessed(heading: str, column: str) -> None:
    assert guess(heading) == column


def test_every_column_is_guessed_by_its_own_name() -> None:
    assert [name for name in known() if guess(name) != name] == []


TEXTS = st.one_of(
    st.text(max_size=20),
    st.builds(
        lambda quotes, first, rest: quotes + first + rest,
        st.text("'", max_size=3),
        st.sampled_from(sorted(FORMULA)),
        st.text(max_size=5),
    ),
)


@given(TEXTS)
def test_no_guarded_text_begins_as_a_formula_and_the_guard_comes_off(text: str) -> None:
    assert guarded(text)[:1] not in FORMULA
    assert unguarded(guarded(text)) == text
    assert unguarded(armoured(text)) == text


@given(st.lists(st.text(min_size=1, max_size=8).filter(lambda text: text == text.strip()), max_size=5))
def test_what_stands_in_one_cell_is_parted_as_it_was_joined(tags: list[str]) -> None:
    customer = Customer(email="a@example.com", tags=[CustomerTag(tag_value=tag) for tag in tags] or None)
    cells: dict[str, Any] = cells_of(customer)
    assert edited(Customer(email="a@example.com"), cells).tags == customer.tags
