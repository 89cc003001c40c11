"""A request against a noun: one answer names all that is wrong, and says nothing twice or by mistake."""

from functools import partial
from typing import Annotated, Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from chalicelib.domain import wire
from chalicelib.domain.drafts import changed, made
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import Amount
from chalicelib.domain.wire import Noun

Name = Annotated[str, Meta(max_length=5)]


class Leaf(Noun):
    name: Name
    cost: Amount | None = None


class Plant(Noun):
    read_only: ClassVar[frozenset[str]] = frozenset({"oid"})

    oid: int | None = None
    name: Name | None = None
    colour: Name | None = None
    leaves: list[Leaf] | None = None
    notes: list[Name] | None = None
    version: int | None = None


def whole(plant: Plant) -> None:
    """A rule of each kind: of a field, of an entry, of the noun."""
    problems = []
    if not plant.name:
        problems.append(Problem(pointer="/name", code="required", message="is required"))
    if plant.colour == "blue":
        problems.append(Problem(pointer="/colour", code="odd", message="is odd"))
    for position, leaf in enumerate(plant.leaves or []):
        if leaf.cost is None:
            problems.append(Problem(pointer=f"/leaves/{position}/cost", code="required", message="is required"))
    if not plant.leaves and not plant.notes:
        problems.append(Problem(pointer="", code="empty", message="has leaves or notes"))
    if problems:
        raise Invalid(problems)


def told(act: Any, *args: Any, **named: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        act(*args, **named)
    return [(problem.pointer, problem.code) for problem in caught.value.problems]


def test_what_is_right_is_made() -> None:
    plant = made({"name": "fern", "notes": ["wet"]}, Plant, whole)
    assert (plant.name, plant.notes) == ("fern", ["wet"])


@pytest.mark.parametrize(
    ("raw", "problems"),
    [
        ({}, [("/name", "required"), ("", "empty")]),
        ({"name": 7, "oid": 5, "colour": "blue"}, [("/name", "wrong_type"), ("/oid", "read_only"), ("/colour", "odd")]),
        ({"name": "fern", "leaves": [{"name": "a", "cost": -1}, {"name": "b"}]},
         [("/leaves/0/cost", "out_of_range"), ("/leaves/1/cost", "required")]),
        ({"leaves": [{"cost": 1}, {"name": "toolong"}], "colour": "blue"},
         [("/leaves/0/name", "required"), ("/leaves/1/name", "out_of_range"), ("/name", "required"),
          ("/colour", "odd")]),
        ({"name": "fern", "notes": ["fine", 7], "colour": "blue"}, [("/notes/1", "wrong_type"), ("/colour", "odd")]),
        ({"name": "fern", "notes": 7}, [("/notes", "wrong_type")]),
        ({"name": "fern", "notes": ["x"], "no/such~field": 1, "colour": "blue"},
         [("/no~1such~0field", "unknown_field"), ("/colour", "odd")]),
        ({"name": "fern", "notes": ["x"], "x" * 100: 1, "colour": "blue"}, [("/" + "x" * 80, "unknown_field")]),
    ],
)  # fmt: skip
def test_all_that_is_wrong_is_told_once(raw: dict[str, Any], problems: list[tuple[str, str]]) -> None:
    assert told(made, raw, Plant, whole) == problems


@pytest.mark.parametrize("raw", [None, 7, "fern", [], [{}]])
def test_what_is_no_object_is_no_noun(raw: Any) -> None:
    assert told(made, raw, Plant, whole) == [("", "wrong_type")]
    assert told(changed, Plant(name="fern", notes=["wet"]), raw, whole) == [("", "wrong_type")]


def test_a_change_is_judged_as_what_it_makes_of_the_stored_noun() -> None:
    stored = Plant(oid=1, name="fern", notes=["wet"], version=3)
    assert changed(stored, {"colour": "green"}, whole).name == "fern"
    assert told(changed, stored, {"oid": 2, "notes": [], "colour": 7}, whole) == [
        ("/colour", "wrong_type"),
        ("/oid", "read_only"),
    ], "whether it is empty cannot be said of what was not understood"
    assert told(changed, stored, {"notes": []}, whole) == [("", "empty")]
    assert told(changed, stored, {"leaves": [{"name": 7}], "oid": 2}, whole) == [
        ("/leaves/0/name", "wrong_type"),
        ("/oid", "read_only"),
    ]


def test_what_moves_by_itself_may_be_sent_back_as_it_was_but_not_as_anything() -> None:
    stored = Plant(name="fern", notes=["wet"], version=3)
    assert changed(stored, {"version": 2, "name": "moss"}, whole, moving=("version",)).version == 3
    assert told(changed, stored, {"version": "two"}, whole, moving=("version",)) == [("/version", "wrong_type")]


def test_nothing_of_a_request_is_changed_by_looking_at_it() -> None:
    raw = {"name": 7, "leaves": [{"name": "a", "cost": -1}], "notes": [7]}
    before = repr(raw)
    told(made, raw, Plant, whole)
    told(changed, Plant(), raw, whole)
    assert repr(raw) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab~/0", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "cost", "leaves", "notes", "oid", "a/b", "~"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_comes_is_made_or_refused_with_reasons(raw: Any) -> None:
    acts = (partial(made, raw, Plant, whole), partial(changed, Plant(name="fern", notes=["wet"]), raw, whole))
    for act in acts:
        try:
            plant = act()
        except Invalid as invalid:
            pointers = [(problem.pointer, problem.code) for problem in invalid.problems]
            assert pointers
            assert len(set(pointers)) == len(pointers)
        else:
            whole(plant)
            assert wire.load(wire.kept(plant), Plant) == plant
