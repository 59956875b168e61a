"""The pages lead to each other: on GitHub as they are, and in the site's navigation."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
PROGRAMS = {"airflow", "curl", "docker", "export", "image-retrieval", "make", "printf", "set"}
STARTS = re.compile(r"[A-Z_]+=|\.venv/bin/|[(#\"]")  # the last: within a quoted value
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub and the site give the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for path, anchor in LINK.findall(page.read_text()):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def test_every_page_is_in_the_navigation():
    named = set(re.findall(r"^ +- .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert {page.name for page in PAGES if page.parent.name == "docs"} <= named
    assert {"changelog.md", "contributing.md", "security.md"} <= named


def test_every_table_is_described():
    schema = (ROOT / "include" / "image_retrieval" / "store" / "schema" / "tables.sql").read_text()
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "sql.md").read_text(), re.MULTILINE)
    described = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(re.findall(r"^CREATE TABLE retrieval\.(\w+)", schema, re.MULTILINE)) <= described


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_line_of_a_shell_block_is_one_command(page):
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\\\n", "", block).splitlines():
            first, *others = line.partition(" #")[0].split() or ["#"]
            assert first in PROGRAMS or STARTS.match(first), line
            assert ".venv/bin/image-retrieval" not in others, line
            assert " export" not in line.partition(" #")[2], line
