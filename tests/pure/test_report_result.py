"""Reading result.json: additions are tolerated, absent parts stay absent, and every mistake is named with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.errors import InvalidFile, UsageError
from harness.model.verdicts import PodVerdict, Verdict
from reports.read import parse_result, read_result
from reports.result import RunState

MINIMAL: dict[str, Any] = {
    "version": 1,
    "experiment": "e",
    "verdict": "PASS",
    "exit_code": 0,
    "reason": "r",
    "checks": [],
}


def parse(**changes: Any) -> Any:
    return parse_result(json.dumps({**MINIMAL, **changes}))


def test_absent_parts_are_absent_and_not_zero() -> None:
    result = parse()
    assert result.verdict is Verdict.PASS
    assert result.healed is None
    assert result.state is None
    assert result.series is None
    assert result.fault is None
    assert result.origin_s is None
    assert result.phase("fault") is None
    assert (result.evictions, result.phases, result.gates, result.events) == ((), (), (), ())


def test_unknown_keys_are_nobodys_business() -> None:
    result = parse(news={"a": 1}, checks=[{"id": "c", "verdict": "FAIL", "later": 1}])
    assert [check.id for check in result.checks] == ["c"]


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        pytest.param("version", 2, "version 2: this taintlab reads version 1", id="newer-version"),
        pytest.param("version", None, "version: expected a whole number, got nothing", id="no-version"),
        pytest.param("verdict", "GOOD", "verdict: 'GOOD' is none of PASS, FAIL, INCONCLUSIVE, INVALID", id="word"),
        pytest.param("verdict", None, "verdict: expected one of PASS, FAIL", id="no-verdict"),
        pytest.param("experiment", 7, "experiment: expected text, got a number", id="text"),
        pytest.param("exit_code", 1.5, "exit_code: expected a whole number, got 1.5", id="whole"),
        pytest.param("healed", "yes", "healed: expected true or false, got text", id="flag"),
        pytest.param("checks", {}, "checks: expected a list, got an object", id="list"),
        pytest.param("checks", [{"id": "c"}], "checks[0].verdict: expected one of PASS, FAIL", id="check-verdict"),
        pytest.param("evictions", [1], "evictions[0]: expected an object, got a number", id="object"),
        pytest.param(
            "evictions",
            [{"pod": "p", "verdict": "on time", "predicted_s": [2, 1]}],
            "evictions[0].predicted_s: expected [low, high], low not above high",
            id="pair",
        ),
        pytest.param("phases", [{"name": "a", "p50_ms": True}], "phases[0].p50_ms: expected a number", id="number"),
        pytest.param("series", {"t_s": [0, 1], "due": [1]}, "series.due: has 1 values beside 2", id="length"),
        pytest.param("series", {"t_s": "x"}, "series.t_s: expected a list of numbers and nulls", id="numbers"),
    ],
)
def test_problem_is_named_with_its_place(key: str, value: object, problem: str) -> None:
    with pytest.raises(InvalidFile) as raised:
        parse(**{key: value})
    assert problem in str(raised.value)


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(InvalidFile) as raised:
        parse(verdict="GOOD", healed=1, evictions=[{"verdict": "on time"}])
    assert len(raised.value.problems) == 3


def test_not_json_is_told_with_line_and_column() -> None:
    with pytest.raises(InvalidFile) as raised:
        parse_result('{\n "version": }', file="r/result.json")
    assert str(raised.value).startswith("r/result.json:2:")


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "null"])
def test_no_number_is_no_data(token: str) -> None:
    text = json.dumps({**MINIMAL, "phases": [{"name": "fault", "p99_ms": "HERE"}]}).replace('"HERE"', token)
    assert parse_result(text).phases[0].p99_ms is None


def test_missing_file_says_what_to_type(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match="taintlab check"):
        read_result(tmp_path / "result.json")


def test_a_whole_row_of_evictions() -> None:
    row = {
        "pod": "default/web-1",
        "uid": "u",
        "node": "n",
        "verdict": "late",
        "rule": "no-toleration",
        "predicted_s": [0.0, 1.0],
        "observed_s": 4.0,
        "gone_s": 5.0,
        "replacement": "default/web-2",
        "replacement_scheduled_s": 4.1,
        "replacement_ready_s": 6.0,
        "workload": "ReplicaSet/web",
        "tolerations": "no toleration",
        "reason": "late",
    }
    (read,) = parse(evictions=[row]).evictions
    assert read.verdict is PodVerdict.LATE
    assert read.predicted_s == (0.0, 1.0)
    assert {name: getattr(read, name) for name in row if name not in ("verdict", "predicted_s")} == {
        name: value for name, value in row.items() if name not in ("verdict", "predicted_s")
    }


@pytest.mark.parametrize(
    ("saturation", "read"),
    [({"cpu": 0.5, "memory": None}, {"cpu": 0.5, "memory": None}), (0.25, {"": 0.25}), (None, {"": None}), ({}, {})],
)
def test_saturation_of_golden_signals(saturation: object, read: dict[str, float | None]) -> None:
    result = parse(golden_signals=[{"phase": "fault", "saturation": saturation}])
    assert result.golden_signals[0].saturation == read


@pytest.mark.parametrize(
    ("nodes", "names"), [(["a", "b"], ["a", "b"]), ([{"name": "a", "labels": {"x": "y"}}], ["a"]), ([], []), (None, [])]
)
def test_nodes_are_objects_or_bare_names(nodes: object, names: list[str]) -> None:
    assert [node.name for node in parse(environment={"cluster": "lab", "nodes": nodes}).environment.nodes] == names


@pytest.mark.parametrize("state", list(RunState))
def test_every_state(state: RunState) -> None:
    assert parse(state=state.value).state is state


@pytest.mark.parametrize(
    ("exit_code", "meaning"),
    [(0, ""), (1, ""), (3, ""), (4, "aborted"), (5, "heal failed"), (130, "interrupted"), (77, "")],
)
def test_exit_code_is_explained_where_it_says_more_than_the_verdict(exit_code: int, meaning: str) -> None:
    assert parse(exit_code=exit_code).exit_meaning == meaning
