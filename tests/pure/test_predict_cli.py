"""``taintlab predict``: the documented JSON, several scripts, settings, and errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import ExitCode

SCRIPT = """\
version: 1
nodes: [{name: a, labels: {}, taints: []}]
pods:
- {name: now, node: a, tolerations: []}
- {name: later, node: a, tolerations: [{key: k, operator: Exists, effect: NoExecute, tolerationSeconds: 2}]}
- {name: never, node: a, tolerations: [{key: k, operator: Exists, effect: NoExecute}]}
- {name: gone, node: a, tolerations: [{key: k, operator: Exists, effect: NoExecute}]}
writes:
- {at: 0.0, taints: {node: a, set: [{key: k, effect: NoExecute}]}}
- {at: 1.0, tolerations: {pod: never, set: []}}
- {at: 1.0, delete: {pod: gone}}
- {at: 1.0, create: {name: invalid, node: a, tolerations: [{key: k, effect: NoSchedule, tolerationSeconds: 1}]}}
until: 9.0
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.yaml"
    path.write_text(SCRIPT)
    return path


def test_a_single_script_is_the_documented_object(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(script), "--json"]) == ExitCode.PASS
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"version", "pods", "refused"}
    assert (found["version"], found["refused"]) == (1, [1, 3])
    assert {name: pod["outcome"] for name, pod in found["pods"].items()} == {
        "now": "evicted",
        "later": "evicted",
        "never": "survives",
        "gone": "deleted",
        "invalid": "never-created",
    }
    assert {name: pod["rule"] for name, pod in found["pods"].items()} == {
        "now": "no-toleration",
        "later": "finite-toleration",
        "never": "unlimited-toleration",
        "gone": "deleted-by-others",
        "invalid": "invalid-toleration",
    }
    assert found["pods"]["later"]["at"] == [2.0, pytest.approx(2.259)]
    assert all(("at" in pod) == (pod["outcome"] == "evicted") for pod in found["pods"].values())


def test_people_get_a_table(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(script)]) == ExitCode.PASS
    out = capsys.readouterr().out
    assert "k:NoExecute on a is tolerated for 2 s by k:NoExecute op=Exists for 2s" in out
    assert "write 1 is refused: tolerations-only-grow" in out


def test_a_folder_gives_one_object_a_line(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (script.parent / "another.json").write_text(
        json.dumps({"version": 1, "nodes": [], "pods": [], "writes": [], "until": 1})
    )
    assert main(["predict", str(script.parent), "--json"]) == ExitCode.PASS
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["script"]).name for line in lines] == ["another.json", "script.yaml"]


def test_several_tables_are_named(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(script), str(script)]) == ExitCode.PASS
    assert capsys.readouterr().out.count(str(script)) == 2


def test_every_problem_of_every_script(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = script.parent / "broken.yaml"
    broken.write_text("version: 3\nuntil: x\n")
    assert main(["predict", str(script), str(broken), str(broken.parent / "absent"), "--json"]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert f"{broken}:1:10: version: the number 3 is not known" in err
    assert f"{broken}:2:8:" in err
    assert "absent:1:1: no such file" in err


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(tmp_path)]) == ExitCode.USAGE
    assert "no .yaml, .yml or .json file in it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--kubernetes", "1.20"], "Kubernetes 1.20: not modelled (known: 1.34, 1.35, 1.36, 1.37)"),
        (["--feature-gate", "Nonsense"], "known gates: TaintTolerationComparisonOperators"),
        (["--kube-api-qps", "0"], "--kube-api-qps must be above 0"),
    ],
)
def test_settings_that_cannot_be(
    script: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["predict", str(script), *options]) == ExitCode.USAGE
    assert said in capsys.readouterr().err


COMPARING = """\
version: 1
nodes: [{name: a}]
pods: []
writes:
- {at: 0.0, create: {name: p, node: a, tolerations: [{key: k, operator: Gt, value: "5", effect: NoExecute}]}}
- {at: 1.0, taints: {node: a, set: [{key: k, value: "7", effect: NoExecute}]}}
until: 9.0
"""


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ([], "never-created"),
        (["--feature-gate", "TaintTolerationComparisonOperators"], "survives"),
        (["--feature-gate", "TaintTolerationComparisonOperators", "--kubernetes", "v1.37.2"], "survives"),
        (["--feature-gate", "TaintTolerationComparisonOperators", "--kubernetes", "1.34"], "never-created"),
    ],
)
def test_gates_and_versions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], outcome: str
) -> None:
    path = tmp_path / "gt.yaml"
    path.write_text(COMPARING)
    assert main(["predict", str(path), "--json", *options]) == ExitCode.PASS
    assert json.loads(capsys.readouterr().out)["pods"]["p"]["outcome"] == outcome


def test_the_throttle_is_a_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pods = [{"name": f"p{number}", "node": "a"} for number in range(100)]
    writes = [{"at": 0, "taints": {"node": "a", "set": [{"key": "k", "effect": "NoExecute"}]}}]
    path = tmp_path / "hundred.json"
    path.write_text(json.dumps({"version": 1, "nodes": [{"name": "a"}], "pods": pods, "writes": writes, "until": 60}))
    latest = []
    for options in ([], ["--kube-api-qps", "40", "--kube-api-burst", "60"]):
        assert main(["predict", str(path), "--json", *options]) == ExitCode.PASS
        latest.append(json.loads(capsys.readouterr().out)["pods"]["p0"]["at"][1])
    assert latest == [pytest.approx(13.75), pytest.approx(6.25)]
