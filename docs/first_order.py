"""A storefront's first order by the official SDK: an item sold monthly, an order for it, its payment, its schedule."""

import json
import sys
import urllib.request

from ultracart import ApiClient, Configuration
from ultracart.apis import AutoOrderApi, ItemApi, OrderApi
from ultracart.models import (
    Item, ItemAutoOrder, ItemPricing, Order, OrderBilling, OrderItem, OrderPayment, OrderPaymentCreditCard,
    OrderProcessPaymentRequest,
)  # fmt: skip

base, key, browser_key, item_id = sys.argv[1:5]
client = ApiClient(Configuration(host=f"{base}/rest/v2", api_key={"x-ultracart-simple-key": key}))
card = {"card_number": "4111111111111111", "card_expiration_month": 12, "card_expiration_year": 2040}
asked = urllib.request.Request(f"{base}/storefront/card_tokens", json.dumps(card).encode(), method="POST")
asked.add_header("x-ultracart-browser-key", browser_key)
token = json.load(urllib.request.urlopen(asked))["card_token"]
monthly = ItemAutoOrder(auto_orderable=True, auto_order_schedules=["Monthly"])
ItemApi(client).insert_item(Item(merchant_item_id=item_id, pricing=ItemPricing(cost=17.95), auto_order=monthly))
line = OrderItem(merchant_item_id=item_id, quantity=1.0, auto_order_schedule="Monthly")
payment = OrderPayment(credit_card=OrderPaymentCreditCard(card_number_token=token))
order = Order(items=[line], billing=OrderBilling(email="ada@example.com", country_code="US"), payment=payment)
order_id = OrderApi(client).insert_order(order).order.order_id
OrderApi(client).process_payment(order_id, OrderProcessPaymentRequest())
auto_order = AutoOrderApi(client).get_auto_order_by_reference_order_id(order_id, expand="items").auto_order
print(order_id, auto_order.auto_order_oid, auto_order["items"][0].next_shipment_dts)
