"""What must hold for every page, whatever the run: offline, escaped, complete without a script, small, and true to the
contract.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from harness.errors import InvalidFile, UsageError
from harness.formats.written import SCHEMAS, schema_text, table
from reports.junit import Inconclusive, junit_xml
from reports.markdown import MAX_BYTES, escaped, markdown
from reports.read import parse_result
from reports.render import render
from tests.golden.reports.builders import base, check, write
from tests.golden.reports.cases import CASES, HOSTILE

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "reports/assets/result.schema.json").read_text(encoding="utf-8"))
REFERENCE = (ROOT / "docs/reference/result.md").read_text(encoding="utf-8")


class _Page(HTMLParser):
    """Elements with their attributes, and the raw text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.raw: list[tuple[str, dict[str, str], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        if tag in ("script", "style"):
            self.raw.append((tag, found, ""))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem:
            tag, found, text = self.raw[-1]
            self.raw[-1] = (tag, found, text + data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [found for name, found in self.elements if name == tag]


@pytest.fixture(params=list(CASES), scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered run folder of each case."""
    made = CASES[request.param](tmp_path_factory.mktemp("scratch"))
    path = write(made, tmp_path_factory.mktemp("runs") / request.param)
    render(path)
    return path


def _page(folder: Path) -> _Page:
    return _Page((folder / "report.html").read_text(encoding="utf-8"))


def test_nothing_is_fetched(folder: Path) -> None:
    page = _page(folder)
    assert not {"img", "iframe", "object", "embed", "audio", "video", "form", "base"} & {
        tag for tag, _ in page.elements
    }
    assert not [found for found in page.all("script") if "src" in found]
    assert [found["href"] for found in page.all("link")] == ["data:,"]
    assert all(found["href"].startswith("./") for found in page.all("a"))
    for tag, found in page.elements:
        named = {"src", "srcset", "xlink:href", "action", "formaction", "poster", "background", "ping"} & set(found)
        assert not named, f"{tag} has {named}"
    for tag, _, text in page.raw:
        assert "url(" not in text
        assert "@import" not in text
        assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\s*\(", text), tag


def test_the_only_addresses_are_names_of_namespaces_and_what_the_run_itself_says(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    said = (folder / "result.json").read_text(encoding="utf-8") + (folder / "spec.yaml").read_text(encoding="utf-8")
    for address in set(re.findall(r"https?://[^\s\"'<>&)]+", text)):
        assert address == "http://www.w3.org/2000/svg" or address.rstrip(".,:;…") in said


def test_the_content_policy_allows_exactly_what_is_inlined(folder: Path) -> None:
    page = _page(folder)
    policy = next(found["content"] for found in page.all("meta") if "http-equiv" in found)
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    inlined = [(tag, text) for tag, found, text in page.raw if found.get("type") != "application/json"]
    assert [tag for tag, _ in inlined] == ["style", "script"]
    for tag, text in inlined:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_nothing_is_styled_or_run_by_an_attribute(folder: Path) -> None:
    for tag, found in _page(folder).elements:
        assert "style" not in found, tag
        assert not [name for name in found if name.startswith("on")], tag


def test_the_page_stays_small(folder: Path) -> None:
    assert (folder / "report.html").stat().st_size < 400_000
    assert (folder / "report.md").stat().st_size < MAX_BYTES


def test_a_missing_value_is_never_shown_as_a_python_word(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    body = re.sub(r"<(script|style).*?</\1>", "", text, flags=re.S)
    assert not re.search(r">\s*(None|nan|inf|True|False|\[\]|\{\})\s*<", body)


def test_ids_are_unique(folder: Path) -> None:
    ids = [found["id"] for _, found in _page(folder).elements if "id" in found]
    assert len(ids) == len(set(ids))


def test_the_result_fits_the_schema(folder: Path) -> None:
    jsonschema.validate(json.loads((folder / "result.json").read_text(encoding="utf-8")), SCHEMA)


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    folder = write(CASES["hostile-strings"](tmp_path / "scratch"), tmp_path / "run")
    render(folder)
    page = _page(folder)
    assert page.count("script") == 2
    assert page.count("img") == 0
    island = next(text for tag, found, text in page.raw if found.get("type") == "application/json")
    assert "<" not in island
    assert json.loads(island)["series"]["sat0"]["unit"].startswith("</script>")
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "{{7*7}}" in text
    summary = (folder / "report.md").read_text(encoding="utf-8")
    assert "<img" not in summary
    assert "<script" not in summary
    ET.fromstring((folder / "junit.xml").read_text(encoding="utf-8"))  # noqa: S314 (our own file)


def test_gaps_are_drawn_as_gaps(tmp_path: Path) -> None:
    folder = write(CASES["fail-late-and-survived"](tmp_path / "scratch"), tmp_path / "run")
    render(folder)
    drawn = {
        found["class"]: found["d"]
        for tag, found in _page(folder).elements
        if tag == "path" and "line" in found.get("class", "")
    }
    assert drawn["line s-done"].count("M") == 1
    assert drawn["line s-p99"].count("M") == 2
    assert drawn["line s-sat0"].count("M") == 2


def test_failures_none_and_failures_unknown_do_not_look_alike(tmp_path: Path) -> None:
    names = ("pass-six-pods", "invalid-no-load")
    pages = []
    for name in names:
        folder = write(CASES[name](tmp_path / f"{name}-scratch"), tmp_path / name)
        pages.append(render(folder).read_text(encoding="utf-8"))
    assert 'class="line s-zero"' in pages[0]
    assert 'class="line s-zero"' not in pages[1]
    assert "<b>No data:</b> the load process ended without its summary: killed by SIGKILL" in pages[1]


def test_rendering_again_gives_the_same_bytes_and_leaves_nothing_beside_them(tmp_path: Path) -> None:
    folder = write(CASES["pass-six-pods"](tmp_path / "scratch"), tmp_path / "run")
    before = {entry.name for entry in folder.iterdir()}
    first = render(folder).read_bytes()
    assert render(folder).read_bytes() == first
    assert {entry.name for entry in folder.iterdir()} - before == {"report.html", "report.md", "junit.xml"}


def test_secrets_of_the_spec_are_not_on_the_page(tmp_path: Path) -> None:
    folder = write(CASES["pass-six-pods"](tmp_path / "scratch"), tmp_path / "run")
    text = render(folder).read_text(encoding="utf-8")
    assert "0123456789abcdef" not in text
    assert "sha256:631a2e6ba04b" in text


@pytest.mark.parametrize("damage", ["spec.yaml", "experiment.json", "plan.json", "history.jsonl"])
@pytest.mark.parametrize("how", ["missing", "broken"])
def test_a_damaged_folder_is_rendered_and_the_damage_named(tmp_path: Path, damage: str, how: str) -> None:
    folder = write(CASES["pass-six-pods"](tmp_path / "scratch"), tmp_path / "run")
    if how == "missing":
        (folder / damage).unlink()
    else:
        (folder / damage).write_text("{broken\n", encoding="utf-8")
    text = render(folder).read_text(encoding="utf-8")
    assert damage in re.sub(r"<p class=\"files\">.*?</p>", "", text, flags=re.S)


def test_no_result_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="taintlab check"):
        render(tmp_path)


def test_no_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        render(tmp_path / "nowhere")


def test_a_broken_result_leaves_the_old_page_alone(tmp_path: Path) -> None:
    folder = write(CASES["pass-six-pods"](tmp_path / "scratch"), tmp_path / "run")
    page = render(folder)
    old = page.read_bytes()
    (folder / "result.json").write_text('{"version": 1}', encoding="utf-8")
    with pytest.raises(InvalidFile):
        render(folder)
    assert page.read_bytes() == old


@pytest.mark.parametrize(
    ("verdict", "option", "element"),
    [
        ("PASS", Inconclusive.SKIPPED, None),
        ("FAIL", Inconclusive.SKIPPED, "failure"),
        ("INVALID", Inconclusive.SKIPPED, "error"),
        ("INCONCLUSIVE", Inconclusive.SKIPPED, "skipped"),
        ("INCONCLUSIVE", Inconclusive.FAILURE, "failure"),
    ],
)
def test_junit_of_each_verdict(verdict: str, option: Inconclusive, element: str | None) -> None:
    one = check("c", verdict, "because", 3, measured=0.5, limit=0.25, unit="ratio", interval=[0.1, 0.9])
    result = parse_result(json.dumps(base(verdict=verdict, exit_code=0, reason="r", checks=[one])).encode())
    suite = ET.fromstring(junit_xml(result, inconclusive=option)).find("testsuite")  # noqa: S314 (our own text)
    assert suite is not None
    case = suite.find("testcase[@name='c']")
    assert case is not None
    found = [child.tag for child in case if child.tag != "properties"]
    assert found == ([element] if element else [])
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    plural = {"failure": "failures", "error": "errors", "skipped": "skipped"}
    expected = {"tests": "2", "failures": "0", "errors": "0", "skipped": "0"} | (
        {plural[element]: "1"} if element else {}
    )
    assert counts == expected
    properties = {found.get("name"): found.get("value") for found in case.iter("property")}
    assert properties == {
        "n": "3",
        "measured": "0.5",
        "limit": "0.25",
        "unit": "ratio",
        "interval_low": "0.1",
        "interval_high": "0.9",
    }


@pytest.mark.parametrize(
    ("healed", "element"),
    [(True, None), (False, "failure"), (None, "skipped")],
    ids=["healed", "not-healed", "unknown"],
)
def test_junit_tells_whether_the_cluster_is_as_before(healed: bool | None, element: str | None) -> None:
    result = parse_result(
        json.dumps(
            base(verdict="PASS", exit_code=0, reason="r", checks=[], healed=healed, leftovers=["taint"])
        ).encode()
    )
    case = ET.fromstring(junit_xml(result)).find(".//testcase[@name='cluster as before']")  # noqa: S314 (our own text)
    assert case is not None
    assert [child.tag for child in case] == ([element] if element else [])


def test_the_summary_is_cut_after_a_whole_line_and_says_so() -> None:
    gates = [{"id": f"gate-{n}", "ok": False, "measured": "é" * 200, "limit": "x" * 190} for n in range(400)]
    result = parse_result(json.dumps(base(verdict="INVALID", exit_code=3, reason="r", checks=[], gates=gates)).encode())
    text = markdown(result)
    assert len(text.encode()) <= MAX_BYTES
    assert text.endswith("*Cut to fit a step summary; the page has all of it.*\n")
    assert all(line.endswith("|") for line in text.splitlines() if line.startswith("|"))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a|b", r"a\|b"),
        ("@team <b> & [x](y)", r"&#64;team &#60;b&#62; &#38; \[x\](y)"),
        ("`x` *y* _z_", r"\`x\` \*y\* \_z\_"),
        ("a\nb", "a b"),
    ],
)
def test_markdown_is_literal(given: str, shown: str) -> None:
    assert escaped(given) == shown


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_file_is_what_the_types_say() -> None:
    for file in SCHEMAS:
        if "TAINTLAB_WRITE_GOLDEN" in os.environ:
            (ROOT / file).write_text(schema_text(file), encoding="utf-8")
        assert (ROOT / file).read_text(encoding="utf-8") == schema_text(file), f"{file}: see SCHEMAS"


SECTIONS = {
    "The result": "",
    "checks": "CheckResult",
    "evictions": "EvictionRow",
    "phases": "Phase",
    "series": "Series",
    "events": "Event",
    "fault": "FaultWindow",
    "gates": "Gate",
    "golden_signals": "SignalRow",
    "environment": "Environment",
    "ledger": "LedgerLine",
    "series.saturation": "Saturation",
    "environment.nodes": "NodeFact",
}


@pytest.mark.parametrize(("section", "name"), SECTIONS.items(), ids=SECTIONS)
def test_the_reference_has_the_table_of_the_types(section: str, name: str) -> None:
    text = REFERENCE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    head, *rows = text.partition("| key | type | meaning |\n")[2].partition("\n\n")[0].splitlines()
    assert head == "|---|---|---|"
    assert tuple(rows) == table(SCHEMA, name)


def test_every_type_of_the_result_has_its_section() -> None:
    records = {name for name, made in SCHEMA["$defs"].items() if "properties" in made}
    assert records == set(SECTIONS.values()) - {""}


@pytest.mark.parametrize("key", ["verdict", "checks", "exit_code", "reason", "experiment", "version"])
def test_the_schema_asks_for_what_the_format_promises(key: str) -> None:
    result = {"version": 1, "experiment": "e", "verdict": "PASS", "exit_code": 0, "reason": "r", "checks": []}
    del result[key]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(result, SCHEMA)


def test_a_long_run_with_many_pods_stays_small_and_says_what_was_left_out(tmp_path: Path) -> None:
    made = CASES["many-pods"](tmp_path / "scratch")
    result = json.loads(json.dumps(made.result))
    series, hours = result["series"], 96
    length = len(series["t_s"])
    for name, values in series.items():
        series[name] = values * hours if name != "saturation" else values
    series["t_s"] = list(range(length * hours))
    for part in series["saturation"]:
        part["values"] *= hours
    result["evictions"] = [{**row, "uid": f"{copy}-{row['uid']}"} for row in result["evictions"] for copy in range(10)]
    folder = write(replace(made, result=result, rows=None), tmp_path / "run")
    text = render(folder).read_text(encoding="utf-8")
    assert len(text.encode()) < 400_000
    assert "Each point stands for 15 s" in text
    assert "50 of 3,000 pods have a row of their own, violations first." in text
    assert "The 300 worst of 3,000 pods as a table" in text
