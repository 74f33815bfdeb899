"""Whole files: what a valid one means, and every rule with the place and words of its message."""

from __future__ import annotations

import json
import textwrap
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.faults.cordon import CordonFault
from harness.faults.restart import RestartFault
from harness.faults.taint import TaintFault
from harness.model.experiment import Experiment, Load, PhaseName, Phases, Requirement, Slo, SloKind, Target
from harness.model.taints import Effect, Taint
from harness.wiring.experiments import examine_text

FULL = """\
apiVersion: taintlab.dev/v1alpha1
kind: Experiment
metadata: {name: all-of-it, description: every key once}
spec:
  target: {nodes: {selector: "pool=spot,!gpu", count: 1}, seed: 7}
  load:
    url: http://web.default.svc/x
    rate: 100/s
    timeout: 2s
    method: POST
    headers: {X-From: taintlab, Accept: "*/*"}
    body: hello
    arrivals: uniform
    connection: per-request
    seed: 3
    processes: 2
  phases: {warmup: 5s, baseline: 20s, fault: 1m, recovery: 20s}
  faults:
    - taint: {key: example.com/spot, value: "true", effect: NoExecute}
      at: 1s
      for: 20s
    - restart: kube-controller-manager
      at: 250ms
    - cordon: {}
  expect:
    evictions: as-predicted
    slos:
      - {name: latency, phases: [baseline, fault], good: latency <= 250ms, ratio: 0.99}
      - {name: success, phases: [fault], good: success, ratio: 1}
    recovery: {within: 15s}
    metrics: [{name: cpu, query: up, phases: [fault], max: 0.9}]
  guard: {badRatio: 0.5}
  lab: {kubernetes: "1.35", flags: ["kube-controller-manager=--kube-api-qps=20"]}
"""

LEAST = """\
apiVersion: taintlab.dev/v1alpha1
kind: Experiment
metadata: {name: least}
spec:
  phases: {baseline: 20s}
"""


def meant(text: str) -> Experiment:
    examined = examine_text(text, Path("f.yaml"))
    assert examined.experiment is not None, "\n".join(map(str, examined.problems))
    return examined.experiment


def problems(text: str) -> list[str]:
    """``line:column: message (fix)`` of each problem."""
    return [str(problem).removeprefix("f.yaml:") for problem in examine_text(text, Path("f.yaml")).problems]


def test_every_key_arrives() -> None:
    experiment = meant(FULL)
    assert experiment.name == "all-of-it"
    assert experiment.description == "every key once"
    assert experiment.source == "f.yaml"
    assert experiment.target == Target(
        selector=(Requirement("pool", ("spot",)), Requirement("gpu", negated=True)), count=1, seed=7
    )
    assert experiment.load == Load(
        url="http://web.default.svc/x",
        rate_per_s=100.0,
        timeout_s=2.0,
        method="POST",
        headers=(("X-From", "taintlab"), ("Accept", "*/*")),
        body="hello",
        arrivals="uniform",
        connection="per-request",
        seed=3,
        processes=2,
    )
    assert experiment.phases == Phases(warmup_s=5.0, baseline_s=20.0, fault_s=60.0, recovery_s=20.0)
    assert experiment.faults == (
        TaintFault(Taint("example.com/spot", Effect.NO_EXECUTE, "true"), at_s=1.0, for_s=20.0),
        RestartFault("kube-controller-manager", at_s=0.25),
        CordonFault(),
    )
    assert experiment.expect.evictions
    assert experiment.expect.slos == (
        Slo("latency", (PhaseName.BASELINE, PhaseName.FAULT), SloKind.LATENCY, 0.99, 0.25),
        Slo("success", (PhaseName.FAULT,), SloKind.SUCCESS, 1.0),
    )
    assert experiment.expect.recovery is not None
    assert experiment.expect.recovery.within_s == 15.0
    assert experiment.expect.metrics[0].maximum == 0.9
    assert experiment.guard.bad_ratio == 0.5
    assert experiment.lab.kubernetes == "1.35"
    assert experiment.lab.flags == ("kube-controller-manager=--kube-api-qps=20",)


def test_all_but_phases_may_be_absent() -> None:
    experiment = meant(LEAST)
    assert experiment.target is None
    assert experiment.load is None
    assert experiment.faults == ()
    assert experiment.workload == ()
    assert not experiment.expect.evictions, "without a target there are no evictions to judge"
    assert experiment.phases == Phases(warmup_s=0.0, baseline_s=20.0, fault_s=0.0, recovery_s=0.0)


@pytest.mark.parametrize(
    ("expect", "judged"),
    [("", True), ("expect: {evictions: as-predicted}", True), ("expect: {evictions: ignored}", False)],
)
def test_evictions_are_judged_where_there_is_a_target(expect: str, judged: bool) -> None:
    text = LEAST + f"  target: {{nodes: {{names: [a]}}}}\n  {expect}\n"
    assert meant(text).expect.evictions is judged


def spec(text: str) -> str:
    """A valid file whose spec is `text` (its first line is line 5), with 20 s of each phase unless it has its own."""
    body = textwrap.dedent(text).strip("\n")
    lines = (
        body.splitlines()
        if "phases: {" in body
        else [*body.splitlines(), "phases: {baseline: 20s, fault: 20s, recovery: 20s}"]
    )
    return LEAST.replace("  phases: {baseline: 20s}\n", "") + "".join(f"  {line}\n" for line in lines)


TARGET = "target: {nodes: {selector: pool=spot}}\n"
LOAD = "load: {url: http://web, rate: 10/s}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "faults: [{taint: {key: a, effect: NoExecute}}]",
            [
                "5:13: taint needs nodes, but there is no target "
                "(write target: {nodes: {selector: pool=spot, count: 1}})"
            ],
            id="taint without target",
        ),
        pytest.param(
            "faults: [{cordon: {}}]",
            [
                "5:13: cordon needs nodes, but there is no target "
                "(write target: {nodes: {selector: pool=spot, count: 1}})"
            ],
            id="cordon without target",
        ),
        pytest.param("faults: [{restart: etcd}]", [], id="a restart needs no target"),
        pytest.param(
            "expect: {evictions: as-predicted}",
            [
                "5:23: evictions: as-predicted needs a target whose pods are predicted "
                "(write a target, or evictions: ignored)"
            ],
            id="evictions without target",
        ),
        pytest.param(
            "phases: {warmup: 0s}",
            ["5:3: phases: none of them lasts (write baseline: 20s, fault: 30s)"],
            id="no phase lasts",
        ),
        pytest.param(
            TARGET + "phases: {baseline: 5s, fault: 0s}\nfaults: [{cordon: {}}]",
            ["6:33: fault: there are faults, but no time for them (write fault: 30s)"],
            id="faults without a fault phase",
        ),
        pytest.param(
            TARGET + "faults:\n- cordon: {}\n  at: 20s",
            ["8:9: at: the fault phase is over after 20s (start earlier, or make phases.fault longer than 20s)"],
            id="begins after the phase",
        ),
        pytest.param(
            TARGET + "faults:\n- cordon: {}\n  at: 15s\n  for: 5001ms",
            [
                "9:10: for: it would last until 20s1ms, but the fault phase ends at 20s "
                "(leave for out to keep it until the end, or make phases.fault longer)"
            ],
            id="ends after the phase",
        ),
        pytest.param(TARGET + "faults:\n- cordon: {}\n  at: 15s\n  for: 5s", [], id="ends with the phase"),
        pytest.param(
            TARGET + "faults:\n- cordon: {}\n  for: 0s",
            ["8:10: for: a fault that lasts 0s is none (leave it out, or write 5s)"],
            id="lasts no time",
        ),
        pytest.param(
            TARGET
            + "faults:\n- taint: {key: a, effect: NoExecute}\n- taint: {key: a, value: x, effect: NoExecute}\n  at: 5s",
            [
                "8:5: a:NoExecute is on the target already, by the fault in line 7 "
                "(give one of them another key, or let them follow each other with at and for)"
            ],
            id="same key and effect at once",
        ),
        pytest.param(
            TARGET
            + "faults:\n- taint: {key: a, effect: NoExecute}\n  for: 5s\n"
            + "- taint: {key: a, effect: NoExecute}\n  at: 5s",
            [],
            id="same key and effect one after the other",
        ),
        pytest.param(
            TARGET + "faults:\n- taint: {key: a, effect: NoExecute}\n- taint: {key: a, effect: NoSchedule}",
            [],
            id="same key, another effect",
        ),
        pytest.param(
            TARGET + "faults:\n- cordon: {}\n- cordon: {}\n  at: 5s",
            [
                "8:5: the cordon is on the target already, by the fault in line 7 "
                "(give one of them another key, or let them follow each other with at and for)"
            ],
            id="cordoned twice",
        ),
        pytest.param(
            TARGET + "faults: [{taint: {key: node.kubernetes.io/memory-pressure, effect: NoSchedule}}]",
            [
                "6:26: key: the node lifecycle controller takes node.kubernetes.io/memory-pressure:NoSchedule off "
                "within milliseconds unless the node's condition says so "
                "(use a key of your own, or bring the condition about with taintlab lab pressure)"
            ],
            id="a condition's own taint",
        ),
        pytest.param(
            TARGET + "faults: [{taint: {key: node.kubernetes.io/not-ready, effect: NoExecute}}]",
            [],
            id="not-ready:NoExecute is allowed",
        ),
        pytest.param(
            "faults: [{tolerations: {pods: a=b, set: [{key: a, effect: NoSchedule, tolerationSeconds: 3}]}}]",
            [
                "5:13: tolerations: only pods of the workload are changed, but there is none (write workload)",
                "5:92: tolerationSeconds: the API server refuses it with effect NoSchedule: only NoExecute evicts "
                "running pods (write effect: NoExecute, or take tolerationSeconds out)",
            ],
            id="tolerations that the API refuses, of no workload",
        ),
        pytest.param(
            "expect: {slos: [{name: a, phases: [fault], good: success, ratio: 0.9}]}",
            ["5:19: slos: a judges traffic, but there is no load (write load)"],
            id="objective without load",
        ),
        pytest.param(
            LOAD + "expect: {slos: [{name: a, phases: [fault, warmup], good: success, ratio: 0.9}]}",
            [
                "6:45: phases: warmup lasts 0s, so there is nothing to judge "
                "(take it out, or write phases: {warmup: 20s})"
            ],
            id="objective of a phase that is left out",
        ),
        pytest.param(
            LOAD + "expect: {slos: [{name: a, phases: [fault], good: latency <= 2s, ratio: 0.9}]}",
            [
                "6:52: good: a request is given up after 2s, so none is that slow and good "
                "(write a smaller latency, or a longer load.timeout)"
            ],
            id="latency not below the timeout",
        ),
        pytest.param(
            LOAD
            + "expect:\n  slos:\n  - {name: a, phases: [fault], good: success, ratio: 0.9}\n"
            + "  - {name: a, phases: [baseline], good: success, ratio: 0.9}",
            ["9:14: name: a is taken by the check in line 8 (give each check a name of its own)"],
            id="two objectives of one name",
        ),
        pytest.param(
            "expect: {metrics: [{name: a, query: up, phases: [fault]}]}",
            ["5:22: metrics: a has no bound (write min or max, or both)"],
            id="metric without bounds",
        ),
        pytest.param(
            "expect: {metrics: [{name: a, query: up, phases: [fault], min: 2, max: 1}]}",
            ["5:65: min: it is above max (swap them)"],
            id="metric with crossed bounds",
        ),
        pytest.param(
            "expect: {recovery: {within: 5s}}",
            ["5:31: recovery: without faults there is nothing to recover from (take it out, or write faults)"],
            id="recovery without faults",
        ),
        pytest.param(
            TARGET + "faults: [{cordon: {}}]\nexpect: {recovery: {within: 21s}}",
            [
                "7:31: within: the recovery phase ends after 20s, before that could be seen "
                "(write recovery: 21s or more under phases, or a smaller within)"
            ],
            id="recovery later than its phase",
        ),
        pytest.param(
            "guard: {badRatio: 0.5}",
            ["5:21: badRatio: it watches traffic, but there is no load (write load, or take badRatio out)"],
            id="guard without load",
        ),
        pytest.param(
            "load: {url: http://web, rate: 10/s, timeout: 0s}",
            ["5:48: timeout: must be above 0s and at most 10m (write timeout: 2s)"],
            id="no time to answer",
        ),
        pytest.param(
            "load: {url: http://web, rate: 100000/s}\nphases: {baseline: 10m}",
            ["5:33: rate: that makes 60.0 million requests, at most 20 million (send less, or not as long)"],
            id="more requests than can be kept",
        ),
    ],
)
def test_rule(text: str, expected: list[str]) -> None:
    assert problems(spec(text)) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("rate: 100/s", "rate: 100", ['8:11: rate: a rate says how many per s, m or h, found "100" (write 100/s)']),
        ("timeout: 2s", "timeout: 2", ["9:14: timeout: a duration needs a unit, found 2 (write 2s)"]),
        ("timeout: 2s", "timeout: true", ["9:14: timeout: a duration is needed, found true (a boolean)"]),
        ("timeout: 2s", "timeout: [2s]", ["9:14: timeout: a duration is needed, found a list"]),
        ("timeout: 2s", "timeout:", ["9:13: timeout: a duration is needed, found nothing"]),
        ("timeout: 2s", "timout: 2s", ["9:5: load: there is no key timout here (did you mean timeout?)"]),
        ("timeout: 2s", "rps: 2s", ["9:5: load: there is no key rps here (write rate: 100/s)"]),
        (
            'value: "true"',
            "value: true",
            ['19:45: value: text is needed, but YAML reads true (a boolean) (quote it: "true")'],
        ),
        ('value: "true"', "value: 5", ['19:45: value: text is needed, but YAML reads the number 5 (quote it: "5")']),
        (
            'value: "true", effect: NoExecute',
            "effect: NoExcute",
            ['19:46: effect: the text "NoExcute" is not an effect (did you mean NoExecute?)'],
        ),
        (
            'value: "true", effect: NoExecute',
            "effect: NoExecute, tolerationSeconds: 5",
            [
                "19:57: taint: there is no key tolerationSeconds here "
                "(that is a field of the pod's toleration, not of the taint)"
            ],
        ),
        (
            "key: example.com/spot",
            "key: example.com/sp ot",
            [
                '19:20: key: "example.com/sp ot" is not a key: at most 63 letters, digits, -, _ and ., '
                "a letter or digit at both ends (write it like spot or example.com/spot)"
            ],
        ),
        (
            "restart: kube-controller-manager",
            "restart: kubelet",
            [
                '22:16: restart: the text "kubelet" is not a component that can be restarted '
                "(one of: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy)"
            ],
        ),
        (
            "- cordon: {}",
            "- cordon: {}\n      taint: {key: a, effect: NoExecute}",
            ["24:7: faults[2]: taint and cordon cannot go together (make them separate entries)"],
        ),
        (
            "- cordon: {}",
            "- cordn: {}",
            ["24:7: faults[2]: none of taint, tolerations, restart, cordon, evict is given (did you mean cordon?)"],
        ),
        ("cordon: {}", "cordon: {hard: true}", ["24:16: cordon: there is no key hard here (write {})"]),
        (
            "seed: 7",
            'seed: "7"',
            ['5:65: seed: a whole number is needed, found the text "7" (take the quotes off)'],
        ),
        ("count: 1", "count: 0", ["5:55: count: must be at least 1, found 0"]),
        ("count: 1", "count: 1.5", ["5:55: count: a whole number is needed, found the number 1.5"]),
        (
            "count: 1",
            "names: [a]",
            ["5:48: nodes: selector and names cannot go together (keep one of them)"],
        ),
        ("nodes: {selector", "node: {selector", ["5:12: target: there is no key node here (did you mean nodes?)"]),
        (
            "phases: [fault], good: success",
            "phases: fault, good: success",
            ['29:33: phases: a list is needed, found the text "fault" (write [fault])'],
        ),
        (
            "phases: [fault], good: success",
            "phases: [fault, fault], good: success",
            ['29:41: phases[1]: the text "fault" is listed twice (keep one of them)'],
        ),
        (
            "phases: [fault], good: success",
            "phases: [], good: success",
            ["29:33: phases: the list is empty (fill it, or take phases out)"],
        ),
        (
            "ratio: 1}",
            "ratio: 99.9}",
            ["29:64: ratio: must be a ratio above 0 and at most 1, found 99.9 (write 0.999)"],
        ),
        (
            "ratio: 1}",
            "ratio: 99%}",
            ['29:64: ratio: a ratio above 0 and at most 1 is needed, found the text "99%" (write 0.99)'],
        ),
        ("ratio: 1}", "ratio: 0}", ["29:64: ratio: must be a ratio above 0 and at most 1, found 0"]),
        (
            'kubernetes: "1.35"',
            "kubernetes: 1.35",
            ['33:21: kubernetes: a version is needed, but YAML reads the number 1.35 (quote it: "1.35")'],
        ),
        (
            'kubernetes: "1.35"',
            "kubernetes: v1.35.4",
            ['33:21: kubernetes: "v1.35.4" is not a minor version of Kubernetes (write "1.35")'],
        ),
        (
            "v1alpha1",
            "v1",
            [
                '1:13: apiVersion: must be taintlab.dev/v1alpha1, found the text "taintlab.dev/v1" '
                "(write taintlab.dev/v1alpha1)"
            ],
        ),
        (
            "X-From: taintlab",
            "X-From: 5",
            ['11:23: X-From: text is needed, but YAML reads the number 5 (quote it: "5")'],
        ),
        (
            "X-From: taintlab",
            "X From: a",
            ['11:15: X From: "X From" is not the name of a header (write it like X-Request-From)'],
        ),
        (
            "X-From: taintlab",
            "Connection: close",
            [
                "11:15: Connection: Connection is written by the load process itself "
                "(take it out; see load.connection and load.body)"
            ],
        ),
        ("metadata: {name: all-of-it, ", "metadata: {", ["3:1: metadata: name is missing (write name: a name)"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_slip(old: str, new: str, expected: list[str]) -> None:
    assert FULL.count(old) == 1
    assert problems(FULL.replace(old, new)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1:1: the file is empty (taintlab schema and experiments/ show what belongs into it)"]),
        (
            "# only a comment\n---\n",
            ["1:1: the file is empty (taintlab schema and experiments/ show what belongs into it)"],
        ),
        ("- a\n", ["1:1: a mapping is needed, found a list (give it apiVersion, kind, metadata ...)"]),
        ("hello\n", ['1:1: a mapping is needed, found the text "hello" (give it apiVersion, kind, metadata ...)']),
        (
            LEAST + "---\n" + LEAST,
            ["7:1: a second document: one file holds one experiment (put it into a file of its own)"],
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment\nspec: {}\n",
            ["2:7: kind is Deployment, not Experiment (name an experiment file)"],
        ),
        (
            "apiVersion: taintlab.dev/v1alpha1\nkind: experiment\n",
            ["2:7: kind is experiment, not Experiment (write kind: Experiment)"],
        ),
    ],
    ids=["empty", "comments", "list", "text", "two documents", "a Deployment", "lower case"],
)
def test_another_kind_of_file_gets_one_clear_message(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


def test_one_slip_does_not_hide_another() -> None:
    text = FULL.replace("rate: 100/s", "rate: 100").replace("count: 1", "count: 0").replace("for: 20s", "for: 2h")
    assert [problem.split(":")[0] for problem in problems(text)] == ["5", "8", "21"]


def test_an_anchor_is_read_where_it_is_used() -> None:
    text = LEAST.replace("{baseline: 20s}", "{baseline: &t 20s, fault: *t}")
    assert meant(text).phases.fault_s == 20.0


def test_the_same_wrong_anchor_is_told_once() -> None:
    text = LEAST.replace("{baseline: 20s}", "{baseline: &t 20, fault: *t}")
    assert len(problems(text)) == 2, "two keys are wrong, both at the anchor's place"


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, child in children for found in _paths(child, (*path, key)))]


def _full() -> Any:
    from harness.formats.document import parse
    from harness.formats.nodes import plain

    return plain(parse(FULL, file="f").documents[0])


WHOLE = _full()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_paths(WHOLE)), JSON)
def test_no_value_anywhere_breaks_the_reader(path: tuple[str | int, ...], value: Any) -> None:
    """Whatever stands at whatever place: an experiment, or problems at places that exist."""
    holder = {"root": deepcopy(WHOLE)}
    inner: Any = holder
    *way, last = ("root", *path)
    for step in way:
        inner = inner[step]
    inner[last] = value
    examined = examine_text(json.dumps(holder["root"], ensure_ascii=False), Path("f.yaml"))
    assert (examined.experiment is None) == bool(examined.problems)
    assert all(problem.line >= 1 and problem.column >= 1 for problem in examined.problems)
