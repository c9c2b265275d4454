"""The site has every page, every public name and no broken link. `make docs` builds it; this needs no mkdocs."""

import re
from pathlib import Path

import pytest
import yaml

import whet

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, whose `!!python/name:` tags name functions."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda loader, suffix, node: suffix)
SITE = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader=_Loader)
PAGES = sorted(path for path in DOCS.rglob("*.md"))


def pages_of(entry) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in pages_of(part)]


def test_the_navigation_has_every_page_but_cards_and_decisions():
    pages = {path.relative_to(DOCS).as_posix() for path in PAGES}
    listed = pages_of(SITE["nav"])
    assert len(listed) == len(set(listed))
    assert {page for page in pages if page.split("/")[0] not in ("methods", "decisions")} | {
        "methods/README.md"
    } == set(listed)


def test_the_reference_has_every_public_name():
    shown = re.findall(r"^::: (\S+)$", (DOCS / "reference.md").read_text(encoding="utf-8"), re.MULTILINE)
    for name in shown:
        module, _, member = name.rpartition(".")
        assert getattr(whet, member).__module__ == module, f"{name} is defined elsewhere"
    assert {name.rpartition(".")[2] for name in shown} == set(whet.__all__) - {"__version__"}


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "README.zh.md", ROOT / "CONTRIBUTING.md", *PAGES],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_the_links_of_a_page_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(\s*([^)\s]+)\s*\)", text):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        found = page.parent / path if path else page
        if not found.exists() or (anchor and found.suffix == ".md" and anchor not in anchors(found)):
            broken.append(target)
    assert not broken


def anchors(page: Path) -> set[str]:
    """The anchors of the headings, as GitHub and mkdocs form them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}
