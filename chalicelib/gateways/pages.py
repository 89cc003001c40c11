"""How a customer's page is laid out: one template each around one layout, and one small style sheet. All that people
typed comes in as values and is escaped."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "page_templates"


def laid_out(name: str, words: dict[str, Any]) -> str:
    """The page as HTML. Every word that the template asks for must be there."""
    return _environment().get_template(f"{name}.html").render(words)


@lru_cache(maxsize=2)
def file(name: str) -> str:
    """What stands beside the templates as it is."""
    return (TEMPLATES / name).read_text()


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    # 40 ms to import: only who shows a page pays for it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
