"""The documents say what is so: pages made from the code are current, links lead somewhere, files named are there."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = (".github", "bin", "conf", "deploy", "docs", "proxy", "scripts", "state", "tests")
FILES = sorted(
    [path for path in ROOT.glob("*") if path.is_file()]
    + [path for name in OURS for path in (ROOT / name).rglob("*") if path.is_file()]
)
PAGES = [path for path in FILES if path.suffix == ".md"]

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FILE = re.compile(r"`(?:\.\./)*([\w./-]+\.(?:py|pyx|pxd|lua|sh|c|md|yaml|cfg|toml|lock))`")
FIRST_SCREEN = 30


def test_there_are_pages() -> None:
    assert {"README.md", "ARCHITECTURE.md", "deploy/README.md"} <= {str(page.relative_to(ROOT)) for page in PAGES}


def test_the_first_screen_has_the_two_commands_and_what_one_will_see() -> None:
    screen = (ROOT / "README.md").read_text().splitlines()[:FIRST_SCREEN]
    for line in ("make demo", "make test", "200 200 503", "[the guide]"):
        assert any(line in each for each in screen), line


def test_the_settings_page_is_current() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "settings_page.py"))["page"]()
    written = (ROOT / "docs" / "settings.md").read_text()
    assert written == page, "run: python scripts/settings_page.py > docs/settings.md"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in _LINK.findall(path.read_text()):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        page = path.parent / file if file else path
        assert page.exists(), f"{path.name} links to {target}"
        if anchor:
            assert anchor in anchors(page), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_are_there(path: Path) -> None:
    """By their whole path, or by its end: `wire/stream.pyx` is proxy/wire/stream.pyx."""
    known = {f"/{file.relative_to(ROOT)}" for file in FILES}
    named = set(_FILE.findall(path.read_text()))
    assert {name for name in named if not any(file.endswith(f"/{name}") for file in known)} == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_N13_every_row_of_a_table_has_the_columns_of_its_head(path: Path) -> None:
    torn = [(len(row), row) for rows in tables(path) for row in rows if len(row) != len(rows[0])]
    assert torn == []


def tables(page: Path) -> list[list[list[str]]]:
    """The tables of a page as rows of cells; a bar in code or behind a backslash is text."""
    found: list[list[list[str]]] = [[]]
    for line in page.read_text().splitlines():
        if line.startswith("|"):
            bare = re.sub(r"`[^`]*`", "code", line.replace("\\|", "/"))
            found[-1].append(bare.strip().strip("|").split("|"))
        elif found[-1]:
            found.append([])
    return found[:-1] if not found[-1] else found


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links to them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
