"""Reading result.json: additions are tolerated, absent parts stay absent, and every mistake is named with its place."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from harness.errors import InvalidFile, UsageError
from harness.model.result import RunState
from harness.model.verdicts import PodVerdict, Verdict
from reports.read import parse_result, read_result

MINIMAL: dict[str, Any] = {
    "version": 1,
    "experiment": "e",
    "verdict": "PASS",
    "exit_code": 0,
    "reason": "r",
    "checks": [],
}

ROW: dict[str, Any] = {
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


def parse(**changes: Any) -> Any:
    return parse_result(json.dumps({**MINIMAL, **changes}).encode())


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
    result = parse(news={"a": 1}, checks=[{"id": "c", "verdict": "FAIL", "reason": "r", "n": 1, "later": 1}])
    assert [check.id for check in result.checks] == ["c"]


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        pytest.param("version", 2, "version 2: this taintlab reads version 1", id="newer-version"),
        pytest.param("version", None, "version: expected `int`, got `null`", id="no-version"),
        pytest.param("version", "1", "version: expected `int`, got `str`", id="version-text"),
        pytest.param("verdict", "GOOD", "verdict: invalid enum value 'GOOD'", id="word"),
        pytest.param("verdict", None, "verdict: expected `str`, got `null`", id="no-verdict"),
        pytest.param("experiment", 7, "experiment: expected `str`, got `int`", id="text"),
        pytest.param("exit_code", 1.5, "exit_code: expected `int`, got `float`", id="whole"),
        pytest.param("healed", "yes", "healed: expected `bool | null`, got `str`", id="flag"),
        pytest.param("checks", {}, "checks: expected `array`, got `object`", id="list"),
        pytest.param("checks", [{"id": "c"}], "checks[0]: object missing required field `verdict`", id="check-verdict"),
        pytest.param("evictions", [1], "evictions[0]: expected `object`, got `int`", id="object"),
        pytest.param(
            "evictions",
            [{**ROW, "predicted_s": [2, 1]}],
            "evictions[0].predicted_s: expected [low, high], low not above high",
            id="pair",
        ),
        pytest.param("evictions", [{**ROW, "observed_s": 1e300}], "evictions[0].observed_s: expected", id="no-time"),
        pytest.param(
            "phases", [{"name": "a", "p50_ms": True}], "phases[0].p50_ms: expected `float | null`", id="number"
        ),
        pytest.param("series", {"t_s": [0, 1], "due": [1]}, "series: due has 1 values beside 2 of t_s", id="length"),
        pytest.param("series", {"t_s": "x"}, "series.t_s: expected `array`, got `str`", id="numbers"),
    ],
)
def test_problem_is_named_with_its_place(key: str, value: object, problem: str) -> None:
    with pytest.raises(InvalidFile) as raised:
        parse(**{key: value})
    assert problem in str(raised.value)


def test_not_json_is_told_with_line_and_column() -> None:
    with pytest.raises(InvalidFile) as raised:
        parse_result(b'{\n "version": }', file="r/result.json")
    assert str(raised.value).startswith("r/result.json:2:")


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_is_no_json(token: str) -> None:
    text = json.dumps({**MINIMAL, "phases": [{"name": "fault", "p99_ms": "HERE"}]}).replace('"HERE"', token)
    with pytest.raises(InvalidFile, match="not JSON"):
        parse_result(text.encode())


def test_null_is_no_data() -> None:
    assert parse(phases=[{"name": "fault", "p99_ms": None}]).phases[0].p99_ms is None


@pytest.mark.parametrize("text", ["x" * 10_000, "\x1b[31m\n" * 3_000], ids=["long", "escapes"])
def test_a_problem_is_one_short_line(text: str) -> None:
    with pytest.raises(InvalidFile) as raised:
        parse(verdict=text)
    said = str(raised.value)
    assert len(said) < 500
    assert "\n" not in said
    assert said.isprintable()


def test_secrets_are_taken_out_on_reading() -> None:
    result = parse(reason="see http://user:hunter2@web/", versions={"x": "Bearer 0123456789abcdef"})
    assert "hunter2" not in result.reason
    assert "0123456789abcdef" not in result.versions["x"]


def test_missing_file_says_what_to_type(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match="taintlab check"):
        read_result(tmp_path / "result.json")


def test_a_whole_row_of_evictions() -> None:
    (read,) = parse(evictions=[ROW]).evictions
    assert read.verdict is PodVerdict.LATE
    assert read.predicted_s == (0.0, 1.0)
    assert {name: getattr(read, name) for name in ROW if name not in ("verdict", "predicted_s")} == {
        name: value for name, value in ROW.items() if name not in ("verdict", "predicted_s")
    }


def test_environment_and_signals() -> None:
    signals = {"phase": "fault", "saturation": {"cpu": 0.5, "memory": None}}
    nodes = [{"name": "a", "labels": {"x": "y"}}]
    result = parse(golden_signals=[signals], environment={"cluster": "lab", "nodes": nodes})
    assert result.golden_signals[0].saturation == {"cpu": 0.5, "memory": None}
    assert [(node.name, dict(node.labels)) for node in result.environment.nodes] == [("a", {"x": "y"})]


def test_what_is_written_is_read() -> None:
    result = parse(evictions=[ROW], phases=[{"name": "fault", "outcomes": {"ok": 1}}], series={"t_s": [0], "due": [1]})
    assert parse_result(msgspec.json.encode(result)) == result


@pytest.mark.parametrize("state", list(RunState))
def test_every_state(state: RunState) -> None:
    assert parse(state=state.value).state is state


@pytest.mark.parametrize(
    ("exit_code", "meaning"),
    [(0, ""), (1, ""), (3, ""), (4, "aborted"), (5, "heal failed"), (130, "interrupted"), (77, "")],
)
def test_exit_code_is_explained_where_it_says_more_than_the_verdict(exit_code: int, meaning: str) -> None:
    assert parse(exit_code=exit_code).exit_meaning == meaning
