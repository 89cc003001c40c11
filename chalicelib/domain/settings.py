"""Auto Order Processing: the merchant's rules, one section, each with its title and help (the form and the schema
are made from them)."""

from datetime import time
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Text200, Text1024, rule
from chalicelib.domain.wire import Noun

# What a blank means, as the product page has it.
DEFAULT_RETRIES = 3
DEFAULT_RETRY_DELAY_DAYS = 3
# A processing window shorter than this cannot promise that a sweep, a retry of a call and the queue fit in.
SHORTEST_WINDOW_HOURS = 4
MAXIMUM_CANCEL_REASONS = 50

LocalHour = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class AutoOrderCancelReason(Noun):
    myaccount_alternate_description: Text1024 | None = None
    reason: Text200 | None = None
    visible_in_myaccount: bool | None = None


class AutoOrderProcessing(Noun):
    """Every rule of the section, by its name. Absent is its default: off, or the number that its help names."""

    section: ClassVar[str] = "auto_order_processing"

    propagate_custom_fields: (
        Annotated[
            bool, rule("Propagate custom fields", "Copy the custom fields of the original order to every rebill.")
        ]
        | None
    ) = None
    remove_none_option: (
        Annotated[
            bool, rule("Remove the None option", "Shoppers must choose a schedule for customer selectable items.")
        ]
        | None
    ) = None
    skip_coupons_from_original_order: (
        Annotated[bool, rule("Skip coupons from the original order", "Rebills carry no coupon of the original order.")]
        | None
    ) = None
    ignore_coupon_expiration: (
        Annotated[bool, rule("Ignore coupon expiration", "Coupons are honoured on rebills after they expire.")] | None
    ) = None
    do_not_bill_prior_missed_shipments: (
        Annotated[
            bool,
            rule(
                "Do not bill customer for prior missed shipments",
                "Bill the latest due shipment and pass over those missed before it. Off: bill them all, oldest "
                "first, one order a day.",
            ),
        ]
        | None
    ) = None
    skip_receipt_email: (
        Annotated[bool, rule("Skip receipt e-mail", "Send no receipt for rebills, and no second mail after it.")] | None
    ) = None
    skip_shipment_notification: (
        Annotated[bool, rule("Skip shipment notification", "Send no shipment notice for rebills.")] | None
    ) = None
    skip_problem_emails: (
        Annotated[
            bool,
            rule(
                "Skip problem e-mails",
                "Send no 'update your billing' mails to the customer after a decline. What a bank wants its customer "
                "to confirm is told all the same.",
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
            ),
        ]
        | None
    ) = None
    suppress_easy_cancel_emails: (
        Annotated[
            bool,
            rule(
                "Suppress easy cancel e-mails",
                "Send no second mail with a cancel link after the receipt of a rebill. Several laws ask for an easy "
                "way to cancel: make sure that there is another.",
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
                "Blank or 0: at once. Several laws forbid to make a customer wait.",
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
                description="Charge attempts in all before the auto order is disabled. Blank: 3. More than 3 may "
                "cost fees at your payment gateway.",
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
                title="Delay between retries (days)",
                description="Blank: 3. Fewer than 3 days often meet the hold that the last decline left on the card.",
            ),
        ]
        | None
    ) = None
    try_cancel_item_after_max_retries: (
        Annotated[
            bool, rule("Try cancel item after max retries", "Charge the item's cancel item after the last decline.")
        ]
        | None
    ) = None
    send_failures_to_accounts_receivable: (
        Annotated[
            bool,
            rule("Send failures to Accounts Receivable", "A rebill that failed for good becomes an unpaid order."),
        ]
        | None
    ) = None
    prohibit_credit_cards_that_expire_in_months: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=60,
                title="Prohibit cards that expire in (months)",
                description="A rebill fails where the card expires within this many months. Blank or 0: not checked "
                "(an expired card always fails).",
            ),
        ]
        | None
    ) = None
    prohibit_echecks: Annotated[bool, rule("Prohibit e-checks", "No e-checks for auto orders.")] | None = None
    auth_test_zero_dollar_orders: (
        Annotated[bool, rule("Auth test zero dollar orders", "Test the card when an order costs nothing.")] | None
    ) = None
    use_same_rotating_transaction_gateway_for_rebills: (
        Annotated[bool, rule("Same rotating gateway for rebills", "Rebill at the gateway of the original order.")]
        | None
    ) = None
    delay_rotating_transaction_gateway_cascade: (
        Annotated[bool, rule("Delay gateway cascade", "Wait 6 hours before the next gateway is tried.")] | None
    ) = None
    restrict_american_express: (
        Annotated[bool, rule("Restrict American Express", "Rebills on these cards fail.")] | None
    ) = None
    restrict_diners_club: Annotated[bool, rule("Restrict Diners Club", "Rebills on these cards fail.")] | None = None
    restrict_discover: Annotated[bool, rule("Restrict Discover", "Rebills on these cards fail.")] | None = None
    restrict_jcb: Annotated[bool, rule("Restrict JCB", "Rebills on these cards fail.")] | None = None
    restrict_mastercard: Annotated[bool, rule("Restrict MasterCard", "Rebills on these cards fail.")] | None = None
    restrict_visa: Annotated[bool, rule("Restrict Visa", "Rebills on these cards fail.")] | None = None
    ship_via_lowest_cost_method: (
        Annotated[
            bool, rule("Ship via lowest cost method", "Rebills go by the cheapest method, not the original order's.")
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
            ),
        ]
        | None
    ) = None
    window_start: (
        Annotated[
            LocalHour,
            rule("Window start", "Local hour from which auto orders are processed. Blank: 00:00."),
        ]
        | None
    ) = None
    window_end: (
        Annotated[
            LocalHour,
            rule("Window end", "Local hour at which processing ends; may be after midnight. Blank: the whole day."),
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
