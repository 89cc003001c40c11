"""What a request makes of a noun: its shape, what only the server sets, and the noun's own rules, all in one answer."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, TypeVar

import msgspec

from chalicelib.domain import wire
from chalicelib.domain.errors import Invalid, Problem

S = TypeVar("S", bound=msgspec.Struct)


def made(raw: Any, type_: type[S], *rules: Callable[[S], None]) -> S:
    """The new noun that an insert describes. Raises Invalid with all problems."""
    problems = [*problems_of(_into(raw, type_)), *problems_of(lambda: wire.refuse_owned(raw, type_))]
    try:
        noun = wire.noun(_sound(raw, problems, type_), type_)
    except Invalid:
        raise Invalid(problems) from None
    return _judged(noun, problems, rules)


def changed(stored: S, raw: Any, *rules: Callable[[S], None], moving: Collection[str] = ()) -> S:
    """The stored noun under a partial update. Raises Invalid with all problems.

    ``moving``: what the server sets anew with every change. A request may send it back as it was read, so that the
    same PUT can be sent twice.
    """
    if isinstance(raw, wire.Patch):
        stored = wire.blanked(stored, raw)
    problems = problems_of(_into(raw, type(stored)))
    said = {name: value for name, value in _sound(raw, problems, type(stored)).items() if name not in moving}
    problems += _news(problems_of(lambda: wire.overlay(stored, said)), problems)
    try:
        noun = wire.overlay(stored, _sound(said, problems, type(stored)))
    except Invalid:
        raise Invalid(problems) from None
    return _judged(noun, problems, rules)


def problems_of(act: Callable[[], object]) -> list[Problem]:
    """What an act finds wrong; none where it goes well."""
    try:
        act()
    except Invalid as invalid:
        return invalid.problems
    return []


def _into(raw: Any, type_: type[S]) -> Callable[[], S]:
    if not isinstance(raw, dict):
        raise Invalid.one("", "wrong_type", "the body must be an object")
    return lambda: wire.noun(raw, type_)


def _judged(noun: S, problems: list[Problem], rules: Collection[Callable[[S], None]]) -> S:
    known = list(problems)
    for rule in rules:
        problems += _news(problems_of(partial(rule, noun)), known)
    if problems:
        raise Invalid(problems[: wire.MAXIMUM_PROBLEMS])
    return noun


def _news(found: list[Problem], known: list[Problem]) -> list[Problem]:
    """What is said of a field that is wrong already, or of the noun that lacks it, is no news."""
    return [one for one in found if not any(_touch(one.pointer, other.pointer) for other in known)]


def _touch(one: str, other: str) -> bool:
    """Whether one of two pointers lies in what the other points to."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _sound(raw: dict[str, Any], problems: Collection[Problem], type_: type[S]) -> dict[str, Any]:
    """The request without what is wrong, so that the rules can be asked about the rest: without the very fields, or,
    where a noun inside cannot do without them, without all that they stand in."""
    wrong = [_names(problem.pointer) for problem in problems]
    rest: dict[str, Any] = _copied(raw)
    for names in wrong:
        _drop(rest, names)
    if not problems_of(lambda: wire.noun(rest, type_)):
        return rest
    heads = {name for names in wrong for name in names[:1]}
    return {name: value for name, value in raw.items() if name not in heads}


def _names(pointer: str) -> list[str]:
    return [name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/")[1:]]


def _drop(inside: Any, names: list[str]) -> None:
    """A field goes; a wrong entry of a list takes the list with it, or the places of the others would move."""
    for position, name in enumerate(names):
        following = names[position + 1 : position + 2]
        if isinstance(inside, list) and name.isdigit() and int(name) < len(inside):
            inside = inside[int(name)]
        elif not isinstance(inside, dict):
            return
        elif not following or (isinstance(inside.get(name), list) and position == len(names) - 2):
            inside.pop(name, None)
            return
        else:
            inside = inside.get(name)


def _copied(raw: Any) -> Any:
    if isinstance(raw, dict):
        return {name: _copied(value) for name, value in raw.items()}
    return [_copied(entry) for entry in raw] if isinstance(raw, list) else raw
