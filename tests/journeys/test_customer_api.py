"""Customer profiles by the unmodified official SDK: every call of CustomerApi that stands and is told nowhere else."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ultracart.apis import CustomerApi, ItemApi, OrderApi
from ultracart.exceptions import ApiException
from ultracart.models import (
    Customer,
    CustomerBilling,
    CustomerEmail,
    CustomerMergeRequest,
    CustomerPricingTier,
    CustomerPrivacy,
    CustomerProperty,
    CustomerReviewer,
    CustomerSoftwareEntitlement,
    CustomerTag,
    CustomerTaxCodes,
    EmailVerifyTokenRequest,
    EmailVerifyTokenValidateRequest,
    Item,
    ItemPricing,
    Order,
    OrderBilling,
    OrderItem,
)

from tests.running import Running

EVERYTHING = (
    "activity,attachments,billing,cards,cc_emails,edi,loyalty,orders,orders_summary,pricing_tiers,privacy,properties,"
    "quotes,quotes_summary,reviewer,shipping,software_entitlements,tags,tax_codes"
)


@pytest.fixture(scope="module")
def customers(client: Any) -> Any:
    return CustomerApi(client)


def refused(act: Any) -> str:
    with pytest.raises(ApiException) as error:
        act()
    assert error.value.status in (400, 404)
    return str(error.value.body)


def whole() -> Any:
    """A profile with something on every tab."""
    return Customer(
        allow_cod=True,
        automatic_merchant_notes="Ring twice",
        billing=[
            CustomerBilling(
                first_name="Ada", last_name="Byron", country_code="US", day_phone="212-555-0100", default_billing=True
            )
        ],
        business_notes="Pays at once",
        cc_emails=[CustomerEmail(email="office@example.com", label="Office", receipt_notification=True)],
        email="Ada+1@Example.com",
        free_shipping=True,
        free_shipping_minimum=30.0,
        minimum_item_count=1,
        password="three words apart",
        pricing_tiers=[CustomerPricingTier(name="Dealers")],
        privacy=CustomerPrivacy(marketing=True, statistics=False),
        properties=[CustomerProperty(name="shoe", value="42")],
        qb_class="Retail",
        reviewer=CustomerReviewer(nickname="Countess", expert=True),
        software_entitlements=[CustomerSoftwareEntitlement(software_sku="TYPE-9", activation_code="A-1")],
        tags=[CustomerTag(tag_value="vip")],
        tax_codes=CustomerTaxCodes(taxjar_customer_id="7"),
        tax_exempt=True,
        ups_account_number="1Z",
        website_url="https://example.com",
    )


def test_a_profile_lives_from_its_insert_to_its_end(shop: Running, client: Any, customers: Any) -> None:
    tiers = {"tiers": [{"name": "Dealers", "default_percentage_discount": 10}]}
    assert shop.ask("PUT", "/rest/v2/configuration/pricing_tiers", tiers)[0] == 200
    [tier] = ItemApi(client).get_pricing_tiers().pricing_tiers
    assert (tier.name, tier.default_percentage_discount) == ("Dealers", 10)

    made = customers.insert_customer(whole(), expand=EVERYTHING).customer
    oid = made.customer_profile_oid
    assert made.billing[0].day_phone_e164 == "+12125550100"
    assert made.pricing_tiers[0].pricing_tier_oid == tier.pricing_tier_oid
    assert made.privacy.last_update_dts
    assert made.reviewer.nickname == "Countess"
    assert made.software_entitlements[0].customer_software_entitlement_oid
    assert not hasattr(made, "password")
    assert customers.get_customer_by_email("ada+1@example.com").customer.customer_profile_oid == oid

    ItemApi(client).insert_item(Item(merchant_item_id="TEA", pricing=ItemPricing(cost=10.0)))
    order = Order(
        items=[OrderItem(merchant_item_id="TEA", quantity=2.0)],
        billing=OrderBilling(email="ada+1@example.com", country_code="US"),
    )
    placed = OrderApi(client).insert_order(order, expand="summary").order
    assert placed.summary.total.value == 18

    read = customers.get_customer(oid, expand=EVERYTHING).customer
    assert [one.order_id for one in read.orders] == [placed.order_id]
    assert (read.orders_summary.order_count, read.orders_summary.total) == (1, 18)
    assert read.activity.activities[0].subject == placed.order_id
    assert read.quotes == []
    read.fax = "1"
    changed = customers.update_customer(oid, read, expand=EVERYTHING).customer
    assert (changed.fax, changed.tags[0].tag_value, changed.email) == ("1", "vip", "Ada+1@Example.com")

    customers.delete_customer(oid)
    assert "There is no customer" in refused(lambda: customers.get_customer(oid))
    assert customers.insert_customer(Customer(email="ada+1@example.com")).customer.customer_profile_oid != oid


def test_a_form_is_offered_what_it_needs(shop: Running, customers: Any) -> None:
    assert shop.ask("PUT", "/rest/v2/configuration/customer_profiles", {"terms": ["Net 30"]})[0] == 200
    values = customers.get_customer_editor_values()
    assert values.terms == ["Net 30"]
    assert values.card_types
    assert "US" in {country.iso_2_code for country in values.countries}
    assert "US" not in {country.iso_2_code for country in values.state_optional_countries}


def test_one_profile_goes_into_another(customers: Any) -> None:
    grace, joan = (
        customers.insert_customer(Customer(email=email)).customer.customer_profile_oid
        for email in ("grace@example.com", "joan@example.com")
    )
    assert "is the profile itself" in refused(
        lambda: customers.merge_customer(joan, CustomerMergeRequest(customer_profile_oid=joan))
    )
    for _ in range(2):
        assert customers.merge_customer(joan, CustomerMergeRequest(customer_profile_oid=grace)) is None
    assert "There is no customer" in refused(lambda: customers.get_customer(grace))
    assert customers.get_customer(joan).customer.email == "joan@example.com"


def test_links_and_tokens_of_a_customer(shop: Running, customers: Any) -> None:
    shop.ask("PUT", "/rest/v2/configuration/merchant", {"allowed_origins": ["https://shop.example.com"]})
    oid = customers.insert_customer(Customer(email="mary@example.com")).customer.customer_profile_oid
    link = customers.get_magic_link(oid, "shop.example.com")
    assert link.success
    assert parse_qs(urlsplit(link.url).query)["magic_link"]
    assert "evil.example.com" not in refused(lambda: customers.get_magic_link(oid, "evil.example.com"))
    token = customers.get_email_verification_token(EmailVerifyTokenRequest(email="mary@example.com")).token
    assert customers.validate_email_verification_token(EmailVerifyTokenValidateRequest(token=token)).success
    assert "token" in refused(
        lambda: customers.validate_email_verification_token(EmailVerifyTokenValidateRequest(token="guess"))
    )


def test_a_person_is_shown_what_is_kept_and_forgotten(shop: Running, customers: Any) -> None:
    oid = customers.insert_customer(Customer(email="hedy@example.com")).customer.customer_profile_oid
    status, shown = shop.ask("GET", f"/rest/v2/customer/customers/{oid}/export")
    assert (status, shown["customer_data"]["customer"]["email"]) == (200, "hedy@example.com")
    assert shown["metadata"]["result_set"]["total_records"] == 0
    assert shop.ask("POST", f"/rest/v2/customer/customers/{oid}/erase") == (204, None)
    assert "There is no customer" in refused(lambda: customers.get_customer_by_email("hedy@example.com"))
