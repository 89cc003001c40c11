"""A merchant's own templates: what of the language is taken, what is refused with its line, and what cannot happen."""

import time
from typing import Any

import pytest

from chalicelib.domain.errors import Problem
from chalicelib.domain.events import Template
from chalicelib.domain.letters import Letter, Row
from chalicelib.domain.merchants import Merchant
from chalicelib.domain.notices import TITLES, NoticeTemplate, samples
from chalicelib.gateways import letters

SHOP = Merchant(merchant_id="DEMO", name="Demo Shop", support_email="help@example.com")
TEMPLATES: tuple[Template, ...] = tuple(TITLES)


def problems(template: Template = "receipt", **texts: str) -> list[Problem]:
    return letters.problems(NoticeTemplate(template=template, **texts), samples(template, SHOP))  # type: ignore[arg-type]


def why(source: str, template: Template = "receipt") -> str:
    """The one reason why a text is refused."""
    (found,) = problems(template, text=source)
    assert (found.pointer, found.code) == ("/text", "template")
    return found.message


def composed(letter: Letter, **texts: str) -> Any:
    return letters.compose(letter, NoticeTemplate(template=letter.template, **texts))  # type: ignore[arg-type]


# --- what is taken ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_default_is_taken_as_ones_own_and_makes_the_same_mail(template: Template) -> None:
    own = letters.default(template)
    assert letters.problems(own, samples(template, SHOP)) == []
    for letter in samples(template, SHOP):
        assert letters.compose(letter, own) == letters.compose(letter)


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("Dear {{ first_name|default('friend', true)|upper }}!", "Dear JANE!"),
        ("{% for row in rows %}{{ loop.index }} {{ row.name }};{% endfor %}", "1 Single origin coffee, 12 oz;"),
        ("{% for row in rows %}{% for note in row.notes %}{{ note }}{% endfor %}{% endfor %}", "Grind: Whole bean"),
        ("{% for label, amount in totals %}{{ label }}={{ amount }} {% endfor %}", "Subtotal=$45.40"),
        ("{% if words.card is defined and rows|length > 1 %}{{ words['card'] }}{% endif %}", "VISA ending in 1111"),
        ("{{ shop if first_name else 'nobody' }}", "Demo Shop"),
        ('{% extends "_layout.txt" %}{% block body %}{{ super() }}Hi{% endblock %}', "Hello Jane,\n\nHi"),
        ('{% include "_rows.txt" %}', "2 x Single origin coffee, 12 oz: $35.90"),
        ("{# a word to myself #}plain", "plain"),
    ],
)
def test_what_lays_out_words_is_taken(source: str, made: str) -> None:
    assert problems(text=source) == []
    letter, _ = samples("receipt", SHOP)
    answer = composed(letter, text=source)
    assert answer.failure is None
    assert made in answer.text


def test_only_the_texts_that_are_ones_own_are_the_others_stay_the_defaults() -> None:
    letter, _ = samples("receipt", SHOP)
    own, default = composed(letter, subject="Thanks, {{ first_name }}"), letters.compose(letter)
    assert own.subject == "Thanks, Jane"
    assert (own.text, own.html) == (default.text, default.html)


def test_an_empty_html_means_a_mail_of_text_only() -> None:
    letter, _ = samples("receipt", SHOP)
    assert problems(html="") == []
    assert composed(letter, html="").html is None


def test_a_subject_of_several_lines_is_put_on_one() -> None:
    letter, _ = samples("receipt", SHOP)
    assert composed(letter, subject="Thanks\nBcc: x@example.com").subject == "Thanks Bcc: x@example.com"


# --- what is refused, with its line -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("a\n{{ first_name", "line 2: unexpected end of template, expected 'end of print statement'."),
        ("a\n\n{% if shop %}", "line 3: Unexpected end of template. Jinja was looking for the following tags"),
        ("{% frob %}", "line 1: Encountered unknown tag 'frob'."),
        ("\n{{ firstname }}", "line 2: there is no firstname; there are first_name, loop, more_rows, rows, shop"),
        ("{{ words.ordr }}", "line 1: there is no words.ordr; there are words.card, words.date, words.order_id"),
        ("{{ words['ordr'] }}", "line 1: there is no words.ordr; there are words.card"),
        ("x\n{{ words.card }}", "line 2: words.card is not in every mail; ask first: {% if words.card is defined %}"),
        ("{{ shop|replace('a', 'b') }}", "line 1: the filter replace is not allowed; allowed are capitalize, count"),
        ("{{ shop|frob }}", "line 1: the filter frob is not allowed"),
        ("{{ shop|truncate(more_rows) }}", "line 1: the filter truncate takes only fixed words and numbers"),
        ("{% if shop is divisibleby 3 %}{% endif %}", "line 1: the test divisibleby is not allowed"),
        ("{{ shop.upper() }}", "line 1: a call is not allowed"),
        ("{{ range(9) }}", "line 1: a call is not allowed"),
        ("{{ self.body() }}", "line 1: a call is not allowed"),
        ("{{ 'x' * 1000000000 }}", "line 1: this (Mul) is not allowed"),
        ("{{ 9 ** 9 ** 9 }}", "line 1: this (Pow) is not allowed"),
        ("{{ shop ~ shop }}", "line 1: joining with ~ is not allowed"),
        ("{% set x = shop %}", "line 1: a variable of your own is not allowed"),
        ("{% with x = shop %}{% endwith %}", "line 1: a variable of your own is not allowed"),
        ("{% macro m() %}{% endmacro %}", "line 1: a macro is not allowed"),
        ("{% filter upper %}a{% endfilter %}", "line 1: this (FilterBlock) is not allowed"),
        ("{% autoescape false %}a{% endautoescape %}", "line 1: switching off what makes HTML safe is not allowed"),
        ("{{ shop.__class__ }}", "line 1: only parts that are named outright can be shown"),
        ("{{ shop['__class__'] }}", "line 1: only parts that are named outright can be shown"),
        ("{{ words[shop] }}", "line 1: only parts that are named outright can be shown"),
        ("{{ shop|attr('__class__') }}", "line 1: the filter attr is not allowed"),
        ("{{ shop|safe }}", "line 1: the filter safe is not allowed"),
        ('{% include "receipt.txt" %}', "line 1: only _layout.html, _layout.txt, _rows.html, _rows.txt can be used"),
        ('{% include "../../config.py" %}', "line 1: only _layout.html"),
        ("{% include shop %}", "line 1: only _layout.html"),
        ('{% import "_rows.txt" as x %}', "line 1: an import is not allowed"),
        ("{% for x in rows recursive %}{{ loop(rows) }}{% endfor %}", "line 1: a loop that calls itself"),
    ],
)
def test_what_is_not_taken_is_refused_with_its_line_and_cause(source: str, reason: str) -> None:
    found = problems(text=source)
    assert found[0].message.startswith(reason)


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = problems(subject="{{ nobody }}", text="{{ a }}\n{{ b }}\n{{ b }}", html="<p>{{ shop|safe }}</p>")
    assert [(one.pointer, one.message.split(";")[0]) for one in found] == [
        ("/subject", "line 1: there is no nobody"),
        ("/text", "line 1: there is no a"),
        ("/text", "line 2: there is no b"),
        ("/text", "line 3: there is no b"),
        ("/html", "line 1: the filter safe is not allowed"),
    ]


# --- what cannot happen ----------------------------------------------------------------------------------------------


def test_loops_inside_loops_end() -> None:
    three = "{% for a in rows %}{% for b in rows %}{% for c in rows %}x{% endfor %}{% endfor %}{% endfor %}"
    assert why(three) == "line 1: 20 loops are allowed, 2 of them inside each other"
    assert "20 loops are allowed" in why("{% for a in rows %}x{% endfor %}\n" * 21)
    assert problems(text="{% for a in rows %}x{% endfor %}\n" * 20) == []


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}",
        "{% if shop %}" * 500 + "{% endif %}" * 500,
        "{{ " + "not " * 3000 + "shop }}",
        "{{ shop" + ".a" * 3000 + " }}",
    ],
)
def test_what_is_too_deep_for_the_parser_is_refused_like_anything_else(source: str) -> None:
    assert "inside each other" in why(source)


def test_a_template_that_makes_too_much_of_a_mail_is_refused() -> None:
    # Two loops of two rounds each around a long text.
    source = "{% for a in rows %}{% for b in rows %}" + "x" * 60_000 + "{% endfor %}{% endfor %}"
    assert why(source) == "makes more than 200000 characters of one mail"


def test_the_worst_that_is_taken_is_laid_out_within_a_second() -> None:
    loops = "{% for a in rows %}{% for b in rows %}{% if a.name == b.name %}{% endif %}{% endfor %}{% endfor %}\n" * 10
    rows = [Row(quantity="1", name=f"Item {number}", amount="$1.00") for number in range(100)]
    letter = Letter(template="receipt", shop="Shop", words={"order_id": "1", "total": "$1"}, rows=rows)
    assert problems(text=loops) == []
    begun = time.perf_counter()
    assert composed(letter, text=loops).failure is None
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("typed", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}"])
def test_what_people_typed_is_escaped_in_a_merchants_html_too(typed: str) -> None:
    letter = Letter(template="canceled", shop=typed, first_name=typed, words={"code": typed})
    html = composed(letter, html='<p title="{{ shop }}">{{ first_name }} {{ words.code }}</p>').html
    assert "<script" not in html
    assert "<img" not in html
    assert "49" not in html


def test_a_template_that_fails_on_a_mail_gives_way_to_the_default_and_says_why() -> None:
    _, bare = samples("receipt", SHOP)
    answer = composed(bare, text="Hello\n{{ words.card }}", subject="Mine")
    assert (answer.subject, answer.text) == (letters.compose(bare).subject, letters.compose(bare).text)
    assert answer.failure == (
        "the shop's own template does not fit this mail: line 2: words.card is not in every mail; "
        "ask first: {% if words.card is defined %}"
    )
