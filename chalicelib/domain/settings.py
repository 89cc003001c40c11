"""Auto Order Processing: the merchant's rules, one section, each with its title and help (the form and the schema
are made from them)."""

from datetime import time
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Text200, Text1024, on_form, rule
from chalicelib.domain.wire import Noun

# What a blank means, as the product page has it.
DEFAULT_RETRIES = 3
DEFAULT_RETRY_DELAY_DAYS = 3
# A processing window shorter than this cannot promise that a sweep, a retry of a call and the queue fit in.
SHORTEST_WINDOW_HOURS = 4
MAXIMUM_CANCEL_REASONS = 50

# Shown at a field where its value is so, and nowhere else.
MORE_FEES = {"above": DEFAULT_RETRIES, "message": "More attempts may cost fees at your payment gateway."}
HELD_ON_CARD = {
    "below": DEFAULT_RETRY_DELAY_DAYS,
    "message": "At least 3 days are recommended: a decline can leave a hold on the card for 2 or 3 business days.",
}
NEEDS_A_WAY_OUT = {
    "is": True,
    "message": "Several laws ask for an easy way to cancel: make sure that there is another.",
}
MUST_NOT_WAIT = {"above": 0, "message": "Several laws forbid to make a customer wait before canceling."}
FIRST_PURCHASE = {
    "is": True,
    "message": "These cards still pay for first orders; the rebill is what fails.",
}

LocalHour = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class AutoOrderCancelReason(Noun):
    reason: Annotated[Text200, rule("Reason", "As it stands in reports.")] | None = None
    myaccount_alternate_description: (
        Annotated[Text1024, rule("Words for customers", "Shown to customers instead of the reason. Blank: the reason.")]
        | None
    ) = None
    visible_in_myaccount: Annotated[bool, rule("Customers may choose it", "Off: only you may.", blank=True)] | None = (
        None
    )


class AutoOrderProcessing(Noun):
    """Every rule of the section, by its name. Absent is its default: off, or the number that its help names."""

    section: ClassVar[str] = "auto_order_processing"
    groups: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("general", "General", "How custom fields, coupons and missed shipments are treated."),
        ("notifications", "Notifications", "Mails about auto orders. A check mark means that the mail is not sent."),
        ("retries", "Retry settings", "What happens after a declined rebill."),
        ("payment", "Payment settings", "Which payments a rebill accepts, and where it is charged."),
        ("shipping", "Shipping settings", "How rebills are shipped."),
        ("cancel_reasons", "Cancel reasons", "What is asked when an auto order is canceled."),
        ("window", "Processing window", "The local hours in which auto orders are processed; at least 4 hours."),
    )

    propagate_custom_fields: (
        Annotated[
            bool,
            rule(
                "Propagate custom fields",
                "Copy the custom fields of the original order to every rebill.",
                group="general",
            ),
        ]
        | None
    ) = None
    remove_none_option: (
        Annotated[
            bool,
            rule(
                "Remove the None option",
                "Shoppers must choose a schedule for customer selectable items.",
                group="general",
            ),
        ]
        | None
    ) = None
    skip_coupons_from_original_order: (
        Annotated[
            bool,
            rule(
                "Skip coupons from the original order",
                "Rebills carry no coupon of the original order.",
                group="general",
            ),
        ]
        | None
    ) = None
    ignore_coupon_expiration: (
        Annotated[
            bool,
            rule("Ignore coupon expiration", "Coupons are honoured on rebills after they expire.", group="general"),
        ]
        | None
    ) = None
    do_not_bill_prior_missed_shipments: (
        Annotated[
            bool,
            rule(
                "Do not bill customer for prior missed shipments",
                "Bill the latest due shipment and pass over those missed before it. Off: bill them all, oldest "
                "first, one order a day.",
                group="general",
            ),
        ]
        | None
    ) = None
    skip_receipt_email: (
        Annotated[
            bool,
            rule(
                "Skip receipt e-mail",
                "Send no receipt for rebills, and no second mail after it.",
                group="notifications",
            ),
        ]
        | None
    ) = None
    skip_shipment_notification: (
        Annotated[
            bool, rule("Skip shipment notification", "Send no shipment notice for rebills.", group="notifications")
        ]
        | None
    ) = None
    skip_problem_emails: (
        Annotated[
            bool,
            rule(
                "Skip problem e-mails",
                "Send no 'update your billing' mails to the customer after a decline. What a bank wants its customer "
                "to confirm is told all the same.",
                group="notifications",
            ),
        ]
        | None
    ) = None
    skip_third_party_marketing_emails: (
        Annotated[
            bool,
            rule(
                "Skip third-party marketing",
                "Rebill orders do not carry the customer's consent to mailings, so that nothing that listens "
                "enrols anybody again.",
                group="notifications",
            ),
        ]
        | None
    ) = None
    suppress_easy_cancel_emails: (
        Annotated[
            bool,
            rule(
                "Suppress easy cancel e-mails",
                "Send no second mail with a cancel link after the receipt of a rebill.",
                group="notifications",
                warnings=[NEEDS_A_WAY_OUT],
            ),
        ]
        | None
    ) = None
    prohibit_cancellation_until_days: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=365,
                title="Prohibit cancellation until",
                description="Days after the last shipment before the customer may cancel by a link; you always may. "
                "Blank or 0: at once.",
                extra_json_schema=on_form(group="notifications", unit="days", blank=0, warnings=[MUST_NOT_WAIT]),
            ),
        ]
        | None
    ) = None
    number_of_retries: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=15,
                title="Number of retries",
                description="Charge attempts in all before the auto order is disabled. Blank: 3.",
                extra_json_schema=on_form(
                    group="retries", unit="attempts", blank=DEFAULT_RETRIES, warnings=[MORE_FEES]
                ),
            ),
        ]
        | None
    ) = None
    delay_between_retries_days: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=60,
                title="Delay between retries",
                description="Days from a decline to the next attempt. Blank: 3.",
                extra_json_schema=on_form(
                    group="retries", unit="days", blank=DEFAULT_RETRY_DELAY_DAYS, warnings=[HELD_ON_CARD]
                ),
            ),
        ]
        | None
    ) = None
    try_cancel_item_after_max_retries: (
        Annotated[
            bool,
            rule(
                "Try cancel item after max retries",
                "Charge the item's cancel item after the last decline.",
                group="retries",
            ),
        ]
        | None
    ) = None
    send_failures_to_accounts_receivable: (
        Annotated[
            bool,
            rule(
                "Send failures to Accounts Receivable",
                "A rebill that failed for good becomes an unpaid order.",
                group="retries",
            ),
        ]
        | None
    ) = None
    prohibit_credit_cards_that_expire_in_months: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=60,
                title="Prohibit cards that expire in",
                description="A rebill fails where the card expires within this many months. Blank or 0: not checked "
                "(an expired card always fails).",
                extra_json_schema=on_form(group="payment", unit="months", blank=0),
            ),
        ]
        | None
    ) = None
    prohibit_echecks: (
        Annotated[bool, rule("Prohibit e-checks", "No e-checks for auto orders.", group="payment")] | None
    ) = None
    auth_test_zero_dollar_orders: (
        Annotated[
            bool, rule("Auth test zero dollar orders", "Test the card when an order costs nothing.", group="payment")
        ]
        | None
    ) = None
    use_same_rotating_transaction_gateway_for_rebills: (
        Annotated[
            bool,
            rule("Same rotating gateway for rebills", "Rebill at the gateway of the original order.", group="payment"),
        ]
        | None
    ) = None
    delay_rotating_transaction_gateway_cascade: (
        Annotated[
            bool, rule("Delay gateway cascade", "Wait 6 hours before the next gateway is tried.", group="payment")
        ]
        | None
    ) = None
    restrict_american_express: (
        Annotated[
            bool,
            rule(
                "Restrict American Express", "Rebills on these cards fail.", group="payment", warnings=[FIRST_PURCHASE]
            ),
        ]
        | None
    ) = None
    restrict_diners_club: (
        Annotated[
            bool,
            rule("Restrict Diners Club", "Rebills on these cards fail.", group="payment", warnings=[FIRST_PURCHASE]),
        ]
        | None
    ) = None
    restrict_discover: (
        Annotated[
            bool, rule("Restrict Discover", "Rebills on these cards fail.", group="payment", warnings=[FIRST_PURCHASE])
        ]
        | None
    ) = None
    restrict_jcb: (
        Annotated[
            bool, rule("Restrict JCB", "Rebills on these cards fail.", group="payment", warnings=[FIRST_PURCHASE])
        ]
        | None
    ) = None
    restrict_mastercard: (
        Annotated[
            bool,
            rule("Restrict MasterCard", "Rebills on these cards fail.", group="payment", warnings=[FIRST_PURCHASE]),
        ]
        | None
    ) = None
    restrict_visa: (
        Annotated[
            bool, rule("Restrict Visa", "Rebills on these cards fail.", group="payment", warnings=[FIRST_PURCHASE])
        ]
        | None
    ) = None
    ship_via_lowest_cost_method: (
        Annotated[
            bool,
            rule(
                "Ship via lowest cost method",
                "Rebills go by the cheapest method, not the original order's.",
                group="shipping",
            ),
        ]
        | None
    ) = None
    use_store_credit_for_rebills: (
        Annotated[
            bool,
            rule(
                "Use store credit for rebills",
                "Rebills are paid with the customer's store credit and cashback first; the card is charged the rest. "
                "Of storefront orders only those that came with a store credit token: anybody may type an address.",
                group="payment",
            ),
        ]
        | None
    ) = None
    cancel_reasons: (
        Annotated[
            list[AutoOrderCancelReason],
            Meta(
                max_length=MAXIMUM_CANCEL_REASONS,
                title="Cancel reasons",
                description="Where there are any, one of them must be chosen to cancel an auto order.",
                extra_json_schema=on_form(group="cancel_reasons"),
            ),
        ]
        | None
    ) = None
    window_start: (
        Annotated[
            LocalHour,
            rule(
                "Window start",
                "Local hour from which auto orders are processed. Blank: 00:00.",
                group="window",
                widget="hour",
                blank="00:00",
            ),
        ]
        | None
    ) = None
    window_end: (
        Annotated[
            LocalHour,
            rule(
                "Window end",
                "Local hour at which processing ends; may be after midnight. Blank: the whole day.",
                group="window",
                widget="hour",
            ),
        ]
        | None
    ) = None

    def retries(self) -> int:
        return self.number_of_retries or DEFAULT_RETRIES

    def retry_delay_days(self) -> int:
        return self.delay_between_retries_days or DEFAULT_RETRY_DELAY_DAYS

    def window(self) -> tuple[time, time]:
        """From and until, local; the same time twice is the whole day."""
        start = time.fromisoformat(self.window_start or "00:00")
        return start, time.fromisoformat(self.window_end) if self.window_end else start

    def reasons(self, *, to_customers: bool = False) -> list[str]:
        """The cancel reasons that may be named, by the merchant or by a customer; one of them must be."""
        return [
            reason.reason
            for reason in self.cancel_reasons or []
            if reason.reason and not (to_customers and reason.visible_in_myaccount is False)
        ]

    def restricts(self, card_type: str) -> str | None:
        """The setting that forbids rebills on this brand, if one does."""
        name = {
            "AMEX": "restrict_american_express",
            "Diners Club": "restrict_diners_club",
            "Discover": "restrict_discover",
            "JCB": "restrict_jcb",
            "MasterCard": "restrict_mastercard",
            "VISA": "restrict_visa",
        }[card_type]
        return name if getattr(self, name) else None


class Standing(msgspec.Struct, kw_only=True):
    """One rule as it stands: its value, with what a blank means, and whether somebody has set it."""

    name: str
    value: Any
    is_set: bool


def standing(settings: AutoOrderProcessing) -> list[Standing]:
    """Every rule of the section as it stands, in the section's order. Where no blank is named, a blank is off."""
    blanks: dict[str, Any] = {
        "number_of_retries": DEFAULT_RETRIES,
        "delay_between_retries_days": DEFAULT_RETRY_DELAY_DAYS,
        "prohibit_cancellation_until_days": 0,
        "prohibit_credit_cards_that_expire_in_months": 0,
        "cancel_reasons": [],
        "window_start": "00:00",
        "window_end": settings.window_start or "00:00",
    }
    found = []
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        shown = blanks.get(name, False) if value is None else value
        found.append(Standing(name=name, value=shown, is_set=value is not None))
    return found


def validate(settings: AutoOrderProcessing) -> None:
    """Rules between the fields. Raises Invalid with all problems."""
    problems: list[Problem] = []
    start, end = settings.window()
    hours = (end.hour * 60 + end.minute - start.hour * 60 - start.minute) % (24 * 60) / 60
    if start != end and hours < SHORTEST_WINDOW_HOURS:
        problems.append(
            Problem(
                pointer="/window_end",
                code="too_short",
                message=f"the window from {start:%H:%M} to {end:%H:%M} must be at least {SHORTEST_WINDOW_HOURS} hours",
            )
        )
    named = [reason.reason for reason in settings.cancel_reasons or []]
    for position, reason in enumerate(named):
        if not reason:
            problems.append(
                Problem(pointer=f"/cancel_reasons/{position}/reason", code="required", message="is required")
            )
        elif named.index(reason) != position:
            problems.append(
                Problem(pointer=f"/cancel_reasons/{position}/reason", code="conflict", message="stands there twice")
            )
    if problems:
        raise Invalid(problems)
