"""The catalogue of rules, its page, and the verb that prints it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import ExitCode
from harness.semantics.rules import CATALOGUE, RuleId, closest, markdown

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "rules.md"


def test_every_id_has_a_rule() -> None:
    assert list(CATALOGUE) == list(RuleId)


@pytest.mark.parametrize("rule", CATALOGUE.values(), ids=list(CATALOGUE))
def test_a_rule_is_complete(rule: object) -> None:
    found = CATALOGUE[RuleId(str(getattr(rule, "id", "")))]
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", found.id)
    assert found.sentence.endswith(".")
    assert found.source
    assert all(re.fullmatch(r"(1\.\d+)?", version) for version in (found.since, found.until))


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == markdown(), "python -m harness.cli explain --markdown > docs/reference/rules.md"


def test_explain_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == ExitCode.PASS
    assert len(capsys.readouterr().out.splitlines()) == len(CATALOGUE)


def test_explain_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "timer-kept"]) == ExitCode.PASS
    out = capsys.readouterr().out
    assert "never shortened or lengthened" in out
    assert "taint_eviction.go" in out


def test_explain_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--json"]) == ExitCode.PASS
    assert [rule["id"] for rule in json.loads(capsys.readouterr().out)] == list(RuleId)
    assert main(["explain", "comparison-operators", "--json"]) == ExitCode.PASS
    assert json.loads(capsys.readouterr().out)["since"] == "1.35"


def test_explain_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "timer-keep"]) == ExitCode.USAGE
    assert "timer-kept" in capsys.readouterr().err


def test_closest_of_nothing_alike_is_everything() -> None:
    assert closest("qqqqqq") == tuple(CATALOGUE)
