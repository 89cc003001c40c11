"""What waits, on home: that nothing is late is said, and what is late or dead is marked, with what to do."""

from collections.abc import Callable
from typing import Any

from tests.admin.test_screens import looked_at
from tests.browsing import Page
from tests.running import Running

Visit = Callable[..., Page]
HOSTILE = 'https://receiver.example.com/<img src=x onerror="alert(1)">'


def in_trouble(told: dict[str, Any]) -> dict[str, Any]:
    """The same shop on its worst day."""
    rebill, deliver, *others = told["queues"]
    rebill |= {"dead_letters": 2, "oldest_dead_letter_seconds": 7300, "waiting": 3, "oldest_seconds": 5}
    deliver |= {"waiting": 41, "late": True, "oldest_seconds": 900, "ages_dts": "2026-11-26T06:01:00-05:00"}
    others[0] |= {"in_flight": 1}
    return told | {
        "late_auto_orders": {"count": 500, "at_least": True, "since_dts": "2026-11-26T05:00:00-05:00"},
        "late_events": {"count": 1, "at_least": False},
        "dead_deliveries": [{"webhook_oid": 7, "webhook_url": HOSTILE, "count": 1, "at_least": False}],
    }


def test_home_says_that_nothing_is_late_and_marks_what_is_with_what_to_do(visit: Visit, shop: Running) -> None:
    page = visit("/")
    assert "Nothing is late" in page.page.inner_text("main")
    assert "On time" in page.page.inner_text("[aria-label=Queues] tr >> nth=1")
    told = shop.ask("GET", "/rest/v2/report/queues")[1]
    told["queues_report"] = in_trouble(told["queues_report"])
    page.page.route("**/report/queues", lambda route: route.fulfill(json=told))
    page.page.reload()
    page.settle()
    said = page.page.inner_text("main")
    assert "Nothing is late" not in said
    for text in (
        "At least 500 auto orders should have been looked at since Nov 26, 2026, 05:00",
        "1 change could not be told",
        "What is marked late waits longer than it should",
        "Dead letters failed five times",
        f"1 delivery to {HOSTILE} is not tried any more",
        "Their ages are of 06:01",
    ):
        assert text in said
    rows = page.page.locator("[aria-label=Queues] tbody tr").all_inner_texts()
    assert [row.split("\t") for row in rows][:3] == [
        ["Charges", "2 dead letters, 2 hours", "3", "0", "5 seconds"],
        ["E-mails and webhooks", "Late", "41", "0", "15 minutes"],
        ["Checks at the gateways", "On time", "0", "1", "Not known"],
    ]
    assert page.page.locator("main a[href='#/webhooks/7']").count() == 1
    assert not looked_at(page)
