"""The verbs plan and snapshot on files: output, schema, differences, exit codes, and what is said of wrong usage."""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from harness import impact as plan_package
from harness.cli import plan as verb
from harness.cli import snapshot as snapshot_verb
from harness.errors import TaintlabError, UsageError
from harness.impact import EXPECTATIONS, RULES, Replacement, judge
from harness.model.finding import Severity
from harness.semantics.scheduling import PlacementOutcome
from harness.semantics.scheduling.reasons import TAINTS
from reports.plan_text import print_plan
from tests.pure.plan_objects import Json, budget, inventory, node, pod, service, tolerate

SCHEMA = json.loads((Path(plan_package.__path__[0]) / "plan.schema.json").read_text())
OBJECTS = [
    node("s1", labels={"pool": "spot"}),
    node("s2", labels={"pool": "spot"}),
    node("g1", labels={"pool": "general"}),
    pod("web-1", "s1", app="web", owner="ReplicaSet/web"),
    pod("web-2", "s2", app="web", owner="ReplicaSet/web"),
    pod("stay", "s1", owner="ReplicaSet/legacy", tolerations=[tolerate()]),
    pod("soon", "s1", owner="ReplicaSet/batch", tolerations=[tolerate("spot", effect="NoExecute", seconds=30)]),
    pod("pinned", "s2", owner="ReplicaSet/pinned", nodeSelector={"pool": "spot"}),
    pod("bare", "s2"),
    service("web", "web"),
    budget("web", "web", allowed=1, desired=1),
]
TAINT = ("--taint", "spot=true:NoExecute", "--nodes", "pool=spot")


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A plain List, packed."""
    path = tmp_path / "world.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"apiVersion": "v1", "kind": "List", "items": OBJECTS}).encode()))
    return path


def run(*arguments: str | Path) -> int:
    """The verb's exit code; errors for people are raised."""
    import argparse

    parser = argparse.ArgumentParser()
    verb.add_parser(parser.add_subparsers())
    options = parser.parse_args(["plan", *map(str, arguments)])
    return int(options.handler(options))


def planned(capfdbinary: pytest.CaptureFixture[bytes], *arguments: str | Path) -> tuple[int, Json]:
    """Exit code and JSON output."""
    code = run(*arguments, "--json")
    out: Json = json.loads(capfdbinary.readouterr().out)
    return code, out


def test_the_json_is_what_the_schema_says(world: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    code, plan = planned(capfdbinary, *TAINT, "--world", world)
    jsonschema.validate(plan, SCHEMA)
    assert code == plan["exit_code"] == 0
    assert {each["pod"]: each["comes_back"] for each in plan["leaving"]} == {
        "default/web-1": "new",
        "default/web-2": "new",
        "default/soon": "new",
        "default/pinned": "new",
        "default/bare": "none",
    }
    assert [each["blanket"] for each in plan["staying"]] == [True]
    fates = {e["pod"]: (e["replacement"] or {}).get("fate") for e in plan["leaving"]}
    assert fates["default/pinned"] == "pending"
    assert fates["default/web-1"] == "fits"
    reason = next(e["replacement"]["reason"] for e in plan["leaving"] if e["pod"] == "default/pinned")
    assert reason == f"0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 {TAINTS}."
    assert plan["world"]["missing"]["jobs.batch"] == "not in world.json.gz"


@pytest.mark.parametrize(
    ("row", "key", "words"),
    [
        ("PlacementRow", "fate", [fate.value for fate in PlacementOutcome]),
        ("LeavingRow", "comes_back", [back.value for back in Replacement]),
        ("FindingRow", "severity", [severity.name.lower() for severity in Severity]),
    ],
)
def test_the_words_of_the_schema_are_those_of_the_enums(row: str, key: str, words: list[str]) -> None:
    assert SCHEMA["$defs"][row]["properties"][key]["enum"] == words


def test_the_reference_names_every_finding_expectation_fate_and_replacement() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "plan.md").read_text()
    words = [rule.id for rule in RULES if rule.listed] + [rule.demanded_as for rule in RULES if rule.demanded_as]
    words += [each.value for kind in (PlacementOutcome, Replacement) for each in kind]
    assert [word for word in words if f"`{word}`" not in page] == []


@pytest.mark.parametrize(
    ("expect", "code"),
    [
        ("no-outage", 1),
        ("no-pending", 1),
        ("no-budget-breach,no-unmanaged-loss", 1),
        ("no-preemption", 0),
        ("no-job-loss", 0),
        ("no-stuck-volume", 0),
    ],
)
def test_exit_codes_follow_what_is_expected(
    expect: str, code: int, world: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert planned(capfdbinary, *TAINT, "--world", world, "--expect", expect)[0] == code


def test_what_cannot_be_told_is_exit_code_3(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A plain list without Services: an outage can be neither seen nor ruled out."""
    path = tmp_path / "world.json"
    items = [item for item in OBJECTS if item["kind"] in ("Node", "Pod")]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    code, plan = planned(capfdbinary, *TAINT, "--world", path, "--expect", "no-outage")
    assert (code, plan["expect"][0]["holds"]) == (3, None)
    assert "which Services lose all ready endpoints: not in world.json" in plan["unknown"]


@pytest.mark.parametrize(
    ("arguments", "fault", "leaving"),
    [
        (("--cordon", "s1"), "cordon", 0),
        (("--drain", "--nodes", "s1,s2"), "drain", 6),
        (("--lose-node", "s1"), "lose the node", 0),
        (("--condition", "MemoryPressure", "--nodes", "s1"), "condition MemoryPressure=True", 0),
        (("--condition", "Ready=False", "--nodes", "s1"), "condition Ready=False", 2),
    ],
)
def test_other_faults(
    arguments: tuple[str, ...], fault: str, leaving: int, world: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Pods that no taint evicts stay for a while on a lost node: they have no default tolerations here, but the rest of
    the zone is down too once two of three are gone.
    """
    _, plan = planned(capfdbinary, *arguments, "--world", world)
    assert plan["change"]["faults"] == [fault]
    if fault != "lose the node":
        assert plan["summary"]["leaving"] == leaving


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "nothing to do": (("--nodes", "pool=spot"), "say what is to be done"),
    "no nodes named": (("--taint", "a:NoExecute"), "say which nodes are meant"),
    "no such nodes": (("--taint", "a:NoExecute", "--nodes", "pool=none"), "0 nodes match pool=none"),
    "no such name": (("--taint", "a:NoExecute", "--nodes", "s1,s9"), "0 nodes match"),
    "a bad selector": (("--taint", "a:NoExecute", "--nodes", "pool=="), "pool"),
    "a bad taint": (("--taint", "spot", "--nodes", "pool=spot"), '"spot" is no taint (write key=value:Effect'),
    "a bad effect": (("--taint", "spot:Never", "--nodes", "pool=spot"), "no taint"),
    "a bad condition": (("--condition", "Sleepy", "--nodes", "s1"), "Sleepy"),
    "a bad demand": ((*TAINT, "--expect", "no-fun"), "--expect no-fun: not known"),
    "nodes named twice": (("--drain", "s1", "--nodes", "s2"), "named twice"),
    "an experiment and a taint": (("some.yaml", *TAINT), "leave --nodes, --taint and the like out"),
    "an end alone": (("--window", "30", "--nodes", "s1"), "say what is to be done"),
    "an end before the start": ((*TAINT, "--window", "-1"), "--window -1: seconds are needed, 0 or more"),
    "an end that never comes": ((*TAINT, "--window", "inf"), "--window inf: seconds are needed"),
    "a world and a lab": ((*TAINT, "--lab", "x"), "--world is a world already"),
}


@pytest.mark.parametrize(("arguments", "says"), WRONG.values(), ids=WRONG.keys())
def test_wrong_usage_is_one_message(arguments: tuple[str, ...], says: str, world: Path) -> None:
    with pytest.raises(TaintlabError) as caught:
        run(*arguments, "--world", world)
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


def test_text_fits_a_screen_and_says_the_gravest_first(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(*TAINT, "--world", world, "--expect", "no-outage")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 45
    assert lines[0] == "taint spot=true:NoExecute on pool=spot"
    assert any(line.startswith("expect no-outage: BREAKS: Service default/web") for line in lines)
    breaks = [number for number, line in enumerate(lines) if line.startswith("  BREAKS")]
    assert breaks[0] < min(number for number, line in enumerate(lines) if line.startswith("  note"))
    assert "a blanket toleration (1)" in "\n".join(lines)
    assert lines[-1].endswith("nothing was written to the cluster (exit code 1)")


def test_text_on_a_terminal_is_a_table(world: Path) -> None:
    from harness.faults.taint import TaintFault
    from harness.impact import assess, evictions_by
    from harness.model.planned_fault import timed
    from harness.model.taints import Effect, Taint
    from harness.semantics.eviction.settings import Settings

    seen, targets = inventory(*OBJECTS), ("s1",)
    faults = timed([TaintFault(taint=Taint("spot", Effect.NO_EXECUTE))], targets)
    picture = assess(seen, faults, targets, evictions_by(seen, faults, targets, Settings()), Settings())
    out = io.StringIO()
    print_plan(
        judge(picture, (EXPECTATIONS["no-pending"],), source="x", title="t"),
        console=Console(file=out, force_terminal=True, width=120),
    )
    assert "\x1b[" in out.getvalue()
    assert "Deployment" in out.getvalue() or "ReplicaSet" in out.getvalue()


def test_differences_of_two_plans(
    world: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for name, nodes in (("a", "s1"), ("b", "pool=spot")):
        _, plan = planned(capfdbinary, "--taint", "spot=true:NoExecute", "--nodes", nodes, "--world", world)
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(plan))
    _, difference = planned(capfdbinary, "--diff", *files)
    assert difference["only_first"] == []
    assert set(difference["only_second"]) == {"default/web-2", "default/pinned", "default/bare"}
    assert {finding["kind"] for finding in difference["findings_new"]} >= {"outage", "pending", "unmanaged"}
    assert run("--diff", *files) == 0
    text = capfdbinary.readouterr().out.decode()
    assert "+ leave only then: 3 pods" in text


def test_a_damaged_plan_is_said_with_its_place(
    world: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    _, plan = planned(capfdbinary, *TAINT, "--world", world)
    plan["leaving"][1]["at"] = ["soon", None]
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan))
    with pytest.raises(UsageError, match=re.escape("- at `$.leaving[1].at[0]`")):
        run("--diff", path, path)


@pytest.mark.parametrize("content", ["{}", "[]", "no json", '{"kind": "taintlab-plan", "version": 9}'])
def test_what_is_no_plan_is_said(content: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(content)
    with pytest.raises(TaintlabError) as caught:
        run("--diff", path, path)
    assert caught.value.exit_code == 2


def test_a_snapshot_wants_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import argparse

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "no-labs"))
    parser = argparse.ArgumentParser()
    snapshot_verb.add_parser(parser.add_subparsers())
    options = parser.parse_args(["snapshot", "--out", str(tmp_path / "w.json")])
    with pytest.raises(TaintlabError, match="name a cluster"):
        options.handler(options)
    assert not list(tmp_path.iterdir()), "nothing half-written is left"


# --- experiments ---

EXPERIMENT = """\
apiVersion: taintlab.dev/v1alpha1
kind: Experiment
metadata: {name: planned, description: A plan of it.}
spec:
  workload: [web.yaml]
  target: {nodes: {selector: pool=spot}, seed: 1}
  load: {url: http://web.default.svc, rate: 100/s, timeout: 2s}
  phases: {warmup: 1s, baseline: 10s, fault: 30s, recovery: 10s}
  faults:
    - taint: {key: spot, value: "true", effect: NoExecute}
  expect:
    slos:
      - {name: success, phases: [fault], good: success, ratio: 0.99}
"""
MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {pool: POOL}
      containers: [{name: web, image: app, resources: {requests: {cpu: 100m}}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 50%, selector: {matchLabels: {app: web}}}
"""


def write_experiment(folder: Path, *, pool: str) -> Path:
    """An experiment with its manifest."""
    (folder / "web.yaml").write_text(MANIFEST.replace("POOL", pool))
    path = folder / "planned.yaml"
    path.write_text(EXPERIMENT)
    return path


@pytest.mark.parametrize(
    ("pool", "code", "kinds"),
    [("spot", 1, {"outage", "budget", "pending"}), ("general", 0, set())],
    ids=["its workload sits on the target", "it does not"],
)
def test_an_experiment_is_planned_on_the_lab_it_would_get(
    pool: str, code: int, kinds: set[str], tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = write_experiment(tmp_path, pool=pool)
    found, plan = planned(capfdbinary, path)
    assert found == code
    assert {each["kind"] for each in plan["findings"] if each["severity"] != "note"} == kinds
    assert [each["name"] for each in plan["expect"]] == ["no-outage"]
    jsonschema.validate(plan, SCHEMA)


def test_an_experiment_is_planned_on_a_world(
    tmp_path: Path, world: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = write_experiment(tmp_path, pool="general")
    _, plan = planned(capfdbinary, path, "--world", world)
    assert plan["world"]["source"] == "world.json.gz"
    leaving: list[dict[str, Any]] = plan["leaving"]
    assert "default/web-1" in {each["pod"] for each in leaving}, "what else is on the targets leaves too"


def test_the_faults_of_an_experiment_keep_their_times(
    tmp_path: Path, world: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The taint comes 5 s into the phase and goes 10 s later; the cordon comes when the pods have left."""
    path = write_experiment(tmp_path, pool="spot")
    taint = '    - taint: {key: spot, value: "true", effect: NoExecute}\n'
    later = taint + "      at: 5s\n      for: 10s\n    - cordon: {}\n      at: 20s\n"
    path.write_text(EXPERIMENT.replace(taint, later))
    _, plan = planned(capfdbinary, path)
    jsonschema.validate(plan, SCHEMA)
    assert plan["change"]["faults"] == ["taint spot=true:NoExecute at 5s for 10s", "cordon at 20s"]
    assert plan["change"]["times"] == [[0, 10], [15, 25]]
    assert plan["summary"]["replacements"]["pending"] == 2
    reason = plan["leaving"][0]["replacement"]["reason"]
    assert "unschedulable" not in reason, "the cordon is not on yet"
    assert plan["unknown"] == [
        "whether 2 replacements that are Pending when due find a node later: taint spot=true:NoExecute is on from "
        "0 s to 10 s, cordon is on from 15 s to 25 s"
    ]


def test_a_window_is_the_end_of_the_nodes(world: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    _, plan = planned(capfdbinary, *TAINT, "--window", "120", "--world", world)
    assert plan["change"]["faults"] == ["taint spot=true:NoExecute", "end of the node at 2m"]
    assert plan["change"]["times"] == [[0, None], [120, None]]
    assert next(f for f in plan["findings"] if f["kind"] == "grace")["detail"]["window_s"] == 120


def test_times_are_left_out_when_all_is_at_once(world: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert set(planned(capfdbinary, *TAINT, "--world", world)[1]["change"]) == {"faults", "nodes"}
