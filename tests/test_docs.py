"""The docs say what is there: variables, commands, links. Generated pages: tests/infra/test_generate.py."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def text(name: str) -> str:
    return (ROOT / name).read_text()


def test_every_variable_that_is_read_is_documented_and_no_other() -> None:
    read = set(re.findall(r'environ\.get\("([A-Z_]+)"', text("chalicelib/config.py")))
    told = set(re.findall(r"^\| `([A-Z_]+)`", text("docs/configuration.md"), re.MULTILINE))
    assert read == told


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)", text("README.md")))
    assert named <= targets
    assert {"run", "test"} <= named


def test_every_file_that_the_docs_link_to_exists() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(((?!http)[^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_nothing_in_the_docs_names_a_house_that_is_not_the_products() -> None:
    words = re.compile(r"\b(TODO|FIXME|XXX)\b")
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        assert not words.search(page.read_text()), page.name
