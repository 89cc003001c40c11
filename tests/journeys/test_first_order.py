"""The docs' first order by the unmodified official SDK, then three months: three paid rebills, each told and signed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import ultracart
from ultracart.apis import AutoOrderApi, CustomerApi, ItemApi, OrderApi, WebhookApi
from ultracart.exceptions import ApiException
from ultracart.models import (
    AutoOrder,
    AutoOrderQuery,
    Customer,
    OrderQuery,
    Webhook,
    WebhookEventCategory,
    WebhookEventSubscription,
)

from chalicelib.domain.schedule import add_months
from tests.receivers import Receiver
from tests.running import Running

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    listening = Receiver()
    yield listening
    listening.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("journey") / "data", outbound_allow=receiver.target)
    yield running
    running.end()


@pytest.fixture(scope="module")
def client(shop: Running) -> Any:
    return ultracart.ApiClient(
        ultracart.Configuration(
            host=f"http://127.0.0.1:{shop.port}/rest/v2", api_key={"x-ultracart-simple-key": shop.key}
        )
    )


def first_order(shop: Running, item_id: str) -> tuple[str, int]:
    """Run the script of the docs as it stands. Returns the order's id and the auto order's oid."""
    base = f"http://127.0.0.1:{shop.port}"
    command = [sys.executable, "docs/first_order.py", base, shop.key, shop.browser_key, item_id]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    order_id, oid, _ = done.stdout.split()
    return order_id, int(oid)


def advance(shop: Running, **how: Any) -> Any:
    status, answer = shop.ask("POST", "/rest/v2/configuration/test_clock", how)
    assert status == 200, answer
    return answer["test_clock"]


def listen(client: Any, receiver: Receiver) -> str:
    """Subscribe to rebills. Returns the secret that is shown once."""
    subscribed = WebhookEventSubscription(event_name="auto_order_rebill", subscribed=True)
    category = WebhookEventCategory(event_category="auto_order", events=[subscribed])
    wanted = Webhook(webhook_url=receiver.url, authentication_type="none", event_categories=[category])
    secret = WebhookApi(client).insert_webhook(wanted).webhook["signing_secret"]
    assert isinstance(secret, str)
    return secret


def test_three_months_after_the_first_order_three_rebills_are_paid_on_the_last_days_of_their_months(
    shop: Running, client: Any, receiver: Receiver
) -> None:
    secret = listen(client, receiver)
    year = int(advance(shop, advance_days=1)["to"][:4]) + 1
    advance(shop, advance_to=f"{year}-01-31T12:00:00-05:00")
    order_id, oid = first_order(shop, "KENYA")
    told = advance(shop, advance_days=92)
    assert told["number_of_orders"] == 3
    assert told["rehearsal"]["same"] is True

    orders = OrderApi(client).get_orders_by_query(
        OrderQuery(email="ada@example.com"), expand="payment,summary,item", sort="creation_dts"
    )
    rebills = [order for order in orders.orders if order.order_id != order_id]
    days = [add_months(date(year, 1, 31), months).isoformat() for months in (1, 2, 3)]
    assert [order.creation_dts[:10] for order in rebills] == days
    assert [order.order_id for order in rebills] == [f"{order_id}-{run:03d}" for run in (1, 2, 3)]
    assert {order.payment.payment_status for order in rebills} == {"Processed"}
    assert {order.summary.total.value for order in rebills} == {17.95}

    events = receiver.verified(secret)
    assert [list(event) for event in events] == [["auto_order_rebill"]] * 3
    assert {event["auto_order_rebill"]["auto_order_oid"] for event in events} == {oid}
    assert len({headers["webhook-id"] for headers, _ in receiver.posts}) == 3


def test_every_auto_order_call_of_the_sdk_reads_what_the_server_sends(shop: Running, client: Any) -> None:
    order_id, oid = first_order(shop, "PERU")
    api = AutoOrderApi(client)
    everything = (
        "items,items.future_schedules,items.sample_schedule,original_order,original_order.billing,"
        "original_order.payment,original_order.payment.transaction,rebill_orders,rebill_orders.item,logs,properties"
    )
    auto_order = api.get_auto_order(oid, expand=everything).auto_order
    assert len(auto_order["items"][0].future_schedules) == 10
    assert auto_order.original_order.order_id == order_id
    code = auto_order.auto_order_code
    assert api.get_auto_order_by_code(code).auto_order.auto_order_oid == oid
    assert api.get_auto_order_by_reference_order_id(order_id).auto_order.auto_order_oid == oid
    assert [found.auto_order_oid for found in api.get_auto_orders(original_order_id=order_id).auto_orders] == [oid]
    queried = api.get_auto_orders_by_query(AutoOrderQuery(original_item_id="PERU"))
    assert [found.auto_order_oid for found in queried.auto_orders] == [oid]
    paused = api.pause_auto_order(oid, AutoOrder(), expand="items").auto_order
    assert paused["items"][0].paused is True
    entry = paused["items"][0]
    entry.paused = False
    entry.arbitrary_unit_cost = 9.99
    entry.arbitrary_unit_cost_remaining_orders = 2
    updated = api.update_auto_order(oid, AutoOrder(items=[entry]), expand="items").auto_order
    assert updated["items"][0].arbitrary_unit_cost == 9.99
    canceled = api.update_auto_order(oid, AutoOrder(enabled=False, canceled_by_user="customer")).auto_order
    assert (canceled.status, canceled.enabled) == ("canceled", False)
    with pytest.raises(ApiException) as refused:
        api.get_auto_order(1)
    assert refused.value.status == 404


def test_items_orders_and_customers_travel_through_the_sdk(shop: Running, client: Any) -> None:
    order_id, _ = first_order(shop, "SUMATRA")
    items = ItemApi(client)
    item = items.get_item_by_merchant_item_id("SUMATRA", expand="auto_order,pricing").item
    item.description = "A darker roast"
    assert items.update_item(item.merchant_item_oid, item, expand="pricing").item.description == "A darker roast"
    assert items.get_item(item.merchant_item_oid).item.merchant_item_id == "SUMATRA"
    assert "SUMATRA" in [found.merchant_item_id for found in items.get_items().items]

    orders = OrderApi(client)
    whole = "billing,shipping,item,payment,payment.transaction,summary,taxes,coupon,auto_order,checkout,marketing"
    order = orders.get_order(order_id, expand=whole).order
    assert order.payment.transactions[0].successful is True
    assert order.auto_order.status == "active"
    assert order_id in [found.order_id for found in orders.get_orders(limit=200).orders]

    customers = CustomerApi(client)
    oid = customers.insert_customer(Customer(email="sdk+customer@example.com")).customer.customer_profile_oid
    assert customers.get_customer(oid).customer.email == "sdk+customer@example.com"
    assert customers.get_customer_by_email("sdk+customer@example.com").customer.customer_profile_oid == oid
