"""Items of the catalogue, with the auto-order tab that says how they rebill."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, get_args

from msgspec import Meta, field

from chalicelib.domain.dates import Instant
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import (
    Amount,
    Count,
    Days,
    ItemId,
    Oid,
    Quantity,
    Text2,
    Text3,
    Text10,
    Text50,
    Text100,
    Text512,
    Text3800,
    rule,
)
from chalicelib.domain.schedule import ARBITRARY, LAST_YEAR, Frequency
from chalicelib.domain.wire import Noun, Words

# Steps of one item: a programme of a hundred different boxes is beyond any shop seen; bounds the document.
MAXIMUM_STEPS = 100
MAXIMUM_TAGS = 100
# Prices of one step by retry or by date: a few in any shop; bounds the document.
MAXIMUM_STEP_PRICES = 20
# Upgrades or downgrades of one item; bounds the document.
MAXIMUM_OTHER_ITEMS = 50
# The schedules that a shopper may choose from, under their own names.
OFFERED = {name: name for name in get_args(Frequency) if name != ARBITRARY}


class Weight(Noun):
    words: ClassVar[Words] = {
        "uom": ("Unit", ""),
    }

    uom: Literal["KG", "G", "LB", "OZ"] | None = None
    value: Amount | None = None

    def pounds(self) -> Decimal:
        """The weight in pounds, the unit of shipping steps."""
        in_pounds = {
            "KG": Decimal("2.2046226"),
            "G": Decimal("0.0022046226"),
            "LB": Decimal(1),
            "OZ": Decimal("0.0625"),
        }
        return (self.value or Decimal(0)) * in_pounds[self.uom or "LB"]


class Distance(Noun):
    words: ClassVar[Words] = {
        "uom": ("Unit", ""),
    }

    uom: Literal["IN", "CM"] | None = None
    value: Amount | None = None


class ItemAutoOrderStepArbitraryUnitCostSchedule(Noun):
    """What one costs on a retry, from so many days after the run's first decline on."""

    words: ClassVar[Words] = {
        "arbitrary_unit_cost": ("Unit cost", "What one costs from then on."),
        "retry_days": ("Days after the first decline", "From so many days on; 0 is the first attempt."),
    }

    arbitrary_unit_cost: Amount | None = None
    retry_days: Days | None = None


class ItemAutoOrderStepGrandfatherPricing(Noun):
    """What one costs for customers whose first order of the item was on that local date or before it."""

    words: ClassVar[Words] = {
        "on_or_before_date": (
            "First order on or before",
            "The customer's first order of the item was on this day or earlier.",
        ),
        "unit_cost": ("Unit cost", "What one costs for them."),
    }

    on_or_before_date: Instant | None = None
    unit_cost: Amount | None = None


class ItemAutoOrderStep(Noun):
    """One step of an automatic schedule: rebill an item ``repeat_count`` times (absent: for ever), pause so many days,
    pause until a date or a day of the month, or loop. ``kit only`` acts for buyers of kits and is passed over for all
    others."""

    words: ClassVar[Words] = {
        "preshipment_notice_days": (
            "Notice before (days)",
            "The customer is told of the rebill so many days before. Blank: no notice.",
        ),
        "recurring_merchant_item_id": ("Item", "The item that is rebilled."),
        "schedule": ("Schedule", "How long it is until its rebill, from the order before."),
        "type": (
            "Kind of step",
            (
                "An item is rebilled. A pause waits so many days, a pause until for a date or a day of the month. "
                "A loop goes back to the first step. For kits only is passed over: nobody has bought it in one."
            ),
            {
                "names": {
                    "item": "Rebill an item",
                    "pause": "Pause",
                    "pause until": "Pause until",
                    "loop": "Loop",
                    "kit only": "For kits only",
                }
            },
        ),
    }

    arbitrary_schedule_days: (
        Annotated[
            int, Meta(ge=1, le=3650, title="Days", description="The days between two rebills where it is 'Every...'.")
        ]
        | None
    ) = None
    arbitrary_unit_cost: (
        Annotated[Amount, rule("Unit cost", "What one costs on this step. Blank: the item's own price.")] | None
    ) = None
    arbitrary_unit_cost_schedules: (
        Annotated[
            list[ItemAutoOrderStepArbitraryUnitCostSchedule],
            Meta(
                max_length=MAXIMUM_STEP_PRICES,
                title="Discount by retry",
                description="On a retry: the unit cost from so many days after the first decline on. It only ever "
                "lowers the price.",
            ),
        ]
        | None
    ) = None
    grandfather_pricing: (
        Annotated[
            list[ItemAutoOrderStepGrandfatherPricing],
            Meta(
                max_length=MAXIMUM_STEP_PRICES,
                title="Grandfather pricing",
                description="Customers whose first order of the item was on or before the date keep that unit cost. "
                "Where several dates fit, the earliest counts.",
            ),
        ]
        | None
    ) = None
    managed_by: Annotated[Text50, rule("Managed by", "Who looks after the step; kept as it is sent.")] | None = None
    pause_days: (
        Annotated[
            int,
            Meta(
                ge=1, le=3650, title="Pause (days)", description="Added to the time until the next item step's rebill."
            ),
        ]
        | None
    ) = None
    pause_until_date: (
        Annotated[
            Instant,
            rule("Pause until", "The next rebill is on this date. Where it is past already, the step does nothing."),
        ]
        | None
    ) = None
    pause_until_day_of_month: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=31,
                title="Pause until the day of the month",
                description="The next rebill is on the next such day; 31 is the last day of any month.",
            ),
        ]
        | None
    ) = None
    pause_until_minimum_delay_days: (
        Annotated[
            Days,
            rule("At least (days)", "The least days between the last order and that day of the month. Blank: 1."),
        ]
        | None
    ) = None
    preshipment_notice_days: Annotated[int, Meta(ge=0, le=365)] | None = None
    recurring_merchant_item_id: ItemId | None = None
    recurring_merchant_item_oid: Oid | None = None
    repeat_count: (
        Annotated[
            int,
            Meta(ge=1, le=10_000, title="Repeat", description="Times to rebill. Blank on the last step: for ever."),
        ]
        | None
    ) = None
    schedule: Frequency | None = None
    type: Literal["item", "pause", "loop", "kit only", "pause until"] | None = None


class ItemAutoOrder(Noun):
    words: ClassVar[Words] = {
        "auth_future_amount": (
            "Authorize for the future",
            "So much is authorized on the card beside the test, and not taken. Blank: nothing.",
        ),
        "auth_test_amount": (
            "Authorize as a test",
            "Where the first order costs nothing and cards are tested. It is let go again. Blank: 1.00.",
        ),
        "auto_order_cancel_charge_minimum_balance": (
            "Charge what is missing",
            "The cancel item costs what is missing to the minimums below, instead of its own price.",
        ),
        "auto_order_cancel_item_id": (
            "Cancel item",
            "Who cancels before the minimums are reached is charged this item once. Blank: nothing is charged.",
        ),
        "auto_order_cancel_minimum_life_time_count": (
            "Minimum orders",
            "Orders after which nothing is charged, the first one counted. Of several minimums all count.",
        ),
        "auto_order_cancel_minimum_life_time_value": (
            "Minimum value of orders",
            "So much paid in all, the first order counted, after which nothing is charged.",
        ),
        "auto_order_cancel_minimum_rebill_count": ("Minimum rebills", "Rebills after which nothing is charged."),
        "auto_order_cancel_minimum_rebill_value": (
            "Minimum value of rebills",
            "So much paid by rebills, after which nothing is charged.",
        ),
        "auto_order_prohibit_expiring_cards": (
            "Cards must be good for (months)",
            "Counts where it is more than the setting of Auto Order Processing. Blank or 0: the setting alone.",
        ),
        "auto_order_schedules": ("Schedules", "What the customer may choose from.", {"names": OFFERED}),
        "auto_order_upsell": ("Automatic", "Who buys it is rebilled by the steps below."),
        "auto_order_upsell_no_easy_cancel": (
            "No easy cancel e-mail",
            "No second mail that says how to cancel goes out after a rebill.",
        ),
        "auto_orderable": ("Customer selectable", "The customer chooses whether and how often it comes again."),
        "free_shipping_auto_order": (
            "Free shipping on auto orders",
            "Its shipping costs nothing on the first order and on rebills.",
        ),
        "steps": (
            "Steps",
            "What is rebilled, one after the other. The last step may go on for ever, or loop back to the first.",
        ),
    }

    auth_future_amount: Amount | None = None
    auth_test_amount: Amount | None = None
    auto_order_cancel_charge_minimum_balance: bool | None = None
    auto_order_cancel_item_id: ItemId | None = None
    auto_order_cancel_item_oid: Oid | None = None
    auto_order_cancel_minimum_life_time_count: Count | None = None
    auto_order_cancel_minimum_life_time_value: Amount | None = None
    auto_order_cancel_minimum_rebill_count: Count | None = None
    auto_order_cancel_minimum_rebill_value: Amount | None = None
    auto_order_downgrade_items: (
        Annotated[
            list[ItemId],
            Meta(
                max_length=MAXIMUM_OTHER_ITEMS,
                title="Downgrade items",
                description="Who has this item on an auto order and begins one of those loses this one.",
            ),
        ]
        | None
    ) = None
    auto_order_paused: (
        Annotated[
            bool,
            rule("Pause rebilling", "What is due is pushed back a day at a time until this is taken back."),
        ]
        | None
    ) = None
    auto_order_prohibit_expiring_cards: Annotated[int, Meta(ge=0, le=60)] | None = None
    auto_order_schedules: list[Frequency] | None = None
    auto_order_upgrade_items: (
        Annotated[
            list[ItemId],
            Meta(
                max_length=MAXIMUM_OTHER_ITEMS,
                title="Upgrade items",
                description="Who has this item on an auto order and begins one of those loses this one.",
            ),
        ]
        | None
    ) = None
    auto_order_upsell: bool | None = None
    auto_order_upsell_no_easy_cancel: bool | None = None
    auto_order_upsell_one_per_customer: (
        Annotated[bool, rule("One per customer", "Nobody has more than one of it on active auto orders at a time.")]
        | None
    ) = None
    auto_orderable: bool | None = None
    cancel_other_auto_orders: (
        Annotated[bool, rule("Cancel other auto orders", "Who buys it loses the auto orders that he had before.")]
        | None
    ) = None
    free_shipping_auto_order: bool | None = None
    refund_other_auto_orders: (
        Annotated[
            bool,
            rule(
                "Refund other auto orders",
                "When the order in which somebody bought it is refunded, so is the latest paid order of each other "
                "auto order that he has had since then.",
            ),
        ]
        | None
    ) = None
    steps: Annotated[list[ItemAutoOrderStep], Meta(max_length=MAXIMUM_STEPS)] | None = None


class ItemPricing(Noun):
    words: ClassVar[Words] = {
        "auto_order_cost": ("Cost on auto order", "What one costs who takes it on auto order. Blank: the cost."),
        "cogs": ("Cost of goods", "What one costs you; for your own reckoning."),
        "cost": ("Cost", "What one costs."),
        "currency_code": ("Currency", "The shop's."),
        "manufacturer_suggested_retail_price": ("Suggested retail price", "For storefronts that show it."),
        "sale_cost": ("Sale cost", "What one costs while the sale lasts, where that is less."),
        "sale_end": ("Sale ends", "Blank: it goes on."),
        "sale_start": ("Sale begins", "Blank: it has begun."),
    }

    auto_order_cost: Amount | None = None
    cogs: Amount | None = None
    cost: Amount | None = None
    currency_code: Text3 | None = None
    manufacturer_suggested_retail_price: Amount | None = None
    sale_cost: Amount | None = None
    sale_end: Instant | None = None
    sale_start: Instant | None = None


class ItemPhysical(Noun):
    height: Distance | None = None
    length: Distance | None = None
    weight: Weight | None = None
    width: Distance | None = None


class ItemShipping(Noun):
    words: ClassVar[Words] = {
        "country_code_of_origin": ("Country of origin", "Two letters, as in US; for customs papers."),
        "free_shipping": ("Free shipping", "It adds nothing to the cost of shipping."),
        "no_shipping_discount": ("No discount on shipping", "Coupons for free shipping do not count for it."),
        "special_product_type": ("Special product type", "Kept for carriers that ask, as Media Mail does."),
    }

    country_code_of_origin: Text2 | None = None
    free_shipping: bool | None = None
    no_shipping_discount: bool | None = None
    special_product_type: Text50 | None = None


class ItemPaymentProcessing(Noun):
    words: ClassVar[Words] = {
        "rotating_transaction_gateway_codes": (
            "Payment accounts",
            "Codes of the accounts that may take the payment of an order with it, the first that can. Blank: any.",
        ),
    }

    rotating_transaction_gateway_codes: Annotated[list[Text50], Meta(max_length=20)] | None = None


class ItemTax(Noun):
    words: ClassVar[Words] = {
        "exempt": ("Tax exempt", "No tax is on it."),
        "tax_free": ("Tax free", "No tax is on it."),
        "tax_product_type": ("Kind of product", "For whoever reckons taxes by it."),
    }

    exempt: bool | None = None
    tax_free: bool | None = None
    tax_product_type: Literal["", "digital", "physical", "service"] | None = None


class ItemRestriction(Noun):
    words: ClassVar[Words] = {
        "exclude_coupon": ("No coupons", "No coupon takes anything off it."),
        "maximum_quantity": ("At most", "So many in one order."),
        "minimum_quantity": ("At least", "So many in one order."),
        "multiple_quantity": ("In multiples of", "As in a box of six."),
        "one_per_customer": ("One per customer", "Kept for storefronts; auto orders have a rule of their own."),
    }

    exclude_coupon: bool | None = None
    maximum_quantity: Quantity | None = None
    minimum_quantity: Quantity | None = None
    multiple_quantity: Quantity | None = None
    one_per_customer: bool | None = None


class ItemAccounting(Noun):
    words: ClassVar[Words] = {
        "accounting_code": ("Accounting code", "Stands on the lines of orders."),
        "qb_class": ("QuickBooks class", "For files that go to QuickBooks."),
    }

    accounting_code: Text50 | None = None
    qb_class: Text50 | None = None


class ItemProperty(Noun):
    name: Text100 | None = None
    value: Text3800 | None = None


class ItemTag(Noun):
    """``tag_type`` says what gets the tag when the item is bought; absent is the item itself."""

    words: ClassVar[Words] = {
        "tagType": ("What gets it", ""),
        "tagValue": ("Tag", ""),
    }

    tag_type: Literal["item", "order", "customer"] | None = field(default=None, name="tagType")
    tag_value: Text100 | None = field(default=None, name="tagValue")


class ItemTags(Noun):
    tags: Annotated[list[ItemTag], Meta(max_length=MAXIMUM_TAGS)] | None = None


class Item(Noun):
    """One thing that the shop sells. ``merchant_item_id`` is the merchant's own name for it, unique in the shop."""

    expansions: ClassVar[dict[str, str]] = {"auto_order": "auto_order"}
    read_only: ClassVar[frozenset[str]] = frozenset(
        {"merchant_id", "merchant_item_oid", "creation_dts", "last_modified_dts"}
    )

    words: ClassVar[Words] = {
        "description": ("Description", "What customers read, on the storefront, in orders and in mails."),
        "inactive": ("Not for sale", "Nobody can order it any more. Auto orders that have it are held."),
        "merchant_item_id": ("Item id", "Your own name for it. It stays: orders know the item by it."),
        "parent_category_path": ("Category", "Its folder in the catalogue, as in /coffee. Blank: the root."),
    }

    accounting: ItemAccounting | None = None
    auto_order: ItemAutoOrder | None = None
    creation_dts: Instant | None = None
    description: Text512 | None = None
    inactive: bool | None = None
    kit: bool | None = None
    last_modified_dts: Instant | None = None
    merchant_id: Text10 | None = None
    merchant_item_id: ItemId | None = None
    merchant_item_oid: Oid | None = None
    parent_category_path: Text100 | None = None
    payment_processing: ItemPaymentProcessing | None = None
    physical: ItemPhysical | None = None
    pricing: ItemPricing | None = None
    properties: list[ItemProperty] | None = None
    restriction: ItemRestriction | None = None
    shipping: ItemShipping | None = None
    tags: ItemTags | None = None
    tax: ItemTax | None = None

    def tag_values(self) -> list[str]:
        """The tags of the item itself: what a coupon names."""
        tags = (self.tags.tags or []) if self.tags else []
        return [tag.tag_value for tag in tags if tag.tag_value and tag.tag_type in (None, "item")]

    def schedules(self) -> list[Frequency]:
        """The frequencies that a shopper may choose from; empty where the item is not customer selectable."""
        tab = self.auto_order
        return list(tab.auto_order_schedules or []) if tab and tab.auto_orderable else []

    def steps(self) -> list[ItemAutoOrderStep]:
        """The automatic schedule; empty where the item has none. Steps for buyers of kits are not among them."""
        return [step for step in self._all_steps() if step.type != "kit only"]

    def steps_for_kits(self) -> list[ItemAutoOrderStep]:
        """The steps that are passed over because nobody has bought the item in a kit."""
        return [step for step in self._all_steps() if step.type == "kit only"]

    def _all_steps(self) -> list[ItemAutoOrderStep]:
        tab = self.auto_order
        return list(tab.steps or []) if tab and tab.auto_order_upsell else []

    def rebilling_is_paused(self) -> bool:
        return bool(self.auto_order and self.auto_order.auto_order_paused)

    def is_one_per_customer(self) -> bool:
        return bool(self.auto_order and self.auto_order.auto_order_upsell_one_per_customer)

    def unit_cost(self, now: Instant, *, on_auto_order: bool) -> Decimal:
        """What one costs now: the sale price while the sale lasts, else the auto-order price where it applies."""
        pricing = self.pricing or ItemPricing()
        base = pricing.cost or Decimal(0)
        if on_auto_order and pricing.auto_order_cost:
            base = pricing.auto_order_cost
        starts, ends = pricing.sale_start, pricing.sale_end
        on_sale = pricing.sale_cost is not None and (starts is None or starts <= now) and (ends is None or now < ends)
        if on_sale and pricing.sale_cost is not None:
            base = min(base, pricing.sale_cost)
        return base


# Fields of the auto-order tab whose rule is not built yet: refused by name rather than stored and ignored.
UNFINISHED_TAB = ("auto_order_cancel_item_oid",)

Refuse = Callable[[str, str, str], None]


def validate(item: Item) -> None:
    """Rules between the fields of an item. Raises Invalid with all problems."""
    problems: list[Problem] = []

    def refuse(pointer: str, code: str, message: str) -> None:
        problems.append(Problem(pointer=pointer, code=code, message=message))

    if not item.merchant_item_id:
        refuse("/merchant_item_id", "required", "is required: your own id of the item, up to 20 characters")
    if item.kit:
        refuse("/kit", "not_available", "kits are not available yet")
    if tab := item.auto_order:
        for name in UNFINISHED_TAB:
            if getattr(tab, name):
                refuse(f"/auto_order/{name}", "not_available", "this rule is not available yet; leave it out")
        if tab.auto_orderable and tab.auto_order_upsell:
            refuse("/auto_order/auto_order_upsell", "conflict", "an item is customer selectable or automatic, not both")
        if tab.auto_orderable and not tab.auto_order_schedules:
            refuse("/auto_order/auto_order_schedules", "required", "a customer selectable item needs a schedule")
        if tab.auto_order_cancel_item_id and tab.auto_order_cancel_item_id == item.merchant_item_id:
            refuse("/auto_order/auto_order_cancel_item_id", "conflict", "an item cannot be its own cancel item")
        if tab.auto_order_upsell and not tab.steps:
            refuse("/auto_order/steps", "required", "an automatic schedule needs a step")
        if ARBITRARY in (tab.auto_order_schedules or []):
            refuse(
                "/auto_order/auto_order_schedules",
                "not_allowed_value",
                f"'{ARBITRARY}' needs a number of days and can be set on an auto order only",
            )
        _validate_other_items(tab, item.merchant_item_id, refuse)
        for position, step in enumerate(tab.steps or []):
            _validate_step(step, position, len(tab.steps or []), refuse)
    if problems:
        raise Invalid(problems)


def _validate_other_items(tab: ItemAutoOrder, own: str | None, refuse: Refuse) -> None:
    seen: set[str] = set()
    for name in ("auto_order_upgrade_items", "auto_order_downgrade_items"):
        for position, other in enumerate(getattr(tab, name) or []):
            if other == own:
                refuse(f"/auto_order/{name}/{position}", "conflict", "is the item itself")
            elif other in seen:
                refuse(f"/auto_order/{name}/{position}", "conflict", "stands there twice, or as the other kind too")
            seen.add(other)


def _validate_step(step: ItemAutoOrderStep, position: int, count: int, refuse: Refuse) -> None:
    at = f"/auto_order/steps/{position}"
    if step.type is None:
        refuse(f"{at}/type", "required", "is required: item, kit only, pause, pause until or loop")
    if step.type in ("item", "kit only"):
        _validate_item_step(step, at, refuse, last=position == count - 1)
    if step.type == "pause" and not step.pause_days:
        refuse(f"{at}/pause_days", "required", "a pause step has a number of days")
    if step.type == "pause until":
        _validate_pause_until(step, at, refuse)
    if step.type == "loop" and (position != count - 1 or position == 0):
        refuse(f"{at}/type", "conflict", "a loop is the last step, after at least one other")
    for name in FIELDS_OF_OTHER_STEPS.get(step.type or "", ()):
        if getattr(step, name) is not None:
            refuse(f"{at}/{name}", "conflict", f"says nothing on a step of type '{step.type}'; leave it out")


# What a step of the type cannot do: refused, so that nobody thinks that it acts.
_PRICES = ("arbitrary_unit_cost", "arbitrary_unit_cost_schedules", "grandfather_pricing")
_PAUSES = ("pause_until_date", "pause_until_day_of_month", "pause_until_minimum_delay_days")
FIELDS_OF_OTHER_STEPS = {
    "item": _PAUSES,
    "kit only": _PAUSES,
    "pause": (*_PRICES, *_PAUSES),
    "pause until": _PRICES,
    "loop": (*_PRICES, *_PAUSES),
}


def _validate_item_step(step: ItemAutoOrderStep, at: str, refuse: Refuse, *, last: bool) -> None:
    if not step.recurring_merchant_item_id:
        refuse(f"{at}/recurring_merchant_item_id", "required", "an item step names the item to rebill")
    if step.schedule is None:
        refuse(f"{at}/schedule", "required", "an item step has a schedule")
    elif step.schedule == ARBITRARY and not step.arbitrary_schedule_days:
        refuse(f"{at}/arbitrary_schedule_days", "required", f"'{ARBITRARY}' needs a number of days")
    if step.repeat_count is None and not last:
        refuse(f"{at}/repeat_count", "required", "only the last step may repeat for ever")
    _validate_prices(
        [(one.retry_days, one.arbitrary_unit_cost) for one in step.arbitrary_unit_cost_schedules or []],
        (f"{at}/arbitrary_unit_cost_schedules", "retry_days", "arbitrary_unit_cost"),
        refuse,
    )
    _validate_prices(
        [(one.on_or_before_date, one.unit_cost) for one in step.grandfather_pricing or []],
        (f"{at}/grandfather_pricing", "on_or_before_date", "unit_cost"),
        refuse,
    )


def _validate_prices(rows: Sequence[tuple[object, object]], names: tuple[str, str, str], refuse: Refuse) -> None:
    """Each row has a key of its own (the days, the date) and a cost."""
    at, key_name, cost_name = names
    for position, (key, cost) in enumerate(rows):
        if key is None:
            refuse(f"{at}/{position}/{key_name}", "required", "is required")
        elif key in [before for before, _ in rows[:position]]:
            refuse(f"{at}/{position}/{key_name}", "conflict", "stands there twice")
        if cost is None:
            refuse(f"{at}/{position}/{cost_name}", "required", "is required")


def _validate_pause_until(step: ItemAutoOrderStep, at: str, refuse: Refuse) -> None:
    if step.pause_until_date is None and step.pause_until_day_of_month is None:
        refuse(f"{at}/pause_until_date", "required", "a pause until has a date or a day of the month")
    elif step.pause_until_date is not None and step.pause_until_day_of_month is not None:
        refuse(f"{at}/pause_until_date", "conflict", "a pause is until a date or a day of the month, not both")
    if step.pause_until_minimum_delay_days is not None and step.pause_until_day_of_month is None:
        refuse(f"{at}/pause_until_minimum_delay_days", "conflict", "goes with a day of the month only; leave it out")
    if step.pause_until_date is not None and step.pause_until_date.year >= LAST_YEAR:
        refuse(f"{at}/pause_until_date", "out_of_range", f"must be before {LAST_YEAR}")
