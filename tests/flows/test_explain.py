"""Why: the plan told rule by rule, with every setting as it stands."""

from typing import Any

from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.flows.explain import explained
from tests.worlds import World


def rules(world: World, oid: int) -> dict[str, dict[str, Any]]:
    return {rule["name"]: rule for rule in explained(world.shop, oid, None)["settings"]}


def test_every_setting_stands_in_the_explanation_with_what_a_blank_means() -> None:
    world = World().open()
    found = rules(world, world.subscribe())
    assert list(found) == list(AutoOrderProcessing.__struct_fields__)
    assert not any(rule["is_set"] for rule in found.values())
    assert {name: rule["value"] for name, rule in found.items() if rule["value"] is not False} == {
        "prohibit_cancellation_until_days": 0,
        "number_of_retries": 3,
        "delay_between_retries_days": 3,
        "prohibit_credit_cards_that_expire_in_months": 0,
        "cancel_reasons": [],
        "window_start": "00:00",
        "window_end": "00:00",
    }


def test_a_setting_that_decided_says_so_and_the_others_do_not() -> None:
    world = World().open(window_start="06:00", window_end="12:00", number_of_retries=5)
    oid = world.subscribe()
    world.clock.go(world.next_due() or world.clock.now())
    world.clock.moment = world.clock.moment.replace(hour=5)
    world.clock.pass_(days=0)
    found = rules(world, oid)
    assert found["window_start"] == {"name": "window_start", "value": "06:00", "is_set": True, "decided": True}
    assert [name for name, rule in found.items() if rule["decided"]] == ["window_start"]
    assert found["number_of_retries"]["value"] == 5
