"""Orders: what a customer bought or an auto order rebilled. Field names are the contract's."""

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, field

from chalicelib.domain.dates import Instant
from chalicelib.domain.fields import (
    CountryCode,
    Month,
    Oid,
    OrderId,
    Quantity,
    Text3,
    Text10,
    Text20,
    Text25,
    Text30,
    Text32,
    Text50,
    Text75,
    Text100,
    Text200,
    Text1024,
    Text2000,
    Text3800,
    Year,
)
from chalicelib.domain.items import Weight
from chalicelib.domain.money import Currency
from chalicelib.domain.payments import CardType, StoredCard
from chalicelib.domain.schedule import Frequency
from chalicelib.domain.wire import Noun

# The one who sent the order, and those who recruited him: more tiers than any programme pays.
MAXIMUM_AFFILIATES = 10
# An order of more lines is two orders; bounds the document and its write units.
MAXIMUM_LINES = 250

Stage = Literal[
    "Accounts Receivable",
    "Pending Clearance",
    "Fraud Review",
    "Rejected",
    "Shipping Department",
    "Completed Order",
    "Quote Request",
    "Quote Sent",
    "Least Cost Routing",
    "Unknown",
    "Pre-ordered",
    "Advanced Order Routing",
    "Hold",
]
SHIPPED_STAGE: Stage = "Completed Order"
PaymentStatus = Literal[
    "Unprocessed",
    "Authorized",
    "Capture Failed",
    "Processed",
    "Declined",
    "Voided",
    "Refunded",
    "Skipped",
]
PaymentMethod = Literal["Credit Card", "eCheck"]


class OrderBilling(Noun):
    address1: Text50 | None = None
    address2: Text50 | None = None
    cc_emails: Annotated[list[Text100], Meta(max_length=10)] | None = None
    cell_phone: Text25 | None = None
    city: Text32 | None = None
    company: Text50 | None = None
    country_code: CountryCode | None = None
    day_phone: Text25 | None = None
    email: Text100 | None = None
    evening_phone: Text25 | None = None
    first_name: Text30 | None = None
    last_name: Text30 | None = None
    postal_code: Text20 | None = None
    state_region: Text32 | None = None
    title: Text50 | None = None


class OrderShipping(Noun):
    address1: Text50 | None = None
    address2: Text50 | None = None
    city: Text32 | None = None
    company: Text50 | None = None
    country_code: CountryCode | None = None
    day_phone: Text25 | None = None
    evening_phone: Text25 | None = None
    first_name: Text30 | None = None
    last_name: Text30 | None = None
    postal_code: Text20 | None = None
    ship_to_residential: bool | None = None
    shipping_date: Instant | None = None
    shipping_method: Text50 | None = None
    special_instructions: Text2000 | None = None
    state_region: Text32 | None = None
    title: Text50 | None = None
    tracking_numbers: Annotated[list[Text50], Meta(max_length=50)] | None = None
    weight: Weight | None = None


class OrderPaymentCreditCard(Noun):
    """A card on an order: masked. ``stored_card`` is how it is charged again, ``other_stored_cards`` how at other
    gateway accounts; they are never shown or taken."""

    own: ClassVar[frozenset[str]] = frozenset({"stored_card", "other_stored_cards"})

    card_expiration_month: Month | None = None
    card_expiration_year: Year | None = None
    card_number: Text20 | None = None
    card_number_token: Text100 | None = None
    card_type: CardType | None = None
    stored_card: StoredCard | None = None
    other_stored_cards: list[StoredCard] | None = None

    def stored(self) -> list[StoredCard]:
        """The card as each gateway account that has it stores it, the first one first."""
        return [self.stored_card, *(self.other_stored_cards or [])] if self.stored_card else []


class OrderPaymentECheck(Noun):
    """A bank account on an order: masked. ``bank_account_token`` stands for it on an insert; ``stored_account`` is how
    it is debited; it is never shown or taken."""

    own: ClassVar[frozenset[str]] = frozenset({"stored_account"})

    bank_aba_code: Text10 | None = None
    bank_account_name: Text50 | None = None
    bank_account_number: Text50 | None = None
    bank_account_token: Text100 | None = None
    bank_account_type: Literal["Checking", "Savings"] | None = None
    bank_owner_type: Literal["Personal", "Business"] | None = None
    stored_account: StoredCard | None = None


class OrderPaymentTransactionDetail(Noun):
    name: Text100 | None = None
    type: Text50 | None = None
    value: Text1024 | None = None


class OrderPaymentTransaction(Noun):
    details: list[OrderPaymentTransactionDetail] | None = None
    successful: bool | None = None
    transaction_gateway: Text50 | None = None
    transaction_id: int | None = None
    transaction_timestamp: Instant | None = None


class OrderPayment(Noun):
    credit_card: OrderPaymentCreditCard | None = None
    echeck: OrderPaymentECheck | None = None
    payment_dts: Instant | None = None
    payment_method: PaymentMethod | None = None
    payment_status: PaymentStatus | None = None
    rotating_transaction_gateway_code: Text50 | None = None
    test_order: bool | None = None
    transactions: list[OrderPaymentTransaction] | None = None

    def stored(self) -> list[StoredCard]:
        """What is charged, as each gateway account that has it stores it, the first one first."""
        if self.payment_method == "eCheck":
            return [self.echeck.stored_account] if self.echeck and self.echeck.stored_account else []
        return self.credit_card.stored() if self.credit_card else []

    def card_type(self) -> CardType | None:
        return self.credit_card.card_type if self.credit_card and self.payment_method != "eCheck" else None


class OrderGiftCertificate(Noun):
    """The gift certificate that an order is paid with. ``gift_certificate_amount`` is what it paid; before the payment
    what it would pay. ``refunded``: what of it was given back."""

    own: ClassVar[frozenset[str]] = frozenset({"refunded"})

    gift_certificate_amount: Currency | None = None
    gift_certificate_code: Text20 | None = None
    gift_certificate_oid: Oid | None = None
    refunded: Currency | None = None


class OrderSummary(Noun):
    """``total`` is what the order costs, whatever it is paid with; ``internal_gift_certificate_amount`` what the
    customer's store credit paid of it, before the payment the most that it may pay."""

    arbitrary_shipping_handling_total: Currency | None = None
    internal_gift_certificate_amount: Currency | None = None
    internal_gift_certificate_refunded: Currency | None = None
    other_refunded: Currency | None = None
    shipping_handling_refunded: Currency | None = None
    shipping_handling_total: Currency | None = None
    shipping_handling_total_discount: Currency | None = None
    subtotal: Currency | None = None
    subtotal_discount: Currency | None = None
    subtotal_discount_refunded: Currency | None = None
    subtotal_refunded: Currency | None = None
    tax: Currency | None = None
    tax_refunded: Currency | None = None
    taxable_subtotal: Currency | None = None
    total: Currency | None = None
    total_refunded: Currency | None = None


class OrderItemOption(Noun):
    cost_change: Currency | None = None
    label: Text50 | None = None
    one_time_fee: bool | None = None
    value: Text1024 | None = None


class OrderItemProperty(Noun):
    display: bool | None = None
    expiration_dts: Instant | None = None
    name: Text100 | None = None
    value: Text3800 | None = None


class OrderItem(Noun):
    accounting_code: Text50 | None = None
    arbitrary_unit_cost: Currency | None = None
    auto_order_last_rebill_dts: Instant | None = None
    auto_order_schedule: Frequency | None = None
    cost: Currency | None = None
    description: Text2000 | None = None
    discount: Currency | None = None
    exclude_coupon: bool | None = None
    free_shipping: bool | None = None
    item_index: int | None = None
    item_reference_oid: Oid | None = None
    merchant_item_id: Text20 | None = None
    options: Annotated[list[OrderItemOption], Meta(max_length=50)] | None = None
    properties: Annotated[list[OrderItemProperty], Meta(max_length=50)] | None = None
    quantity: Quantity | None = None
    quantity_refunded: Decimal | None = None
    refund_reason: Text50 | None = None
    return_reason: Text50 | None = None
    tax_free: bool | None = None
    total_cost_with_discount: Currency | None = None
    total_refunded: Currency | None = None
    unit_cost_with_discount: Currency | None = None
    weight: Weight | None = None


class OrderCoupon(Noun):
    """``base_coupon_code`` is another one where a code for one order was made off it."""

    base_coupon_code: Text20 | None = None
    coupon_code: Text20 | None = None

    def is_one_time(self) -> bool:
        return self.base_coupon_code not in (None, self.coupon_code)


class OrderTaxes(Noun):
    tax_county: Text32 | None = None
    tax_rate: Decimal | None = None
    tax_shipping: bool | None = None


class OrderCheckout(Noun):
    comments: Text2000 | None = None
    custom_field1: Text50 | None = None
    custom_field2: Text50 | None = None
    custom_field3: Text50 | None = None
    custom_field4: Text50 | None = None
    custom_field5: Text75 | None = None
    custom_field6: Text50 | None = None
    custom_field7: Text50 | None = None
    custom_field8: Text200 | None = None
    custom_field9: Text200 | None = None
    custom_field10: Text200 | None = None
    customer_ip_address: Text50 | None = None
    screen_branding_theme_code: Text10 | None = None
    storefront_host_name: Text100 | None = None


class OrderInternal(Noun):
    merchant_notes: Text2000 | None = None
    refund_by_user: Text100 | None = None
    sales_rep_code: Text10 | None = None


class OrderMarketing(Noun):
    advertising_source: Text50 | None = None
    cell_phone_opt_in: bool | None = None
    mailing_list: bool | None = None
    referral_code: Text30 | None = None


class OrderProperty(Noun):
    created_by: Text20 | None = None
    created_dts: Instant | None = None
    display: bool | None = None
    expiration_dts: Instant | None = None
    name: Text100 | None = None
    value: Annotated[str, Meta(max_length=1500)] | None = None


class OrderAffiliate(Noun):
    """Who sent the order. There is no commission programme, so the contract's ``ledger_entries`` stay absent."""

    affiliate_oid: Oid | None = None
    sub_id: Text50 | None = None


class OrderTag(Noun):
    tag_value: Text100 | None = None


Affiliates = Annotated[
    list[OrderAffiliate],
    Meta(
        max_length=MAXIMUM_AFFILIATES,
        title="Affiliates",
        description="The first one sent the order; each further one recruited the one before.",
    ),
]


class OrderCurrentStageHistory(Noun):
    after_stage: Stage | None = None
    before_stage: Stage | None = None
    transition_dts: Instant | None = None


class OrderAutoOrder(Noun):
    """The auto order behind an order, as an order shows it."""

    auto_order_code: Text20 | None = None
    auto_order_oid: Oid | None = None
    cancel_after_next_x_orders: int | None = None
    cancel_downgrade: bool | None = None
    cancel_reason: Text1024 | None = None
    cancel_upgrade: bool | None = None
    canceled_by_user: Text100 | None = None
    canceled_dts: Instant | None = None
    completed: bool | None = None
    credit_card_attempt: int | None = None
    disabled_dts: Instant | None = None
    enabled: bool | None = None
    failure_reason: Text1024 | None = None
    next_attempt: Instant | None = None
    original_order_id: Text30 | None = None
    status: Literal["active", "canceled", "disabled"] | None = None


class Order(Noun):
    """``own`` fields: the attempt's ``charge_key`` is the receipt of an approval; ``run`` is the rebill's number;
    ``late`` marks a capture that was learnt of after a cancel or a closed attempt; ``request_hash`` tells a repeated
    request from another one under the same Idempotency-Key; ``reasons`` are rules that had a say in a rebill's plan;
    ``returned`` are the keys of debits that paid for it, were settled, and came back;
    ``sole_items`` are sold one per customer: before it is paid nobody else may be about to get one for the customer;
    ``store_credit_oid`` is the internal gift certificate behind the store credit; ``store_credit_of`` is the
    profile whose store credit it and its rebills may be paid with, by the merchant's word: an e-mail address alone,
    which anybody may type, is none; ``charged`` is what the gateway took, where that is not the total."""

    expansions: ClassVar[dict[str, str]] = {
        "affiliates": "affiliate",
        "items": "item",
        "coupons": "coupon",
        "tags": "tags",
        "current_stage_histories": "current_stage_histories",
    }
    deep: ClassVar[dict[str, str]] = {"payment.transaction": "transactions"}
    own: ClassVar[frozenset[str]] = frozenset(
        {
            "charge_key",
            "run",
            "late",
            "auto_order_oid",
            "customer_profile_oid",
            "request_hash",
            "reasons",
            "returned",
            "sole_items",
            "store_credit_oid",
            "store_credit_of",
            "charged",
        }
    )
    read_only: ClassVar[frozenset[str]] = frozenset(
        {"merchant_id", "current_stage_histories", "auto_order", "refund_dts", "reject_dts"}
    )

    affiliates: Affiliates | None = None
    auto_order: OrderAutoOrder | None = None
    billing: OrderBilling | None = None
    checkout: OrderCheckout | None = None
    coupons: Annotated[list[OrderCoupon], Meta(max_length=10)] | None = None
    creation_dts: Instant | None = None
    currency_code: Text3 | None = None
    current_stage: Stage | None = None
    current_stage_histories: list[OrderCurrentStageHistory] | None = None
    gift_certificate: OrderGiftCertificate | None = None
    internal: OrderInternal | None = None
    items: Annotated[list[OrderItem], Meta(max_length=MAXIMUM_LINES)] | None = None
    language_iso_code: Text3 | None = None
    marketing: OrderMarketing | None = None
    merchant_id: Text10 | None = None
    order_id: OrderId | None = None
    payment: OrderPayment | None = None
    properties: Annotated[list[OrderProperty], Meta(max_length=100)] | None = None
    refund_dts: Instant | None = None
    refund_reason: Text50 | None = None
    reject_dts: Instant | None = None
    shipping: OrderShipping | None = None
    summary: OrderSummary | None = None
    tags: Annotated[list[OrderTag], Meta(max_length=100)] | None = field(default=None, name="Tags")
    taxes: OrderTaxes | None = None

    charge_key: str | None = None
    run: int | None = None
    late: bool | None = None
    auto_order_oid: int | None = None
    customer_profile_oid: int | None = None
    request_hash: str | None = None
    reasons: list[dict[str, Any]] | None = None
    returned: list[str] | None = None
    sole_items: list[str] | None = None
    store_credit_oid: int | None = None
    store_credit_of: int | None = None
    charged: Currency | None = None

    def total(self) -> Decimal:
        """What it costs."""
        return Decimal((self.summary.total if self.summary else None) or 0)

    def certificate_amount(self) -> Decimal:
        return Decimal((self.gift_certificate.gift_certificate_amount if self.gift_certificate else None) or 0)

    def certificate_refunded(self) -> Decimal:
        return Decimal((self.gift_certificate.refunded if self.gift_certificate else None) or 0)

    def store_credit(self) -> Decimal:
        return Decimal((self.summary.internal_gift_certificate_amount if self.summary else None) or 0)

    def store_credit_refunded(self) -> Decimal:
        return Decimal((self.summary.internal_gift_certificate_refunded if self.summary else None) or 0)

    def money(self) -> Decimal:
        """What the gateway took of a paid order."""
        return self.total() if self.charged is None else Decimal(self.charged)

    def paid(self) -> Decimal:
        """All that was paid for a paid order, whatever with."""
        return self.money() + self.certificate_amount() + self.store_credit()


def masked(last_four: str) -> str:
    return "XXXXXXXXXXXX" + last_four
