"""Every rule that an explanation may name leads somewhere: its setting is a field of the place that is told, and the
page has words for it. The rules are read from the source, so that one that is added is held too."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.domain.coupons import TOLD
from chalicelib.domain.places import holds, place_of
from chalicelib.domain.rebills import Reason

DOMAIN = Path(__file__).parent.parent.parent / "chalicelib" / "domain"
PAGE = (DOMAIN.parent / "admin" / "why.js").read_text()
FILES = ("aftermath", "auto_orders", "coupons", "mails", "pricing", "rebills", "rotating")
# What one call says of a rule: the positions or names of its code and of its setting.
MAKERS = {"Reason": "code", "Note": "code", "Cost": "rule", "Hold": "code", "Unpriceable": "code"}
# Only an order that is placed by hand has its shipping set.
NOT_EXPLAINED = {"shipping_set_by_hand"}


def texts(node: ast.AST | None, scope: dict[str, list[ast.expr]]) -> list[str | None]:
    """Every text that an expression may come to; None for nothing. A name is all that is assigned to it."""
    match node:
        case None | ast.Constant(value=None):
            return [None]
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=one, orelse=other):
            return [*texts(one, scope), *texts(other, scope)]
        case ast.BoolOp(values=values):
            return [text for value in values for text in texts(value, scope)]
        case ast.JoinedStr(values=[*_, ast.Constant(value=str(text))]) if text.startswith("."):
            return [f"Wholesale{text}"]
        case ast.Call(func=ast.Name(id="_by"), args=[_, name]):
            return [f"customer.{text}" for text in texts(name, scope)]
        case ast.Name(id=name):
            return [text for value in scope.get(name, []) for text in texts(value, scope)]
    return []


def assigned(function: ast.AST) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    return found


def said(name: str) -> Iterator[tuple[str, str | None]]:
    """(code, setting) of every rule that the module says."""
    tree = ast.parse((DOMAIN / f"{name}.py").read_text())
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        scope = assigned(function)
        for node in ast.walk(function):
            if not isinstance(node, ast.Call):
                continue
            maker = node.func.id if isinstance(node.func, ast.Name) else ""
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            if maker in MAKERS:
                codes = texts(named.get(MAKERS[maker]), scope)
                settings = texts(named.get("setting"), scope)
                yield from ((code, setting) for code in codes if code for setting in settings)
            elif maker == "_failing":
                yield from (
                    (str(code), s) for code in texts(node.args[2], scope) for s in texts(named.get("setting"), scope)
                )
            elif maker == "_by" and name == "mails":
                yield from (("notice_kept_back", setting) for setting in texts(node.args[0], scope))
    if name == "coupons":
        refusals = re.findall(
            r'return "(\w+)", "(\w+)"(?: if on_rebill else "(\w+)")?', (DOMAIN / "coupons.py").read_text()
        )
        yield from ((f"coupon_{why}", setting) for why, *settings in refusals for setting in settings if setting)
        yield from ((f"coupon_{why}", None) for why in TOLD)
    if name == "rotating":
        text = (DOMAIN / "rotating.py").read_text()
        yield from re.findall(r'\("(\w+)", "(\w+)", lambda', text)
        yield from re.findall(r'return \w+[.\w]*, "(gateway_\w+)", "(\w+)"', text)
        yield from [("gateways_on_standby", "status"), ("no_gateway_active", "status")]
        yield from ((code, None) for code in ("all_gateways_kept_out", "gateway_currency", "gateway_preferred"))
        yield ("gateway_by_share", "rotating_transaction_gateways")
    if name == "rebills":
        pairs = re.search(r"_OVERRIDES = \((.*?)\n\)", (DOMAIN / "rebills.py").read_text(), re.DOTALL)
        assert pairs is not None
        yield from re.findall(r'\("(\w+)", "(\w+)"\)', pairs[1])


RULES = sorted({rule for name in FILES for rule in said(name) if rule[0] not in NOT_EXPLAINED}, key=str)
SETTINGS = [(code, setting) for code, setting in RULES if setting]


def test_the_rules_are_found_in_the_source() -> None:
    codes = {code for code, _ in RULES}
    assert len(codes) > 70
    assert {"retry_later", "card_type_restricted", "tier_discount", "gateway_limits", "coupon_expired"} <= codes
    assert len(SETTINGS) > 60


@pytest.mark.parametrize(("code", "setting"), SETTINGS)
def test_the_setting_of_each_rule_stands_where_it_is_told_to_stand(code: str, setting: str) -> None:
    place = place_of(Reason(code=code, setting=setting))
    assert place is not None, f"nobody knows where {setting} stands"
    assert holds(place, setting)


def test_settings_of_the_same_name_are_told_apart_by_their_rule() -> None:
    for code, place in (("unit_cost_override", "auto_order_item"), ("step_unit_cost", "item")):
        assert place_of(Reason(code=code, setting="arbitrary_unit_cost")) == place
    for params, place in (({"auto_order_item_oid": 7}, "auto_order_item"), ({}, "auto_order")):
        assert place_of(Reason(code="add_on", params=params, setting="add_ons")) == place
    assert place_of(Reason(code="tax_exempt", setting="customer.tax_exempt")) == "customer"
    assert place_of(Reason(code="tax_exempt", setting="Wholesale.tax_exempt")) == "pricing_tier"
    assert place_of(Reason(code="total")) is None


def test_the_page_has_words_for_every_rule() -> None:
    worded = set(re.findall(r"^  (\w+): \[", PAGE, re.MULTILINE))
    assert {code for code, _ in RULES} - worded == set()
