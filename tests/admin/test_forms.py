"""Settings forms are made from the schema: a new setting needs no line of JavaScript, a refusal leads to its field, and
nobody's change is lost."""

import json
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from chalicelib.domain import wire
from chalicelib.domain.errors import Invalid
from chalicelib.domain.fields import Amount, on_form, rule
from chalicelib.domain.settings import AutoOrderProcessing
from chalicelib.domain.wire import Noun
from chalicelib.handlers.configuration import form_schema
from chalicelib.handlers.http import ROUTES
from tests.browsing import Page
from tests.running import Running

Visit = Callable[..., Page]
RULES = "/configuration/auto_order_processing"


class Tomorrow(AutoOrderProcessing):
    """The section as a later version may have it."""

    send_birthday_tea: Annotated[bool, rule("Send birthday tea", "A bag on the day.", group="shipping")] | None = None
    bags: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=9,
                title="Bags",
                description="So many.",
                extra_json_schema=on_form(
                    group="shipping", unit="bags", blank=1, warnings=[{"above": 5, "message": "That is a lot of tea."}]
                ),
            ),
        ]
        | None
    ) = None
    kinds: Annotated[list[str], rule("Kinds", "Of tea.")] | None = None


class Brew(Noun):
    minutes: Annotated[int, Meta(ge=1, le=9, title="Minutes", description="In the pot.")]


class Tea(Noun):
    """A noun as a section may come to hold it: every kind of field there is, and a list inside."""

    groups: ClassVar[tuple[tuple[str, str, str], ...]] = (("taste", "Taste", "How it is."),)

    name: Annotated[str, rule("Name", "On the tin.")]
    price: Annotated[Amount, rule("Price", "Of a tin.", unit="currency")] | None = None
    organic: Annotated[bool, rule("Organic", "With a seal.", blank=True)] | None = None
    picked: Annotated[date, rule("Picked", "The day.")] | None = None
    sorts: Annotated[list[Literal["black", "green"]], rule("Sorts", "In it.", group="taste")] | None = None
    goes_with: Annotated[str, rule("Goes with", "Another.", group="taste", choices="/teas/*/name")] | None = None
    marks: Annotated[list[str], rule("Marks", "On it.", widget="words")] | None = None
    brews: Annotated[list[Brew], rule("Brews", "One after the other.", entry="brew", ordered=True)] | None = None


def of_tomorrow(section: type[Noun]) -> type[Noun]:
    """The section as it may be once somebody has added a list of nouns to it."""
    teas = Annotated[list[Tea], rule("Teas", "In stock.", entry="tea", summary=["name", "price"])] | None
    tomorrow: type[Noun] = msgspec.defstruct(
        f"{section.__name__}OfTomorrow", [("teas", teas, None)], bases=(section,), kw_only=True, omit_defaults=True
    )
    return tomorrow


def instead(page: Page, path: str, noun: Any) -> dict[str, Any]:
    """The API of that later version stands in for the shop's: the noun's own schema and rules. What it keeps."""
    kept: dict[str, Any] = {}
    name = path.rpartition("/")[2]

    def answer(route: Any) -> None:
        request = route.request
        if request.url.endswith("/schema"):
            status, body = 200, {"schema": form_schema(noun)}
        elif request.method == "GET":
            status, body = 200, {name: kept}
        else:
            try:
                said = {name: value for name, value in request.post_data_json.items() if value is not None}
                wire.noun(wire.parse(json.dumps(said).encode()), noun)
                kept.update(said)
                status, body = 200, {name: kept}
            except Invalid as refused:
                problems = [{"pointer": p.pointer, "code": p.code, "message": p.message} for p in refused.problems]
                status, body = 400, {"error": {"user_message": str(refused)}, "problems": problems}
        text = json.dumps(body, default=str)
        route.fulfill(status=status, content_type="application/json", body=text, headers={"ETag": '"1"'})

    page.page.route(f"**/rest/v2{path}*", answer)
    page.page.route(f"**/rest/v2{path}/schema", answer)
    return kept


def test_a_setting_that_is_added_to_the_noun_is_a_working_field_at_once(visit: Visit) -> None:
    page = visit("/configuration")
    kept = instead(page, RULES, Tomorrow)
    page.open(RULES)
    page.page.check("#field-send_birthday_tea")
    page.page.fill("#field-bags", "12")
    assert "That is a lot of tea." in page.page.inner_text("#field-bags-warn")
    page.page.click(".dock button.main")
    page.page.wait_for_selector("text=Some settings are not valid")
    page.page.click("[role=alert] >> text=Shipping settings, Bags")
    page.page.wait_for_selector("#field-bags:focus")
    page.page.fill("#field-bags", "2")
    page.page.locator("#field-kinds >> text=Add").click()
    page.page.fill("#field-kinds-0", "Assam")
    page.page.click(".dock button.main")
    page.page.wait_for_selector("text=Saved.")
    assert kept == {"send_birthday_tea": True, "bags": 2, "kinds": ["Assam"]}
    page.page.keyboard.press("Control+k")
    page.page.wait_for_selector("[role=combobox]")
    page.page.keyboard.type("birthday")
    page.page.wait_for_selector("[role=option] >> text=Send birthday tea")


def test_a_list_of_nouns_that_is_added_to_any_section_is_a_working_part_of_its_form(visit: Visit) -> None:
    page = visit("/configuration")
    sections = [route.takes for route in ROUTES if route.method == "PUT" and hasattr(route.takes, "section")]
    assert len(sections) >= 8
    for section in sections:
        path = f"/configuration/{section.section}"
        kept = instead(page, path, of_tomorrow(section))
        page.open(path)
        for position, name in enumerate(("Assam", "Sencha")):
            page.page.click("text=Add a tea")
            page.page.fill(f"#field-teas-{position}-name", name)
        page.page.fill("#field-teas-0-price", "-1")
        page.page.uncheck("#field-teas-0-organic")
        page.page.fill("#field-teas-0-picked", "2027-05-01")
        page.page.check("#field-teas-0-sorts-1")
        page.page.select_option("#field-teas-0-goes_with", "Sencha")
        page.page.fill("#field-teas-0-marks", "fair,  late")
        page.page.locator("#field-teas-0").get_by_text("Add a brew").click()
        page.page.fill("#field-teas-0-brews-0-minutes", "12")
        page.page.click("#field-teas-0 .head")
        page.page.click(".dock button.main")
        page.page.click("[role=alert] >> text=Tea 1, Brew 1, Minutes")
        page.page.wait_for_function("() => document.activeElement.id === 'field-teas-0-brews-0-minutes'")
        assert "must be at least 0" in page.page.inner_text("#field-teas-0-price-wrong")
        page.page.fill("#field-teas-0-price", "4.50")
        page.page.fill("#field-teas-0-brews-0-minutes", "3")
        page.page.click(".dock button.main")
        page.page.wait_for_selector(".dock", state="detached")
        assert kept == {"teas": [TEA, {"name": "Sencha"}]}


TEA = {
    "name": "Assam",
    "price": 4.5,
    "organic": False,
    "picked": "2027-05-01",
    "sorts": ["green"],
    "goes_with": "Sencha",
    "marks": ["fair", "late"],
    "brews": [{"minutes": 3}],
}


def test_a_refusal_is_a_summary_that_leads_to_its_field(visit: Visit) -> None:
    page = visit(RULES)
    page.page.select_option("#field-window_start", "22:00")
    page.page.select_option("#field-window_end", "23:00")
    page.page.click(".dock button.main")
    page.page.wait_for_selector("text=Some settings are not valid")
    page.page.wait_for_selector("[role=alert]:focus")
    page.page.keyboard.press("Tab")
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector("#field-window_end:focus")
    assert page.page.get_attribute("#field-window_end", "aria-invalid") == "true"
    page.page.click(".dock >> text=Discard")
    assert page.page.locator(".dock").count() == 0


def test_who_was_slower_keeps_his_edits_and_sees_what_the_other_changed(visit: Visit, shop: Running) -> None:
    page = visit(RULES)
    page.page.fill("#field-number_of_retries", "5")
    other = {"prohibit_credit_cards_that_expire_in_months": 1}
    assert shop.ask("PUT", f"/rest/v2{RULES}", other)[0] == 200
    page.page.click(".dock button.main")
    page.page.wait_for_selector("text=Somebody else has saved this meanwhile")
    assert "Prohibit cards that expire in" in page.page.inner_text("[role=alert]")
    assert page.page.input_value("#field-number_of_retries") == "5"
    page.page.click("text=Lay mine over theirs")
    page.page.click(".dock button.main")
    page.page.wait_for_selector("text=Saved.")
    stands = shop.ask("GET", f"/rest/v2{RULES}")[1]["auto_order_processing"]
    assert (stands["number_of_retries"], stands["prohibit_credit_cards_that_expire_in_months"]) == (5, 1)
    shop.ask("PUT", f"/rest/v2{RULES}", {"number_of_retries": 3, "prohibit_credit_cards_that_expire_in_months": None})


def test_what_is_not_saved_is_not_left_without_a_question(visit: Visit) -> None:
    page = visit(RULES)
    page.page.fill("#field-number_of_retries", "5")
    with page.page.expect_event("dialog"):
        page.page.click("nav >> text=Orders >> nth=0")
    page.page.wait_for_function("() => location.hash.endsWith('/auto_order_processing')")
    assert page.dialogs == ["You have unsaved changes. Leave them?"]
    assert page.page.inner_text("h1") == "Auto Order Processing"
    assert page.page.input_value("#field-number_of_retries") == "5"
    page.dialogs.clear()
    page.page.click(".dock >> text=Discard")
