"""What an order costs: lines, discounts, shipping and tax in one pass, with each decision noted for whoever asks why.

The order of the steps is the rule: line percentages, then the discount of the customer's pricing tier, then coupons on
items, then coupons on the subtotal, then shipping (whose free-over amount looks at what is left), then tax on what is
left. Each amount is rounded once, where it arises, to the currency's smallest coin; so total = subtotal - discount +
shipping - shipping discount + tax, exactly, and no part of it is below zero.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from chalicelib.domain.coupons import (
    NO_USES,
    Coupon,
    CouponAmountOffItems,
    CouponAmountOffSubtotal,
    OnItems,
    OnSubtotal,
    has_expired,
    select,
    takes_part,
)
from chalicelib.domain.dates import Instant
from chalicelib.domain.items import Item
from chalicelib.domain.money import ZERO, quantise, split, total_of
from chalicelib.domain.payments import FrozenPlan, PlanLine
from chalicelib.domain.pricing_tiers import NOBODY, OWN, CustomerTerms
from chalicelib.domain.shipping import Parcel, Place, Quote, ShippingMethod, ShippingSettings, available, cheapest
from chalicelib.domain.shipping import cost as cost_by
from chalicelib.domain.taxes import TaxRate, TaxSettings, rate_for


class Line(msgspec.Struct, kw_only=True):
    """One line to price. ``unit_cost`` is what one costs before discounts, options and overrides included.

    ``exclude_coupon``, ``free_shipping`` and ``tax_free`` add to what the item itself says; they never take away.
    ``set_by_hand``: somebody set the cost for this customer, so it is not the catalogue's, and no discount of a pricing
    tier comes off it.
    """

    item: Item
    quantity: Decimal
    unit_cost: Decimal
    oid: int = 0
    occurrence: int = 0
    skipped: int = 0
    percentage_discount: Decimal = ZERO
    exclude_coupon: bool = False
    free_shipping: bool = False
    tax_free: bool = False
    set_by_hand: bool = False


class Tables(msgspec.Struct, kw_only=True):
    """The merchant's price rules. ``coupons``: only those that the order names, already loaded, in its order."""

    shipping: ShippingSettings
    taxes: TaxSettings
    currency_code: str
    coupons: list[Coupon] = []


class Note(msgspec.Struct, kw_only=True, frozen=True):
    """One decision, for an explain page: a code, its parameters, and the setting or field that decided."""

    code: str
    params: dict[str, str] = {}
    setting: str | None = None


class Priced(msgspec.Struct, kw_only=True):
    plan: FrozenPlan
    notes: list[Note]


class Unpriceable(msgspec.Struct, kw_only=True):
    """Why there is no price. ``negative_line``: a line costs less than nothing. ``no_shipping_method``: something
    must ship and nothing can take it; ``params["why"]`` is ``none_fits``, ``not_available`` or ``not_named``."""

    code: str
    message: str
    params: dict[str, str] = {}
    notes: list[Note] = []


class _Tally(msgspec.Struct, kw_only=True):
    """A line while it is being priced."""

    line: Line
    amount: Decimal
    discount: Decimal = ZERO

    def left(self) -> Decimal:
        return self.amount - self.discount

    def item_id(self) -> str:
        return self.line.item.merchant_item_id or ""

    def takes_coupons(self) -> bool:
        restriction = self.line.item.restriction
        return self.left() > 0 and not (self.line.exclude_coupon or (restriction and restriction.exclude_coupon))

    def taxed(self) -> bool:
        tax = self.line.item.tax
        return not (self.line.tax_free or (tax and (tax.tax_free or tax.exempt)))

    def pounds(self) -> Decimal:
        physical = self.line.item.physical
        weight = physical.weight if physical else None
        return weight.pounds() * self.line.quantity if weight else ZERO

    def ships_free(self) -> bool:
        shipping = self.line.item.shipping
        return self.line.free_shipping or bool(shipping and shipping.free_shipping)

    def shuns_shipping_discounts(self) -> bool:
        shipping = self.line.item.shipping
        return bool(shipping and shipping.no_shipping_discount)


class _Shipped(msgspec.Struct, kw_only=True):
    """``freed_by``: the coupon that makes the method free."""

    method: str | None = None
    cost: Decimal = ZERO
    discount: Decimal = ZERO
    freed_by: Coupon | None = None


class _Free(msgspec.Struct, kw_only=True, frozen=True):
    """What makes shipping free in this order: coupons, the customer's own terms, items; or nothing may."""

    coupons: list[Coupon]
    all_of_it: bool = False
    nothing: bool = False


def price(
    lines: Sequence[Line],
    destination: Place | None,
    wanted_method: str | None,
    *,
    lowest_cost: bool,
    tables: Tables,
    now: Instant,
    on_rebill: bool,
    ignore_coupon_expiration: bool,
    tax_exempt: bool = False,
    arbitrary_shipping: Decimal | None = None,
    used: Mapping[str, int] = NO_USES,
    coupon_codes: Sequence[str] | None = None,
    terms: CustomerTerms = NOBODY,
) -> Priced | Unpriceable:
    """The frozen plan of an order, or why there is none. The same input gives the same answer.

    ``destination``: ``shipping.ship_to(order.shipping, order.billing)``. ``wanted_method``: the order's own, which
    ``lowest_cost`` overrides. ``arbitrary_shipping``: a cost that somebody set; the method is then taken as named
    and nothing is free. ``coupon_codes``: the codes that the order names, so that one without a coupon is noted;
    left out, the coupons of the tables count. ``used``: see ``coupons.select``. Coupons that do not count are dropped
    with a note: a storefront runs ``coupons.check_coupons`` first and refuses the order. ``terms``: those by which this
    customer buys.
    """
    notes: list[Note] = []
    currency = tables.currency_code
    tallies = [_tally(line, currency, notes) for line in lines]
    for tally in tallies:
        if tally.amount < 0:
            return Unpriceable(
                code="negative_line",
                message=f"The item {tally.item_id()} costs less than nothing.",
                params={"item_id": tally.item_id(), "amount": str(tally.amount)},
                notes=notes,
            )
    coupons = _coupons_that_count(
        tables,
        coupon_codes,
        now=now,
        on_rebill=on_rebill,
        ignore_expiration=ignore_coupon_expiration,
        used=used,
        notes=notes,
    )
    if terms.no_coupons and coupons:
        setting = _by(terms, "no_coupons")
        notes += [Note(code="coupon_not_for_customer", params={"coupon": c.code()}, setting=setting) for c in coupons]
        coupons = []
    _discount_of_tier(tallies, terms, coupons, currency, notes)
    _discount(tallies, coupons, currency, notes)
    if arbitrary_shipping is not None:
        shipped = _arbitrary(arbitrary_shipping, wanted_method, currency, notes)
    else:
        free = _free(tallies, coupons, terms, notes)
        found = _shipping(tallies, destination, wanted_method, free, lowest_cost, tables, notes)
        if isinstance(found, Unpriceable):
            return found
        shipped = found
    for coupon in coupons:
        if coupon.free_shipping is not None:
            _noted(coupon, shipped.discount if coupon is shipped.freed_by else ZERO, notes)
    exempt = _by(terms, "tax_exempt") if terms.tax_exempt else "tax_exempt" if tax_exempt else None
    rate = _tax_rate(tables.taxes, destination, exempt, notes)
    return Priced(plan=_plan(tallies, coupons, shipped, rate, currency), notes=notes)


def _plan(
    tallies: list[_Tally], coupons: list[Coupon], shipped: _Shipped, rate: TaxRate | None, currency: str
) -> FrozenPlan:
    subtotal = total_of(tally.amount for tally in tallies)
    discount = total_of(tally.discount for tally in tallies)
    taxable = total_of(tally.left() for tally in tallies if tally.taxed()) if rate else ZERO
    taxes_shipping = bool(rate and rate.tax_shipping)
    base = taxable + (shipped.cost - shipped.discount if taxes_shipping else ZERO)
    tax = _percent_of(base, rate.rate, currency) if rate else ZERO
    return FrozenPlan(
        lines=[_plan_line(tally) for tally in tallies],
        subtotal=subtotal,
        total=subtotal - discount + shipped.cost - shipped.discount + tax,
        currency=currency,
        discount=discount,
        coupons=[coupon.code() for coupon in coupons],
        shipping_method=shipped.method,
        shipping=shipped.cost,
        shipping_discount=shipped.discount,
        tax=tax,
        tax_rate=rate.rate if rate else ZERO,
        tax_shipping=taxes_shipping,
        taxable=taxable,
    )


def _plan_line(tally: _Tally) -> PlanLine:
    line = tally.line
    return PlanLine(
        item_id=tally.item_id(),
        quantity=line.quantity,
        unit_cost=line.unit_cost,
        oid=line.oid,
        occurrence=line.occurrence,
        skipped=line.skipped,
        discount=tally.discount,
    )


# --- discounts ------------------------------------------------------------------------------------------------------


def _tally(line: Line, currency: str, notes: list[Note]) -> _Tally:
    tally = _Tally(line=line, amount=quantise(line.quantity * line.unit_cost, currency))
    if line.percentage_discount > 0 and tally.amount > 0:
        tally.discount = min(tally.amount, _percent_of(tally.amount, line.percentage_discount, currency))
        notes.append(
            Note(
                code="line_discount",
                params={
                    "item_id": tally.item_id(),
                    "percent": str(line.percentage_discount),
                    "discount": str(tally.discount),
                },
                setting="arbitrary_percentage_discount",
            )
        )
    return tally


def _by(terms: CustomerTerms, name: str) -> str:
    """``customer.tax_exempt``, ``Wholesale.no_coupons``: whose setting decided."""
    return f"{terms.by.get(name, OWN)}.{name}"


def _discount_of_tier(
    tallies: list[_Tally], terms: CustomerTerms, coupons: list[Coupon], currency: str, notes: list[Note]
) -> None:
    """Off every line at the catalogue's price, of what its own percentage leaves."""
    if not terms.percentage_discount:
        return
    setting = f"{terms.tier}.default_percentage_discount"
    if coupons and not terms.discount_with_coupons:
        setting = f"{terms.tier}.not_valid_when_coupon_present"
        notes.append(Note(code="tier_discount_not_with_coupons", params={"tier": terms.tier}, setting=setting))
        return
    for tally in tallies:
        if tally.line.set_by_hand or tally.left() <= 0:
            continue
        off = min(tally.left(), _percent_of(tally.left(), terms.percentage_discount, currency))
        tally.discount += off
        params = {
            "item_id": tally.item_id(),
            "tier": terms.tier,
            "percent": str(terms.percentage_discount),
            "discount": str(off),
        }
        notes.append(Note(code="tier_discount", params=params, setting=setting))


def _free(tallies: list[_Tally], coupons: list[Coupon], terms: CustomerTerms, notes: list[Note]) -> _Free:
    if terms.no_free_shipping:
        notes.append(Note(code="no_free_shipping", setting=_by(terms, "no_free_shipping")))
        return _Free(coupons=[], nothing=True)
    subtotal = total_of(tally.left() for tally in tallies)
    if not terms.free_shipping or subtotal < terms.free_shipping_minimum:
        return _Free(coupons=coupons)
    params = {"subtotal": str(subtotal), "minimum": str(terms.free_shipping_minimum)}
    notes.append(Note(code="shipping_free_customer", params=params, setting=_by(terms, "free_shipping")))
    return _Free(coupons=coupons, all_of_it=True)


def _coupons_that_count(
    tables: Tables,
    codes: Sequence[str] | None,
    *,
    now: Instant,
    on_rebill: bool,
    ignore_expiration: bool,
    used: Mapping[str, int],
    notes: list[Note],
) -> list[Coupon]:
    kept, dropped = select(
        [coupon.code() for coupon in tables.coupons] if codes is None else codes,
        tables.coupons,
        now=now,
        on_rebill=on_rebill,
        ignore_expiration=ignore_expiration,
        used=used,
        currency_code=tables.currency_code,
    )
    for drop in dropped:
        notes.append(Note(code=f"coupon_{drop.why}", params={"coupon": drop.code}, setting=drop.setting or None))
    for coupon in kept:
        if has_expired(coupon, now):
            notes.append(
                Note(
                    code="coupon_expiration_ignored",
                    params={"coupon": coupon.code(), "expired": str(coupon.expiration_dts)},
                    setting="ignore_coupon_expiration",
                )
            )
    return kept


def _discount(tallies: list[_Tally], coupons: list[Coupon], currency: str, notes: list[Note]) -> None:
    """Coupons on items first, so that one on the subtotal takes its share of what is really left."""
    for coupon in coupons:
        on_items = coupon.amount_off_items or coupon.percent_off_items
        if on_items:
            _noted(coupon, _off_items(tallies, on_items, currency), notes)
    for coupon in coupons:
        on_subtotal = coupon.amount_off_subtotal or coupon.percent_off_subtotal
        if on_subtotal:
            _noted(coupon, _off_subtotal(tallies, on_subtotal, currency), notes)


def _off_items(tallies: list[_Tally], rule: OnItems, currency: str) -> Decimal:
    """The limit is used up line by line, in the order's order."""
    units_left = Decimal(rule.limit) if rule.limit else None
    taken = ZERO
    for tally in tallies:
        if units_left == 0:
            break
        if not tally.takes_coupons() or not takes_part(rule, tally.line.item):
            continue
        quantity = tally.line.quantity
        units = quantity if units_left is None else min(quantity, units_left)
        if units_left is not None:
            units_left -= units
        share = quantise(tally.left() * units / quantity, currency)
        if isinstance(rule, CouponAmountOffItems):
            off = min(share, quantise((rule.discount_amount or ZERO) * units, currency))
        else:
            off = min(share, _percent_of(share, rule.discount_percent or ZERO, currency))
        tally.discount += off
        taken += off
    return taken


def _off_subtotal(tallies: list[_Tally], rule: OnSubtotal, currency: str) -> Decimal:
    """Spread over the lines by what is left of them, so that each line keeps its own share for tax and refunds."""
    takers = [tally for tally in tallies if tally.takes_coupons()]
    left = [tally.left() for tally in takers]
    base = total_of(left)
    if isinstance(rule, CouponAmountOffSubtotal):
        off = min(base, quantise(rule.discount_amount or ZERO, currency))
    else:
        off = min(base, _percent_of(base, rule.discount_percent or ZERO, currency))
    for tally, part in zip(takers, split(off, left, currency), strict=True):
        tally.discount += part
    return off


def _noted(coupon: Coupon, taken: Decimal, notes: list[Note]) -> None:
    code = "coupon_applied" if taken > 0 else "coupon_without_effect"
    notes.append(Note(code=code, params={"coupon": coupon.code(), "discount": str(taken)}))


def _percent_of(amount: Decimal, percent: Decimal, currency: str) -> Decimal:
    return quantise(amount * percent / 100, currency)


# --- shipping -------------------------------------------------------------------------------------------------------


def _arbitrary(cost: Decimal, wanted: str | None, currency: str, notes: list[Note]) -> _Shipped:
    fixed = max(ZERO, quantise(cost, currency))
    notes.append(
        Note(code="shipping_set_by_hand", params={"cost": str(fixed)}, setting="arbitrary_shipping_handling_total")
    )
    return _Shipped(method=wanted, cost=fixed)


def _shipping(
    tallies: list[_Tally],
    destination: Place | None,
    wanted: str | None,
    free: _Free,
    lowest_cost: bool,
    tables: Tables,
    notes: list[Note],
) -> _Shipped | Unpriceable:
    """What has no weight does not ship. A shop without any method ships free."""
    shipping = [tally for tally in tallies if tally.pounds() > 0]
    if not shipping:
        notes.append(Note(code="nothing_ships"))
        return _Shipped()
    if not tables.shipping.methods:
        notes.append(Note(code="no_shipping_methods_configured", setting="shipping_methods"))
        return _Shipped()
    subtotal = total_of(tally.left() for tally in tallies)
    # What is free over an amount is not free here: the amount is never reached.
    reached = ZERO if free.nothing else subtotal
    whole = _parcel(shipping, reached)
    quotes = [
        _discounted(quote, shipping, free, reached, tables.currency_code)
        for quote in available(tables.shipping, destination, whole, tables.currency_code)
    ]
    chosen = _chosen(quotes, wanted, lowest_cost)
    if chosen is None:
        return _no_method(quotes, destination, wanted, whole, notes)
    _note_shipping(chosen, shipping, free, lowest_cost, whole, notes)
    return _Shipped(
        method=chosen.name(),
        cost=chosen.cost,
        discount=chosen.discount,
        freed_by=_freeing_coupon(free.coupons, chosen.method),
    )


def _chosen(quotes: list[Quote], wanted: str | None, lowest_cost: bool) -> Quote | None:
    if lowest_cost:
        return cheapest(quotes)
    return next((quote for quote in quotes if quote.name() == wanted), None)


def _parcel(tallies: list[_Tally], subtotal: Decimal) -> Parcel:
    return Parcel(
        pounds=total_of(tally.pounds() for tally in tallies),
        units=total_of(tally.line.quantity for tally in tallies),
        subtotal=subtotal,
    )


def _discounted(quote: Quote, shipping: list[_Tally], free: _Free, subtotal: Decimal, currency: str) -> Quote:
    """The quote less what the lines cost that go free by its method: the rest is priced as a parcel of its own."""
    if free.nothing:
        return quote
    if free.all_of_it:
        return msgspec.structs.replace(quote, discount=quote.cost)
    coupon = _freeing_coupon(free.coupons, quote.method)
    paying = [tally for tally in shipping if not _goes_free(tally, quote.method, coupon)]
    if len(paying) == len(shipping):
        return quote
    rest = cost_by(quote.method, _parcel(paying, subtotal), currency) if paying else ZERO
    return msgspec.structs.replace(quote, discount=max(ZERO, quote.cost - (rest or ZERO)))


def _goes_free(tally: _Tally, method: ShippingMethod, coupon: Coupon | None) -> bool:
    if coupon is not None and not tally.shuns_shipping_discounts():
        return True
    return method.qualifies_for_free_shipping is not False and tally.ships_free()


def _freeing_coupon(coupons: list[Coupon], method: ShippingMethod) -> Coupon | None:
    for coupon in coupons:
        if coupon.free_shipping is not None:
            named = coupon.free_shipping.shipping_methods
            if not named or method.shipping_method in named:
                return coupon
    return None


def _note_shipping(
    chosen: Quote, shipping: list[_Tally], free: _Free, lowest_cost: bool, whole: Parcel, notes: list[Note]
) -> None:
    notes.append(
        Note(
            code="shipping_method_cheapest" if lowest_cost else "shipping_method_as_ordered",
            params={"shipping_method": chosen.name(), "cost": str(chosen.cost)},
            setting="ship_via_lowest_cost_method" if lowest_cost else None,
        )
    )
    over = chosen.method.free_over_amount
    if over is not None and whole.subtotal >= over:
        notes.append(
            Note(code="shipping_free_over", params={"subtotal": str(whole.subtotal)}, setting="free_over_amount")
        )
    free_items = [tally.item_id() for tally in shipping if _goes_free(tally, chosen.method, None)]
    if chosen.discount > 0 and free_items and not free.all_of_it:
        notes.append(Note(code="shipping_free_items", params={"items": ", ".join(free_items)}, setting="free_shipping"))


def _no_method(
    quotes: list[Quote], destination: Place | None, wanted: str | None, whole: Parcel, notes: list[Note]
) -> Unpriceable:
    names = [quote.name() for quote in quotes]
    country = (destination.country_code if destination is not None else None) or ""
    pounds = f"{whole.pounds.normalize():f}"
    if not names:
        why, message = "none_fits", f"No shipping method takes {pounds} lb to {country or 'an unknown country'}."
    elif wanted is None:
        why, message = "not_named", f"The order names no shipping method; available: {', '.join(names)}."
    else:
        why, message = "not_available", f"{wanted} is not available here; available: {', '.join(names)}."
    return Unpriceable(
        code="no_shipping_method",
        message=message,
        params={
            "why": why,
            "wanted": wanted or "",
            "available": ", ".join(names),
            "country_code": country,
            "state_region": (destination.state_region if destination is not None else None) or "",
            "pounds": pounds,
        },
        notes=notes,
    )


# --- tax ------------------------------------------------------------------------------------------------------------


def _tax_rate(taxes: TaxSettings, destination: Place | None, exempt: str | None, notes: list[Note]) -> TaxRate | None:
    """``exempt``: the setting by which there is none to pay."""
    if exempt:
        notes.append(Note(code="tax_exempt", setting=exempt))
        return None
    rate = rate_for(taxes, destination)
    if rate is None:
        notes.append(Note(code="no_tax_here", setting="taxes"))
        return None
    place = {"state_region": rate.state_region, "postal_prefix": rate.postal_prefix}
    notes.append(
        Note(
            code="tax_rate_matched",
            params={"country_code": rate.country_code, "rate": str(rate.rate)}
            | {name: text for name, text in place.items() if text},
            setting="taxes",
        )
    )
    return rate
