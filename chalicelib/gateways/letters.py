"""How a letter is laid out: a template each as text and as HTML, in jinja's sandbox.

What people typed comes in as values, never as part of a template, and is escaped where it is HTML.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chalicelib.domain.mails import Composed, Letter

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATES = Path(__file__).parent / "templates"
# What is left of the parts of a template that have nothing to say.
_SPARE_LINES = re.compile(r"\n{3,}")


def compose(letter: Letter) -> Composed:
    """The letter as text and as HTML, the same words in both."""
    words = msgspec.to_builtins(letter)
    environment = _environment()
    text = environment.get_template(f"{letter.template}.txt").render(words)
    return Composed(
        text=_SPARE_LINES.sub("\n\n", text.strip()) + "\n",
        html=environment.get_template(f"{letter.template}.html").render(words),
    )


@lru_cache(maxsize=1)
def _environment() -> "ImmutableSandboxedEnvironment":
    # 40 ms to import: only a worker that sends mails pays for it.
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
