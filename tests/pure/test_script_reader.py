"""Write scripts: what is read, and every problem with its line and column."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from harness.errors import InvalidFile
from harness.formats.script import parse_script, read_script, scripts_in, to_plain
from harness.model.scenario import (
    Component,
    CreatePod,
    DeleteNode,
    DeletePod,
    Restart,
    Scenario,
    ScenarioNode,
    ScenarioPod,
    SetTaints,
    SetTolerations,
)
from harness.model.taints import Effect, Operator, Taint, Toleration
from tests.strategies import scripts

EXAMPLE = """\
version: 1
nodes:
- {name: a, labels: {zone: z1}, taints: []}
pods:
- name: p0
  node: a
  tolerations:
  - {key: spot, operator: Exists, effect: NoExecute, tolerationSeconds: 5}
writes:
- {at: 0.0, taints: {node: a, set: [{key: spot, value: x, effect: NoExecute}]}}
- {at: 2.0, tolerations: {pod: p0, set: []}}
- {at: 3.0, create: {name: p1, node: a, tolerations: []}}
- {at: 4.0, delete: {pod: p1}}
- {at: 5.0, restart: kube-controller-manager}
until: 12.0
"""


def test_the_documented_example() -> None:
    spot = Toleration("spot", Operator.EXISTS, "", Effect.NO_EXECUTE, 5)
    assert parse_script(EXAMPLE, file="x.yaml") == Scenario(
        nodes=(ScenarioNode("a", {"zone": "z1"}),),
        pods=(ScenarioPod("p0", "a", (spot,)),),
        writes=(
            SetTaints(0.0, "a", (Taint("spot", Effect.NO_EXECUTE, "x"),)),
            SetTolerations(2.0, "p0", ()),
            CreatePod(3.0, ScenarioPod("p1", "a")),
            DeletePod(4.0, "p1"),
            Restart(5.0, Component.KUBE_CONTROLLER_MANAGER),
        ),
        until_s=12.0,
    )


def test_what_is_left_out_is_empty() -> None:
    text = "{version: 1, nodes: [{name: a}], pods: [{name: p, node: a}], writes: [], until: 1}"
    assert parse_script(text, file="x") == Scenario((ScenarioNode("a"),), (ScenarioPod("p", "a"),), (), 1.0)


def test_null_and_empty_text_are_as_if_absent() -> None:
    toleration = '{key: k, operator: "", value: null, effect: "", tolerationSeconds: null}'
    pod = f"{{name: p, node: a, tolerations: [{toleration}]}}"
    text = f"{{version: 1, nodes: [{{name: a}}], pods: [{pod}], writes: [], until: 1}}"
    assert parse_script(text, file="x").pods[0].tolerations == (Toleration("k"),)


@settings(max_examples=60, deadline=None, suppress_health_check=(HealthCheck.too_slow,))
@given(scripts())
def test_round_trip(scenario: Scenario) -> None:
    assert parse_script(json.dumps(to_plain(scenario)), file="x.json") == scenario


def test_the_format_has_no_word_for_some_writes() -> None:
    with pytest.raises(ValueError, match="DeleteNode"):
        to_plain(Scenario((), (), (DeleteNode(0.0, "a"),), 1.0))


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        parse_script(text, file="x.yaml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("version: 1", "version: 2", "x.yaml:1:10: version: the number 2 is not known (write 1)"),
        ("version: 1\n", "", "x.yaml:1:1: version is missing"),
        ("until: 12.0", "until: -1", "x.yaml:15:8: until: must be a number of seconds from 0 on, found -1"),
        ("until: 12.0", "until: .inf", "x.yaml:15:8: until: a number of seconds from 0 on is needed"),
        ("until: 12.0", "until: yes", "x.yaml:15:8: until: a number of seconds from 0 on is needed"),
        ("pods:", "pod:", "x.yaml:4:1: there is no key pod here (did you mean pods?)"),
        ("name: p0", "name: P0", '"P0" is no name'),
        ("  node: a\n", "  node: b\n", "x.yaml:6:9: node: there is no b"),
        ("operator: Exists", "operator: Exist", "(did you mean Exists?)"),
        ("effect: NoExecute, tol", "effect: NoExcute, tol", "(did you mean NoExecute?)"),
        ("tolerationSeconds: 5", "tolerationSeconds: 5.5", "a 64-bit whole number is needed, found the number 5.5"),
        ("tolerationSeconds: 5", "tolerationSeconds: 9223372036854775808", "must be at most 9223372036854775807"),
        ("tolerationSeconds: 5", "seconds: 5", "tolerations[0]: there is no key seconds here"),
        ("value: x", "value: 5", 'value: a text is needed, but YAML reads the number 5 (quote it: "5")'),
        ("key: spot, value", "key: no, value", 'key: a text is needed, but YAML reads no (a boolean) (quote it: "no")'),
        ("{node: a, set", "{node: c, set", "x.yaml:10:28: node: there is no c"),
        ("{pod: p0, set: []}", "{pod: p9, set: []}", "x.yaml:11:32: pod: there is no p9 (one of: p0, p1)"),
        ("delete: {pod: p1}", "delete: p1", "x.yaml:13:21: delete: a mapping is needed, found the text"),
        (
            "delete: {pod: p1}",
            "remove: {pod: p1}",
            "x.yaml:13:13: writes[3]: none of taints, tolerations,",
        ),
        (
            "at: 4.0, delete",
            "at: 4.0, restart: kube-controller-manager, delete",
            "delete and restart cannot go together",
        ),
        ("at: 3.0", "at: 1.0", "x.yaml:12:8: at: 1 comes after 2 (sort the writes by time)"),
        ("restart: kube-controller-manager", "restart: kubelet", "x.yaml:14:22: restart:"),
        ("set: []", "set: {}", "x.yaml:11:36: set: a list is needed, found a mapping (write [] for none)"),
        (", set: []", "", "set is missing (write set: [] if there are none)"),
        (
            "taints: []}",
            "taints: [{key: k, effect: NoExecute}, {key: k, effect: NoExecute}]}",
            "repeats key and effect",
        ),
        ("taints: []}", 'taints: [{key: "k k", effect: NoExecute}]}', '"k k" is not a key'),
        ("taints: []}", "taints: [{key: k, effect: NoExecute, timeAdded: now}]}", "timeAdded: a time is needed"),
        ("operator: Exists", "operator: Exists, value: x", "x.yaml:8:42: value: operator Exists takes no value"),
        (
            "effect: NoExecute, tol",
            "effect: NoSchedule, tol",
            "x.yaml:8:74: tolerationSeconds: the API server refuses it with effect NoSchedule",
        ),
        ("key: spot, operator: Exists", "operator: Equal", "x.yaml:8:5: key: only operator Exists goes without a key"),
    ],
)
def test_problem(old: str, new: str, expected: str) -> None:
    assert old in EXAMPLE
    found = problems(EXAMPLE.replace(old, new, 1))
    assert any(expected in each for each in found), found


def test_every_problem_at_once() -> None:
    text = EXAMPLE.replace("version: 1", "version: 9").replace("node: a\n", "node: q\n").replace("at: 3.0", "at: x")
    assert [each.split(": ")[0] for each in problems(text)] == ["x.yaml:1:10", "x.yaml:6:9", "x.yaml:12:8"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("key: spot, operator", "key: on, operator"), ("pods:", "pod:"), ("nodes:", "node:")],
)
def test_one_slip_is_one_problem(old: str, new: str) -> None:
    """A key that cannot be read is not also a toleration without a key, and a list not also one without its names."""
    assert len(problems(EXAMPLE.replace(old, new, 1))) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "x.yaml:1:1: one script is needed, found 0 documents"),
        ("- 1", "x.yaml:1:1: a mapping is needed, found a list"),
        ("version: 1\n---\nversion: 1", "one script is needed, found 2 documents"),
        ("version: [1", "not valid YAML"),
        ("version: 1\nversion: 1", "version is given twice"),
    ],
)
def test_not_even_a_script(text: str, expected: str) -> None:
    assert any(expected in each for each in problems(text))


def test_names_are_taken_once() -> None:
    pods = "[{name: p, node: a}, {name: p, node: a}]"
    text = f"{{version: 1, nodes: [{{name: a}}, {{name: a}}], pods: {pods}, writes: [], until: 1}}"
    assert [each.partition(" name: ")[2] for each in problems(text)] == [
        "a is taken, in line 1 (give each a name of its own)",
        "p is taken, in line 1 (give each a name of its own)",
    ]


def test_what_the_api_refuses_is_fine_in_a_write() -> None:
    bad = "{operator: Equal, effect: NoSchedule, tolerationSeconds: 5}"
    text = EXAMPLE.replace("pod: p0, set: []", f"pod: p0, set: [{bad}]")
    assert isinstance(parse_script(text, file="x").writes[1], SetTolerations)


def test_read_script_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("version: 2")
    with pytest.raises(InvalidFile) as caught:
        read_script(path)
    assert {problem.file for problem in caught.value.problems} == {str(path)}


def test_scripts_in_a_folder(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.json", "c.yml", "notes.txt"):
        (tmp_path / name).write_text("")
    lone = tmp_path / "notes.txt"
    assert [path.name for path in scripts_in([tmp_path])] == ["a.json", "b.yaml", "c.yml"]
    assert scripts_in([lone]) == (lone,)
