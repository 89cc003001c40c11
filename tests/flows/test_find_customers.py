"""Finding customers by keys and by rows: the same ones, page by page, however they come and go."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain import customer_search
from chalicelib.domain.customer_search import KIND, CustomerQuery, row_of_customer
from chalicelib.domain.customers import Customer, CustomerBilling, CustomerShipping, CustomerTag
from chalicelib.domain.dates import Instant, later, parse_instant
from chalicelib.domain.errors import Invalid
from chalicelib.domain.merchants import Merchant
from chalicelib.flows.find import Found
from chalicelib.flows.find_customers import BOUNDS, Bounds, find_customers
from chalicelib.stores.lists import RESULT_SECONDS, Lists
from chalicelib.stores.sqlite import SqliteTables

START = parse_instant("2027-03-01T12:00:00Z")
SMALL_PAGE = 4


@dataclass
class Front:
    """All of a shop that finding touches, on an engine in memory."""

    port: SqliteTables
    merchant_id: str = "DEMO"
    now: Instant = START
    versions: dict[int, int] = field(default_factory=dict)
    bounds: Bounds = BOUNDS

    def __post_init__(self) -> None:
        self.lists = Lists(self.port, self.merchant_id)
        self.clock = SimpleNamespace(now=lambda: self.now)
        merchant = SimpleNamespace(noun=Merchant(time_zone="America/New_York"))
        self.configuration = SimpleNamespace(section=lambda type_: merchant)

    def note(self, oid: int, email: str, **fields: Any) -> None:
        noun = Customer(customer_profile_oid=oid, email=email, **fields)
        new = oid not in self.versions
        self.versions[oid] = self.versions.get(oid, 0) + 1
        self.lists.note_keyed(KIND, str(oid), row_of_customer(noun, self.now), self.versions[oid], new=new)

    def find(self, offset: int = 0, limit: int = SMALL_PAGE, sort: str | None = None, **criteria: Any) -> Found:
        return find_customers(cast("Any", self), CustomerQuery(**criteria), sort, offset, limit, self.bounds)

    def all_pages(self, sort: str | None = None, **criteria: Any) -> list[str]:
        """As clients read: on and on until a page is not full."""
        names: list[str] = []
        while True:
            page = self.find(len(names), sort=sort, **criteria)
            names += page.names
            if len(page.names) < SMALL_PAGE:
                assert page.total == len(names)
                return names

    def filtered(self, sort: str | None = None, **criteria: Any) -> list[str]:
        """What is meant, by the rows alone."""
        meant = customer_search.matcher(CustomerQuery(**criteria), "America/New_York")
        rows = [one for one in self.lists.rows(KIND) if meant(one[1])]
        return [name for name, _ in customer_search.sort(rows, customer_search.sorting(sort))]

    def calls(self) -> list[str]:
        made = [call.verb for call in self.port.meter.calls]
        self.port.meter.reset()
        return made


@pytest.fixture
def port() -> Iterator[SqliteTables]:
    with closing(SqliteTables(":memory:")) as opened:
        yield opened


@pytest.fixture
def front(port: SqliteTables) -> Front:
    return Front(port)


def people(front: Front, number: int) -> None:
    for oid in range(1, number + 1):
        last_name = "Lee" if oid % 2 else "Roe"
        front.note(oid, f"p{oid}@{'gmail' if oid % 3 else 'mail'}.com", billing=[CustomerBilling(last_name=last_name)])


# --- the same by keys and by rows ------------------------------------------------------------------------------------

LETTERS = "aAbß#*é1 "
SHORT = st.text(LETTERS.replace("*", ""), min_size=1, max_size=3)
EMAILS = st.builds("{}@{}.com".format, SHORT.filter(lambda text: bool(text.strip())), st.sampled_from("abA"))
NUMBERS = st.sampled_from(["1", "12", "(1) 2", "123", "no"])


def optional(texts: Any) -> Any:
    return st.none() | texts


ADDRESSES = st.fixed_dictionaries(
    {},
    optional={
        "first_name": SHORT,
        "last_name": SHORT,
        "company": SHORT,
        "postal_code": SHORT,
        "day_phone": NUMBERS,
        "evening_phone": NUMBERS,
    },
)
PROFILES = st.builds(
    lambda email, billing, shipping, tags: {
        "email": email,
        "billing": [CustomerBilling(**entry) for entry in billing],
        "shipping": [CustomerShipping(**entry) for entry in billing if shipping is None]
        or [CustomerShipping(**entry) for entry in shipping or []],
        "tags": [CustomerTag(tag_value=tag) for tag in tags],
    },
    EMAILS,
    st.lists(ADDRESSES, max_size=3),
    st.none() | st.lists(ADDRESSES, max_size=2),
    st.lists(SHORT, max_size=2),
)
STARRED = st.builds("{}{}".format, st.text(LETTERS.replace("*", ""), max_size=3), st.sampled_from(["", "*"]))
PATTERNS = st.one_of(
    EMAILS,
    st.builds("{}*{}".format, st.text("aAb1", max_size=2), st.sampled_from(["", "@a.com", "m", ".com", "b.com"])),
)
PHONES = st.sampled_from(["1", "1*", "12", "1-2*", "*", "3*"])
CRITERIA = st.fixed_dictionaries(
    {},
    optional={
        "email": PATTERNS,
        "emails": st.lists(PATTERNS, max_size=3),
        "any_tags": st.lists(STARRED, min_size=1, max_size=2),
        **{
            f"{side}_{name}": PHONES if "phone" in name else STARRED
            for side in ("billing", "shipping")
            for name in ("first_name", "last_name", "company", "postal_code", "day_phone", "evening_phone")
        },
    },
)
# Mostly one or two criteria, which keys lead to.
ONE_OR_TWO = st.builds(
    lambda criteria, names: {name: criteria[name] for name in list(criteria)[:names]}, CRITERIA, st.integers(1, 2)
)
WORDS = st.fixed_dictionaries({"search_string": st.lists(PATTERNS | STARRED, max_size=3).map(" ".join)})
SORTS = st.sampled_from([None, "email", "-email", "billing.last_name,-email", "-customer_profile_oid"])


@settings(max_examples=250, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 8), st.none() | PROFILES), max_size=16),
    st.lists(st.tuples(CRITERIA | ONE_OR_TWO | WORDS, SORTS), min_size=1, max_size=6),
    st.sampled_from([3, 1000]),
)
def test_by_keys_a_search_finds_what_it_finds_among_all_rows(
    changes: list[tuple[int, dict[str, Any] | None]], asked: list[tuple[dict[str, Any], str | None]], page: int
) -> None:
    """Profiles come, change and go (None); whatever is asked then, keys and rows answer the same in the same order."""
    with closing(ShortPages(page)) as port:
        front = Front(port)
        for oid, profile in changes:
            if profile is None:
                front.lists.note_keyed(KIND, str(oid), None, front.versions.setdefault(oid, 1))
            else:
                front.note(oid, **profile)
        for criteria, sort in asked:
            wanted = front.filtered(sort, **criteria)
            assert front.find(0, 200, sort, **criteria) == Found(wanted, len(wanted))
            assert front.all_pages(sort, **criteria) == wanted


class ShortPages(SqliteTables):
    """An engine that gives no more than so many records at once, whatever is asked for."""

    def __init__(self, most: int) -> None:
        super().__init__(":memory:")
        self.most = most
        self.asked: list[str] = []

    def query(self, table: str, hash_value: str, *, limit: int = 100, **named: Any) -> Any:
        self.asked.append(hash_value)
        return super().query(table, hash_value, limit=min(limit, self.most), **named)


# --- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "criteria",
    [
        {},
        {"email": "p7@gmail.com"},
        {"email": "P*"},
        {"email": "*@gmail.com"},
        {"email": "p1*@gmail.com"},
        {"billing_last_name": "lee"},
        {"search_string": "P*@gmail.com"},
    ],
)
def test_one_field_that_has_keys_is_one_query_and_no_row(front: Front, criteria: dict[str, Any]) -> None:
    people(front, 20)
    wanted = front.filtered(**criteria)
    front.calls()
    assert front.find(0, 200, **criteria).names == wanted
    assert front.calls() == ["query"]


def test_several_addresses_are_a_query_each(front: Front) -> None:
    people(front, 20)
    front.calls()
    assert front.find(emails=["p1@gmail.com", "p20@*"], email="p2@gmail.com").names == ["1", "2", "20"]
    assert front.calls() == ["query"] * 3


def test_a_second_criterion_reads_the_rows_to_which_the_first_leads(front: Front) -> None:
    people(front, 20)
    front.calls()
    assert front.find(0, 200, billing_last_name="Lee", email="*@mail.com").names == ["3", "9", "15"]
    assert front.calls() == ["query", "get_many"]


def test_where_keys_lead_to_too_many_the_next_are_asked_and_then_all_rows(front: Front) -> None:
    people(front, 40)
    front.bounds = Bounds(rows=15)
    front.calls()
    wanted = ["3", "9", "15", "21", "27", "33", "39"]
    assert front.find(0, 200, billing_last_name="Lee", email="*@mail.com").names == wanted
    assert front.calls() == ["query", "get_many"]
    assert len(front.find(0, 200, billing_last_name="Lee", signup_dts_start="2000-01-01").names) == 0
    assert front.calls()[:3] == ["query", "query", "query"]


@pytest.mark.parametrize(
    ("criterion", "bounds", "walked"),
    [
        ("billing_last_name", BOUNDS, 11),
        ("billing_last_name", Bounds(rows=4), 2),
        # Its keys lead to nobody who is meant: they stand in the other address.
        ("shipping_last_name", BOUNDS, 11),
        ("shipping_last_name", Bounds(keys=7), 3),
    ],
)
def test_a_way_that_leads_to_too_many_or_too_far_is_given_up(criterion: str, bounds: Bounds, walked: int) -> None:
    with closing(ShortPages(3)) as port:
        front = Front(port, bounds=bounds)
        for oid in range(30):
            front.note(oid, f"{oid}@x.org", billing=[CustomerBilling(last_name="Lee", company="Acme")])
        assert front.find(0, 200, **{criterion: "l*"}, qb_class="x") == Found([], 0)
        assert port.asked.count("DEMO#customer#last_name") == walked


def test_of_two_ways_both_are_walked_until_the_narrower_has_ended() -> None:
    with closing(ShortPages(3)) as port:
        front = Front(port)
        people(front, 20)
        front.note(21, "y1@gmail.com")
        front.note(22, "p@narrow.org")
        front.calls()
        assert front.find(email="y*@gmail.com").names == ["21"]
        assert front.calls() == ["query"]
        assert front.find(email="p*@narrow.org").names == ["22"]
        assert front.calls() == ["query"] * 2


def test_more_names_than_memory_holds_are_refused_in_a_sentence(front: Front) -> None:
    people(front, 6)
    front.bounds = Bounds(found=5)
    with pytest.raises(Invalid, match="more than 5 customers are meant") as invalid:
        front.find()
    assert invalid.value.problems[0].code == "too_many_rows"
    assert front.find(email="p1*").names == ["1"]


# --- page by page ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "criteria", [{}, {"billing_last_name": "*"}, {"billing_city": "*"}, {"search_string": "gmail"}]
)
def test_every_page_but_the_last_is_full_and_a_later_one_reads_no_list(front: Front, criteria: dict[str, Any]) -> None:
    for oid in range(1, 11):
        front.note(oid, f"{oid}@gmail.com", billing=[CustomerBilling(city="Rome", last_name="Lee")])
    first = front.find(**criteria)
    front.calls()
    pages = [front.find(offset, **criteria) for offset in (4, 8, 12)]
    assert front.calls() == ["get"] * 3
    assert [page.names for page in (first, *pages)] == [["1", "2", "3", "4"], ["5", "6", "7", "8"], ["9", "10"], []]
    assert {page.total for page in (first, *pages)} == {10}


def test_nothing_is_skipped_or_seen_twice_while_customers_come_and_go(front: Front) -> None:
    people(front, 10)
    assert front.find().names == ["1", "2", "3", "4"]
    front.lists.note_keyed(KIND, "2", None, 9)
    front.note(11, "a@gmail.com")
    assert front.find(4) == Found(["5", "6", "7", "8"], 10)
    assert front.find() == Found(["1", "3", "4", "5"], 10)


def test_a_later_page_that_comes_too_late_looks_anew(front: Front) -> None:
    people(front, 6)
    front.find()
    front.lists.note_keyed(KIND, "1", None, 9)
    front.now = later(START, seconds=RESULT_SECONDS)
    assert front.find(4) == Found(["6"], 5)


def test_another_merchant_finds_his_own_only(front: Front, port: SqliteTables) -> None:
    theirs = Front(port, merchant_id="OTHER")
    people(front, 6)
    theirs.note(99, "p1@gmail.com", billing=[CustomerBilling(last_name="Lee")])
    for criteria in ({}, {"email": "p1*"}, {"billing_last_name": "lee"}, {"search_string": "lee"}):
        assert theirs.find(**criteria) == Found(["99"], 1)
        assert "99" not in front.find(0, 200, **criteria).names
    front.find()
    assert theirs.find(4) == Found([], 1)


def test_who_asks_again_from_where_he_stopped_sees_each_change_once(front: Front) -> None:
    people(front, 3)
    front.now = later(START, seconds=10)
    front.note(2, "p2@mail.com")
    front.note(4, "p4@gmail.com")
    assert front.find(since="2027-03-01T12:00:10Z").names == ["2", "4"]
    assert front.find(since="2027-03-01T12:00:11Z").names == []
