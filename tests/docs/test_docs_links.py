"""Links of the pages lead somewhere, and nothing in them leads to where the project was made."""

import re

import pytest
from pages import PAGES, ROOT, without_fences

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.M)


def anchor(heading: str) -> str:
    """The name under which a heading can be linked to."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "")).strip().lower().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page) -> None:  # type: ignore[no-untyped-def]
    for target in LINK.findall(without_fences(page)):
        if target.startswith(("https://", "http://")):
            continue
        file, _, name = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), f"{target} is not there"
        assert found.is_relative_to(ROOT), f"{target} is outside the project"
        if name:
            assert name in {anchor(heading) for heading in HEADING.findall(found.read_text(encoding="utf-8"))}, target


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        if page.name != "README.md":
            assert f"({page.name})" in index, f"{page.name} is not in docs/README.md"
