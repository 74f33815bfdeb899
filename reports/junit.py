"""JUnit XML for CI: a suite per experiment, a case per check, per kind of eviction violation, and for the healing.

FAIL is a failure and INVALID an error; INCONCLUSIVE is skipped or a failure, as the caller decides, and never a passed
case.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from xml.etree import ElementTree as ET

from harness.model.result import Result
from harness.model.verdicts import CheckResult, Verdict
from reports.evictions import named, violation_summary
from reports.story import healed_words, state_words
from reports.words import clean, one_line, plural


class Inconclusive(StrEnum):
    """What an INCONCLUSIVE check becomes."""

    SKIPPED = "skipped"
    FAILURE = "failure"


def junit_xml(result: Result, *, inconclusive: Inconclusive = Inconclusive.SKIPPED) -> str:
    """The document as text, with declaration and a final newline."""
    suite = ET.Element("testsuite", name=one_line(result.experiment))
    _properties(suite, _suite_properties(result))
    for check in result.checks:
        _check(suite, check, inconclusive)
    for kind, rows in violation_summary(result.evictions).items():
        case = _case(suite, f"evictions: {kind}")
        message = f"{plural(len(rows), 'pod')} {kind}: {named(rows)}"
        lines = [f"{row.pod} on {row.node}: {row.reason or row.verdict}" for row in rows]
        _outcome(case, "failure", kind=kind.value, message=message, text="\n".join(lines))
    _healing(suite, result)
    _count(suite, result)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite_properties(result: Result) -> dict[str, str]:
    return {
        "verdict": result.verdict.value,
        "exit_code": str(result.exit_code),
        "reason": result.reason,
        "what_would_decide": result.what_would_decide,
        "run": result.run,
        "state": state_words(result),
        "cluster": result.environment.cluster,
        **{f"version.{name}": value for name, value in result.versions.items()},
    }


def _check(suite: ET.Element, check: CheckResult, inconclusive: Inconclusive) -> None:
    case = _case(suite, check.id)
    numbers = {"n": check.n, "measured": check.measured, "limit": check.limit, "unit": check.unit or None}
    if check.interval:
        numbers |= {"interval_low": check.interval[0], "interval_high": check.interval[1]}
    _properties(case, {name: str(value) for name, value in numbers.items() if value is not None})
    element = {
        Verdict.PASS: "",
        Verdict.FAIL: "failure",
        Verdict.INVALID: "error",
        Verdict.INCONCLUSIVE: inconclusive.value,
    }[check.verdict]
    if element:
        more = f"\nwhat would decide it: {check.what_would_decide}" if check.what_would_decide else ""
        _outcome(case, element, kind=check.verdict.value, message=check.reason, text=check.reason + more)


def _healing(suite: ET.Element, result: Result) -> None:
    """The cluster as it was before: the one thing that must hold whatever the verdict."""
    case = _case(suite, "cluster as before")
    if result.healed is None:
        _outcome(case, "skipped", kind="", message="not recorded", text="")
    elif not result.healed:
        _outcome(case, "failure", kind="HEAL_FAILED", message=healed_words(result), text="\n".join(result.leftovers))


def _case(suite: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(
        suite, "testcase", classname=f"taintlab.{suite.get('name')}", name=one_line(name, 200), time="0"
    )


def _properties(parent: ET.Element, values: Mapping[str, str]) -> None:
    shown = {name: value for name, value in values.items() if value}
    if shown:
        properties = ET.SubElement(parent, "properties")
        for name, value in shown.items():
            ET.SubElement(properties, "property", name=one_line(name, 100), value=one_line(value, 1000))


def _outcome(case: ET.Element, element: str, *, kind: str, message: str, text: str) -> None:
    found = ET.SubElement(case, element, message=one_line(message, 1000))
    if element != "skipped":
        found.set("type", kind)
        found.text = clean(text)


def _count(suite: ET.Element, result: Result) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for attribute, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(element) is not None for case in cases)))
    ends = [phase.end_s for phase in result.phases if phase.end_s is not None]
    if ends:
        suite.set("time", f"{max(ends):.3f}")
    if result.started:
        suite.set("timestamp", one_line(result.started, 40))
