"""The page of features is held: what it names is there, and nothing that a merchant may set or edit is left out."""

import re
from pathlib import Path

import pytest

from chalicelib.domain.auto_orders import KEPT_ITEM_FIELDS
from chalicelib.domain.customer_values import CustomerProfileSettings
from chalicelib.domain.customers import Customer
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.wire import Noun
from chalicelib.flows.explain import explained
from tests.worlds import World

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "features.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "::" in line]
TESTS = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
# What identifies an item or follows from other fields: nobody edits it.
NOT_EDITED = {"auto_order_item_oid"}
EDITED = (
    "add_ons",
    "cancel_after_next_x_orders",
    "cancel_reason",
    "canceled_by_user",
    "credit_card_attempt",
    "enabled",
    "next_attempt",
    "override_affiliate_id",
    "properties",
    "rotating_transaction_gateway_code",
    "status",
)


def named(row: str) -> set[str]:
    return set(re.findall(r"`([\w.]+)`", row.split(" | ", maxsplit=1)[0]))


@pytest.mark.parametrize("row", ROWS)
def test_the_test_that_a_row_names_exists(row: str) -> None:
    path, test = TESTS.findall(row)[0]
    assert re.search(rf"^def {test}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path} has no {test}"


def test_every_setting_has_its_row_with_a_test_and_stands_in_the_explanation() -> None:
    world = World().open()
    told = {rule["name"] for rule in explained(world.shop, world.subscribe(), None)["settings"]}
    of_settings = {name for row in ROWS for name in named(row)}
    for name in AutoOrderProcessing.__struct_fields__:
        assert name in of_settings, f"docs/features.md has no row of {name}"
        assert name in told, f"explain does not show {name}"


@pytest.mark.parametrize("noun", [Customer, CustomerProfileSettings])
def test_every_field_of_a_profile_and_every_setting_of_profiles_has_its_row(noun: type[Noun]) -> None:
    assert set(noun.__struct_fields__) - {name for row in ROWS for name in named(row)} == set()


def test_every_field_that_is_edited_has_its_row() -> None:
    fields = {name for row in ROWS for name in named(row)}
    wanted = set(EDITED) | {f"items.{name}" for name in KEPT_ITEM_FIELDS if name not in NOT_EDITED}
    assert wanted - fields == set()
