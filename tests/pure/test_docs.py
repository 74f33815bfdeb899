"""What the documentation promises about itself: links lead somewhere, and what the code can say is explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.check.registry import CHECKS, VALIDITY_CHECKS
from harness.cli import VERBS
from harness.errors import ExitCode
from harness.model.verdicts import PodVerdict, Verdict

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))
_FENCE = re.compile(r"^```.*?^```", re.M | re.S)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.M)


def prose(page: Path) -> str:
    """The page without code."""
    return _CODE.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))


def links(page: Path) -> list[str]:
    """Relative links of a page, pictures too."""
    found = _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    heads = _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", head.replace("`", "").lower()).replace(" ", "-") for head in heads}


def broken(page: Path) -> list[str]:
    """Relative links that lead to no file, or to no heading of it."""
    out = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            out.append(link)
    return out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b` c\n[a](#a-b-c) [b](#nowhere) [c](gone.md) [d](page.md#a-b-c) [e](https://example.com/x)\n")
    assert broken(page) == ["#nowhere", "gone.md"]


def test_every_page_is_linked() -> None:
    linked = {(page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in links(page)}
    assert [str(page.relative_to(ROOT)) for page in PAGES[2:] if page not in linked] == []


@pytest.mark.parametrize("verb", VERBS)
def test_the_reference_names_the_verb(verb: str) -> None:
    said = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    assert re.search(rf"`(taintlab )?{verb}\b", said)
    assert f"`{verb}`" in (REFERENCE / "exit-codes.md").read_text(encoding="utf-8")


def exit_codes_of(verb: str) -> set[int]:
    """The codes that the reference's table gives a verb, apart from 2 and 130, which every verb has."""
    page = (REFERENCE / "exit-codes.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith("| `") and f"`{verb}`" in line.split("|")[1]]
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[2:-1]]
    return {code for code, cell in enumerate(cells) if cell and code != 2}


@pytest.mark.parametrize("verb", VERBS)
def test_help_and_the_reference_name_the_same_exit_codes(verb: str) -> None:
    assert set(VERBS[verb].exits) - {2, 130} == exit_codes_of(verb)


@pytest.mark.parametrize("code", ExitCode)
def test_the_reference_explains_the_exit_code(code: ExitCode) -> None:
    for page in (REFERENCE / "exit-codes.md", ROOT / "README.md"):
        assert f"\n| {int(code)} | " in page.read_text(encoding="utf-8"), page


@pytest.mark.parametrize("check", [check.id for check in VALIDITY_CHECKS])
def test_the_reference_explains_the_validity_check(check: str) -> None:
    assert f"\n| `{check}` | " in (REFERENCE / "result.md").read_text(encoding="utf-8")
    assert f"\n## `{check}`\n" in (DOCS / "how-to/troubleshoot.md").read_text(encoding="utf-8")


def test_the_page_for_trouble_has_no_other_validity_check() -> None:
    named = re.findall(r"^## `(.+)`$", (DOCS / "how-to/troubleshoot.md").read_text(encoding="utf-8"), re.M)
    assert named == [check.id for check in VALIDITY_CHECKS]


def test_the_glossary_is_in_order_and_says_each_word_once() -> None:
    words = re.findall(r"^\| ([a-z ,]+) \|", (REFERENCE / "glossary.md").read_text(encoding="utf-8"), re.M)[1:]
    assert words == sorted(set(words))
    assert len(words) > 30


@pytest.mark.parametrize("check", [check.id for check in CHECKS])
def test_the_reference_explains_the_check(check: str) -> None:
    assert re.search(rf"\n\| `{check}[`/]", (REFERENCE / "result.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("word", [*Verdict, *PodVerdict])
def test_the_reference_names_the_verdict(word: str) -> None:
    assert f"`{word}`" in (REFERENCE / "result.md").read_text(encoding="utf-8")
