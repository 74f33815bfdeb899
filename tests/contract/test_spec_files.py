"""Files on disk: found, read, refused; manifests; the verbs ``validate`` and ``schema``."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import InvalidFile
from harness.faults.tolerations import TolerationsFault
from harness.formats.document import MAX_BYTES, read_text
from harness.formats.experiment.manifests import read_manifests
from harness.model.experiment import Requirement
from harness.model.taints import Effect, Operator, Toleration
from harness.wiring.experiments import experiment_files, json_schema, read_experiment, validate

EXPERIMENT = """\
apiVersion: taintlab.dev/v1alpha1
kind: Experiment
metadata: {name: e}
spec:
  phases: {fault: 20s}
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


# --- reading ---


def test_a_folder_stands_for_its_experiments(tmp_path: Path) -> None:
    first = write(tmp_path / "a" / "1.yaml", EXPERIMENT)
    second = write(tmp_path / "b" / "2.yml", EXPERIMENT)
    broken = write(tmp_path / "c.yaml", EXPERIMENT + "  :[\n")
    quoted = write(tmp_path / "d.yaml", json.dumps({"apiVersion": "x", "kind": "Experiment"}))
    write(tmp_path / "e.yaml", "kind: Deployment\n")
    write(tmp_path / "f.yaml", "data:\n  kind: Experiment\n")
    write(tmp_path / "g.txt", EXPERIMENT)
    write(tmp_path / ".hidden" / "h.yaml", EXPERIMENT)
    assert experiment_files([tmp_path]) == [first, second, broken, quoted]


def test_a_folder_without_experiments_is_a_mistake(tmp_path: Path) -> None:
    write(tmp_path / "e.yaml", "kind: Deployment\n")
    with pytest.raises(InvalidFile, match="no experiment in this folder"):
        experiment_files([tmp_path])


def test_validate_gathers_the_problems_of_all_files(tmp_path: Path) -> None:
    good = write(tmp_path / "good.yaml", EXPERIMENT)
    bad = write(tmp_path / "bad.yaml", EXPERIMENT.replace("20s", "20"))
    assert [problem.file for problem in validate([good, bad, tmp_path / "absent.yaml"])] == [
        str(bad),
        str(tmp_path / "absent.yaml"),
    ]


def test_read_experiment_raises_with_every_problem(tmp_path: Path) -> None:
    file = write(tmp_path / "e.yaml", EXPERIMENT.replace("20s", "20").replace("name: e", "name: E"))
    with pytest.raises(InvalidFile) as error:
        read_experiment(file)
    assert [problem.line for problem in error.value.problems] == [3, 5]
    assert error.value.exit_code == 2


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    file = write(tmp_path / "e.yaml", "#" * (MAX_BYTES + 1))
    with pytest.raises(InvalidFile, match="larger than 1024 KiB"):
        read_text(file)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "e.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + EXPERIMENT.encode())
    assert read_experiment(file).name == "e"


@pytest.mark.parametrize("name", ["absent.yaml", "absent/e.yaml", "a\0b.yaml"])
def test_what_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    (problem,) = validate([tmp_path / name])
    assert "no such file" in problem.message or "cannot be read" in problem.message


# --- the workload ---

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      tolerations:
      - {key: maintenance, operator: Exists}
      - {key: spot, operator: Exists, effect: NoExecute, tolerationSeconds: 5}
      containers: [{name: web, image: podinfo}]
"""


def test_manifests_become_objects_with_their_place(tmp_path: Path) -> None:
    file = write(
        tmp_path / "m.yaml", DEPLOYMENT + "---\n# nothing\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
    )
    manifests, problems = read_manifests(file)
    assert problems == ()
    assert [(m.api_version, m.kind, m.name, m.namespace, m.line) for m in manifests] == [
        ("apps/v1", "Deployment", "web", "shop", 1),
        ("v1", "Service", "web", None, 16),
    ]
    assert manifests[0].file == str(file)
    assert manifests[0].body["spec"]["template"]["spec"]["tolerations"][1]["tolerationSeconds"] == 5


def test_a_list_stands_for_its_items(tmp_path: Path) -> None:
    item = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    file = write(tmp_path / "m.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": [item]}))
    manifests, problems = read_manifests(file)
    assert problems == ()
    assert [manifest.body for manifest in manifests] == [item]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("kind: Pod\nspec: []\n", "Pod"),
        ("kind: Deployment\nspec: {template: 5}\n", "Deployment"),
        ("kind: Pod\nspec: {tolerations: , containers: [5, {env: 5, args: x}]}\n", "Pod"),
        ("kind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: {tolerations: []}}}}}\n", "CronJob"),
        ("kind: Widget\nspec: {tolerations: 5}\n", "Widget"),
    ],
    ids=["spec is a list", "template is a number", "odd containers", "nested", "unknown kind"],
)
def test_odd_objects_are_left_to_the_api_server(tmp_path: Path, text: str, kinds: str) -> None:
    file = write(tmp_path / "m.yaml", "apiVersion: v1\nmetadata: {name: a}\n" + text)
    manifests, problems = read_manifests(file)
    assert problems == ()
    assert [manifest.kind for manifest in manifests] == [kinds]


@pytest.mark.parametrize(
    ("toleration", "message"),
    [
        ("{key: a, effect: NoSchedule, tolerationSeconds: 30}", "refuses it with effect NoSchedule"),
        ("{operator: Exists, tolerationSeconds: 30}", "refuses it with no effect"),
        ("{key: a, operator: Exists, value: b}", "Exists takes no value"),
        ("{value: b}", "only operator Exists goes without a key"),
        ('{key: a, operator: Gt, value: "024"}', "compares whole numbers"),
        ("{key: a, operator: Lt}", "compares whole numbers"),
        ('{key: a, value: "-5"}', "not a label value"),
        ("{key: a, operator: exists}", "is not an operator"),
        ("{key: a, seconds: 5}", "there is no key seconds"),
        ("{key: -a}", "is not a key"),
    ],
)
def test_tolerations_that_the_api_server_refuses(tmp_path: Path, toleration: str, message: str) -> None:
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  tolerations:\n  - {toleration}\n"
    _, problems = read_manifests(write(tmp_path / "m.yaml", pod))
    (problem,) = problems
    assert message in problem.message
    assert problem.line == 6


@pytest.mark.parametrize(
    "toleration",
    [
        "{operator: Exists}",
        "{key: a}",
        "{key: a, operator: Exists, effect: NoExecute, tolerationSeconds: -1}",
        '{key: a, operator: Gt, value: "-100"}',
        "{key: a, value: b, effect: PreferNoSchedule}",
    ],
)
def test_tolerations_that_it_takes(tmp_path: Path, toleration: str) -> None:
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{tolerations: [{toleration}]}}\n"
    assert read_manifests(write(tmp_path / "m.yaml", pod))[1] == ()


def with_tolerations(fault: str) -> str:
    return EXPERIMENT + f"  workload: [m.yaml]\n  faults:\n  - tolerations: {fault}\n"


MAINTENANCE = "{key: maintenance, operator: Exists}"


def test_tolerations_fault(tmp_path: Path) -> None:
    write(tmp_path / "m.yaml", DEPLOYMENT)
    spot = "{key: spot, operator: Exists, effect: NoExecute, tolerationSeconds: 60}"
    text = with_tolerations(f"{{pods: app=web, set: [{spot}, {MAINTENANCE}]}}")
    experiment = read_experiment(write(tmp_path / "e.yaml", text))
    assert experiment.faults == (
        TolerationsFault(
            (Requirement("app", ("web",)),),
            (
                Toleration("spot", Operator.EXISTS, "", Effect.NO_EXECUTE, 60),
                Toleration("maintenance", Operator.EXISTS),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (f"{{pods: app=other, set: [{MAINTENANCE}]}}", "no pod of the workload has these labels"),
        (f"{{pods: app=web, set: [{MAINTENANCE}]}}", "Deployment web already tolerates spot:NoExecute"),
        (
            f"{{pods: app=web, set: [{MAINTENANCE}, {{key: spot, effect: NoExecute}}]}}",
            "Deployment web already tolerates spot:NoExecute",
        ),
    ],
    ids=["finds nobody", "takes one away", "changes its operator"],
)
def test_tolerations_fault_that_cannot_work(tmp_path: Path, fault: str, message: str) -> None:
    write(tmp_path / "m.yaml", DEPLOYMENT)
    (problem,) = validate([write(tmp_path / "e.yaml", with_tolerations(fault))])
    assert message in problem.message
    assert problem.line == 8


def test_pods_of_an_unknown_kind_may_have_any_label(tmp_path: Path) -> None:
    write(tmp_path / "m.yaml", "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n")
    assert validate([write(tmp_path / "e.yaml", with_tolerations(f"{{pods: a=b, set: [{MAINTENANCE}]}}"))]) == []


def test_topology_must_be_there(tmp_path: Path) -> None:
    file = write(tmp_path / "e.yaml", EXPERIMENT + "  lab: {topology: t/x.yaml}\n")
    assert "there is no file" in validate([file])[0].message
    write(tmp_path / "t" / "x.yaml", "nodes: []\n")
    assert read_experiment(file).lab.topology == str(tmp_path / "t" / "x.yaml")


# --- the verbs ---


def test_validate_prints_a_line_for_each_good_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "e.yaml", EXPERIMENT + "  load: {url: http://web, rate: 50/m}\n")
    assert main(["validate", str(file), str(file)]) == 0
    assert capsys.readouterr().out == f"ok {file}: e, 0 objects, load 50/m, 20 s\n" * 2


def test_validate_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write(tmp_path / "good.yaml", EXPERIMENT)
    bad = write(tmp_path / "bad.yaml", EXPERIMENT.replace("20s", "20"))
    assert main(["validate", "--json", str(good), str(bad)]) == 2
    assert json.loads(capsys.readouterr().out) == {
        "version": 1,
        "valid": False,
        "files": [
            {
                "file": str(good),
                "valid": True,
                "name": "e",
                "objects": 0,
                "rate_per_s": None,
                "total_s": 20.0,
                "problems": [],
            },
            {
                "file": str(bad),
                "valid": False,
                "problems": [
                    {
                        "file": str(bad),
                        "line": 5,
                        "column": 19,
                        "message": "fault: a duration needs a unit, found 20",
                        "fix": "write 20s",
                    }
                ],
            },
        ],
    }


def test_validate_of_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(tmp_path)]) == 2
    assert "no experiment in this folder" in capsys.readouterr().out


def test_schema_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
