"""How a letter is laid out: three templates each, for its subject, as text and as HTML, in jinja's sandbox.

What people typed comes in as values, never as part of a template, and is escaped where it is HTML. A merchant's own
templates are read before they are kept: only what lays out words is taken of the language, so that none can call,
compute or loop without end, and the sandbox stands behind that.
"""

import re
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.domain.errors import Problem
from chalicelib.domain.events import Template
from chalicelib.domain.letters import Composed, Letter
from chalicelib.domain.mails import LONGEST_SUBJECT, one_line
from chalicelib.domain.notices import NoticeTemplate

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATES = Path(__file__).parent / "templates"
# The parts of a template, and how their files end. Only HTML is escaped.
PARTS = {"subject": "subject", "text": "txt", "html": "html"}
# What is left of the parts of a template that have nothing to say.
_SPARE_LINES = re.compile(r"\n{3,}")

# Mail programs cut a message at 102 KB; a template that makes more of a letter is a mistake, or an attack.
LONGEST_OUTPUT = 200_000
# Lists have 100 entries at most: two loops inside each other are 10,000 rounds, and twenty of those are milliseconds.
MOST_LOOPS_INSIDE = 2
MOST_LOOPS = 20
# Parts of a template inside each other: the defaults have ten, and a reader's stack ends at some hundred.
DEEPEST = 60

# All of the language that lays out words: no calls, no arithmetic (a text times a billion is a gigabyte), no variables
# of one's own, no macros.
_NODES = frozenset({"And", "Block", "Compare", "CondExpr", "Const", "Extends", "Filter", "For", "Getattr", "Getitem"})
_NODES |= {"If", "Include", "Name", "Not", "Operand", "Or", "Output", "Scope", "Template", "TemplateData", "Test"}
# What else people write, as they call it.
_CALLED = {
    "Assign": "a variable of your own",
    "AssignBlock": "a variable of your own",
    "With": "a variable of your own",
    "Call": "a call",
    "CallBlock": "a call",
    "Concat": "joining with ~",
    "FromImport": "an import",
    "Import": "an import",
    "Macro": "a macro",
    "ScopedEvalContextModifier": "switching off what makes HTML safe",
}
FILTERS = frozenset({"capitalize", "count", "d", "default", "e", "escape", "first", "last", "length", "lower", "title"})
FILTERS |= {"trim", "truncate", "upper"}
TESTS = frozenset(("defined", "none", "undefined"))
PARENTS = frozenset(f"{name}.{end}" for name in ("_layout", "_rows") for end in ("txt", "html"))
# What jinja says of a word that this mail does not have.
_MISSING = re.compile(r"'dict object' has no attribute '(\w+)'")


def compose(letter: Letter, own: NoticeTemplate | None = None) -> Composed:
    """The letter as text and as HTML. Where the shop's own texts fail on it, the default ones stand in."""
    words = msgspec.to_builtins(letter)
    if own is not None:
        try:
            return _composed(_environment_with(own, letter.template), letter.template, words, own)
        except _failures() as error:
            failure = one_line(f"the shop's own template does not fit this mail: {_cause(error)}")
            return msgspec.structs.replace(_composed(_environment(), letter.template, words), failure=failure)
    return _composed(_environment(), letter.template, words)


def default(template: Template) -> NoticeTemplate:
    """The texts of the default, as a merchant begins from them."""
    subject, text, html = ((TEMPLATES / f"{template}.{end}").read_text() for end in PARTS.values())
    return NoticeTemplate(template=template, subject=subject.strip(), text=text, html=html)


def problems(own: NoticeTemplate, letters: Sequence[Letter]) -> list[Problem]:
    """Why the shop's own texts cannot be kept: what does not parse, what of the language is not taken, and what fails
    on any of the letters; each with its line."""
    template, names = letters[0].template, set(msgspec.to_builtins(letters[0]))
    found: list[Problem] = []
    for part in PARTS:
        source = getattr(own, part)
        if source:
            found += [
                Problem(pointer=f"/{part}", code="template", message=message)
                for message in _refused(source, letters[0].words, names)
            ]
    for letter in letters if not found else ():
        words = msgspec.to_builtins(letter)
        environment = _environment_with(own, template)
        for part in PARTS:
            if getattr(own, part):
                try:
                    _rendered(environment, template, part, words)
                except _failures() as error:
                    problem = Problem(pointer=f"/{part}", code="template", message=_cause(error))
                    found += [problem] if problem not in found else []
    return found


# --- laying out -------------------------------------------------------------------------------------------------------


def _composed(
    environment: "ImmutableSandboxedEnvironment",
    template: Template,
    words: Mapping[str, Any],
    own: NoticeTemplate | None = None,
) -> Composed:
    text = _rendered(environment, template, "text", words)
    return Composed(
        subject=one_line(_rendered(environment, template, "subject", words), LONGEST_SUBJECT),
        text=_SPARE_LINES.sub("\n\n", text.strip()) + "\n",
        html=None if own is not None and own.html == "" else _rendered(environment, template, "html", words),
    )


def _rendered(
    environment: "ImmutableSandboxedEnvironment", template: Template, part: str, words: Mapping[str, Any]
) -> str:
    """Raises what the template raises, and ValueError where it makes too much."""
    pieces: list[str] = []
    size = 0
    for piece in environment.get_template(f"{template}.{PARTS[part]}").generate(words):
        size += len(piece)
        if size > LONGEST_OUTPUT:
            raise ValueError(f"makes more than {LONGEST_OUTPUT} characters of one mail")
        pieces.append(piece)
    return "".join(pieces)


@lru_cache(maxsize=1)
def _environment() -> "ImmutableSandboxedEnvironment":
    # 40 ms to import: only a worker that sends mails pays for it.
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    # No template may call anything; and what they could call is copied for each part of each letter.
    environment.globals.clear()
    return environment


def _environment_with(own: NoticeTemplate, template: Template) -> "ImmutableSandboxedEnvironment":
    """The same with the shop's own texts in the places of the files."""
    from jinja2 import ChoiceLoader, DictLoader, FileSystemLoader

    texts = {f"{template}.{end}": text for part, end in PARTS.items() if (text := getattr(own, part))}
    return _environment().overlay(loader=ChoiceLoader([DictLoader(texts), FileSystemLoader(TEMPLATES)]))


# --- reading a merchant's template ------------------------------------------------------------------------------------


def _refused(source: str, words: Collection[str], names: Collection[str]) -> list[str]:
    """What of the template is not taken, in sentences, each once."""
    try:
        tree = _environment().parse(source)
        return list(dict.fromkeys(_Reader(tree, words, names).read(tree)))
    except _failures() as error:
        return [_cause(error)]


class _Reader:
    """Reads one template for what is not taken."""

    def __init__(self, tree: "nodes.Template", words: Collection[str], names: Collection[str]) -> None:
        from jinja2 import nodes

        self._words = words
        own = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "store"}
        self._names = {*names, *own, "loop", "super"}
        self._loops = 0

    def read(self, node: "nodes.Node", loops: int = 0, depth: int = 0) -> Iterator[str]:
        kind = type(node).__name__
        if depth > DEEPEST:
            yield f"line {node.lineno}: there is too much inside each other here"
            return
        if kind == "For":
            loops, self._loops = loops + 1, self._loops + 1
            if loops > MOST_LOOPS_INSIDE or self._loops > MOST_LOOPS:
                yield (
                    f"line {node.lineno}: {MOST_LOOPS} loops are allowed, {MOST_LOOPS_INSIDE} of them inside each other"
                )
                return
        if said := self._wrong(node, kind):
            yield f"line {node.lineno}: {said}"
        if kind != "Call":
            for child in node.iter_child_nodes():
                yield from self.read(child, loops, depth + 1)

    def _wrong(self, node: Any, kind: str) -> str | None:
        allowed: Collection[str]
        match kind:
            case "Name" if node.ctx == "load" and node.name not in self._names:
                return f"there is no {node.name}; there are {', '.join(sorted(self._names - {'super'}))}"
            case "Getattr" | "Getitem":
                return self._wrong_part(node, kind)
            case "Filter" | "Test":
                allowed = FILTERS if kind == "Filter" else TESTS
                if node.name not in allowed:
                    return f"the {kind.lower()} {node.name} is not allowed; allowed are {', '.join(sorted(allowed))}"
                if node.kwargs or node.dyn_args or any(type(one).__name__ != "Const" for one in node.args):
                    return f"the {kind.lower()} {node.name} takes only fixed words and numbers"
            case "Extends" | "Include":
                if getattr(node.template, "value", None) not in PARENTS:
                    return f"only {', '.join(sorted(PARENTS))} can be used"
            case "For" if node.recursive:
                return "a loop that calls itself is not allowed"
            case "Call" if getattr(node.node, "name", "") == "super" and not (node.args or node.kwargs):
                return None
            case "Tuple" if node.ctx == "store":
                return None
            case _ if kind not in _NODES:
                return f"{_CALLED.get(kind, f'this ({kind})')} is not allowed"
        return None

    def _wrong_part(self, node: Any, kind: str) -> str | None:
        part = node.attr if kind == "Getattr" else getattr(node.arg, "value", None)
        if not isinstance(part, str | int) or str(part).startswith("_"):
            return "only parts that are named outright can be shown"
        if getattr(node.node, "name", None) == "words" and part not in self._words:
            return f"there is no words.{part}; there are {', '.join(f'words.{word}' for word in sorted(self._words))}"
        return None


def _failures() -> tuple[type[Exception], ...]:
    """Whatever a template that somebody wrote may come to."""
    from jinja2 import TemplateError

    template = (TemplateError, RecursionError, SyntaxError)
    return (*template, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


def _cause(error: Exception) -> str:
    """``line 3: ...``, where the line is known."""
    line = getattr(error, "lineno", None)
    if line is None:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == "<template>"), None)
    if missing := _MISSING.search(str(error)):
        said = f"words.{missing[1]} is not in every mail; ask first: {{% if words.{missing[1]} is defined %}}"
    elif isinstance(error, RecursionError):
        said = "there is too much inside each other"
    else:
        said = one_line(str(error))
    return f"line {line}: {said}" if line else said
