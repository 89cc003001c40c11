"""Finding customers by the unmodified official SDK: criteria, queries and words, page by page."""

from typing import Any

import pytest
from ultracart.apis import CustomerApi
from ultracart.exceptions import ApiException
from ultracart.models import Customer, CustomerBilling, CustomerQuery, CustomerTag, LookupRequest

NUMBER = 25


@pytest.fixture(scope="module")
def customers(client: Any) -> Any:
    api = CustomerApi(client)
    for number in range(NUMBER):
        address = CustomerBilling(
            first_name="Ann", last_name=f"Lee{number % 3}", day_phone=f"678-555-{number:04d}", city="Duluth"
        )
        email = f"{'y' if number % 2 else 'b'}{number}@{'gmail' if number % 5 else 'mail'}.com"
        api.insert_customer(Customer(email=email, billing=[address], tags=[CustomerTag(tag_value=f"t{number % 4}")]))
    return api


def emails(call: Any, *given: Any, **named: Any) -> list[str]:
    """As the official samples read: on and on until a page is not full."""
    found: list[str] = []
    while True:
        page = call(*given, limit=10, offset=len(found), **named).customers
        found += [customer.email for customer in page]
        if len(page) < 10:
            return found


def test_get_customers(customers: Any) -> None:
    assert len(set(emails(customers.get_customers))) == NUMBER
    assert emails(customers.get_customers, sort="email") == sorted(emails(customers.get_customers))
    found = emails(customers.get_customers, email="Y*@gmail.com")
    assert len(found) == 10
    assert all(email.startswith("y") and email.endswith("@gmail.com") for email in found)
    assert emails(customers.get_customers, billing_last_name="lee1", billing_day_phone="6785550007") == ["y7@gmail.com"]
    assert emails(customers.get_customers, since="2999-01-01T00:00:00+00:00") == []
    result_set = customers.get_customers(limit=10, billing_city="Duluth", expand="billing").metadata.result_set
    assert (result_set.count, result_set.total_records, result_set.more) == (10, NUMBER, True)


def test_get_customers_by_query(customers: Any) -> None:
    query = CustomerQuery(emails=["y7@gmail.com", "b0*"], query_target="origin")
    assert emails(customers.get_customers_by_query, query, sort="email") == ["b0@mail.com", "y7@gmail.com"]
    assert len(emails(customers.get_customers_by_query, CustomerQuery(any_tags=["t1", "t2"]))) == 12
    assert len(emails(customers.get_customers_by_query, CustomerQuery())) == NUMBER
    page = customers.get_customers_by_query(CustomerQuery(email="y7@gmail.com"), expand="billing,tags")
    assert (page.customers[0].billing[0].last_name, page.customers[0].tags[0].tag_value) == ("Lee1", "t3")


def test_search_customers(customers: Any) -> None:
    assert len(emails(customers.search_customers, search_string="lee2 ANN")) == 8
    assert emails(customers.search_customers, search_string="555-0007") == ["y7@gmail.com"]
    found = emails(customers.search_customers, search_string="*7@gmail.com", sort="-email")
    assert found == ["y7@gmail.com", "y17@gmail.com"]


def test_get_customers_for_data_tables(customers: Any) -> None:
    table = customers.get_customers_for_data_tables(expand="billing")
    assert (len(table.data), table.records_total, table.records_filtered) == (NUMBER, NUMBER, NUMBER)
    assert table.data[0].billing[0].first_name == "Ann"


def test_search_customer_profile_values(customers: Any) -> None:
    request = LookupRequest(category="last_name", matches="le", max_hits=2)
    found = customers.search_customer_profile_values(request)
    assert [(entry.key, entry.value) for entry in found.values] == [("lee0", "Lee0"), ("lee1", "Lee1")]


def test_what_cannot_be_searched_is_told_by_name(customers: Any) -> None:
    with pytest.raises(ApiException) as refused:
        customers.get_customers(billing_city="*luth")
    assert refused.value.status == 400
    assert "/billing_city" in str(refused.value.body)
