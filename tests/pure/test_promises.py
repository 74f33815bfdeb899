"""What scripts rely on: the command lines that are promised parse, and the promised keys of a result are there.

Each row is a command line as the promise writes it. A row is removed only when the promise is withdrawn.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.cli import whole_parser
from harness.errors import ExitCode
from harness.model.verdicts import PodVerdict

ROOT = Path(__file__).resolve().parents[2]

COMMANDS = (
    "lab up --name N",
    "lab up --name N --nodes 4 --kubernetes 1.35",
    "lab up --name N --topology topology.yaml",
    "lab up --name N --flag kubelet=--v=4 --flag etcd=--quota-backend-bytes=1 --flag kube-apiserver=--v=4",
    "lab up --name N --flag kube-controller-manager=--v=4 --flag kube-scheduler=--v=4 --flag kube-proxy=--v=4",
    "lab kubeconfig --name N",
    "lab exec --name N -- kubectl get nodes",
    "lab pressure --name N NODE memory.available=200Mi",
    "lab pressure --name N NODE --reset",
    "lab dial --name N NODE memory.available=200Mi",
    "lab node kill NODE --name N",
    "lab node start NODE --name N",
    "lab node pause NODE --name N",
    "lab node resume NODE --name N",
    "lab node freeze NODE --name N",
    "lab node thaw NODE --name N",
    "lab restart kube-scheduler --name N",
    "lab down --name N",
    "lab list --json",
    "validate a.yaml b.yaml --json",
    "run a.yaml --lab N",
    "run a.yaml --context C --kubeconfig F --out DIR",
    "check DIR",
    "report DIR",
    "recover",
    "recover DIR",
    "recover DIR --lab N --json",
    "recover --context C --run ID --json",
    "recover --context C --all",
    "status --lab N --json",
    "status --context C --json",
    "predict script.json",
    "predict script.json --json",
    "replay script.json --lab N",
    "plan --taint a=b:NoExecute --nodes pool=spot --world world.json --json",
    "snapshot --out world.json --lab N",
)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_promised_command_line_parses(line: str) -> None:
    options = whole_parser().parse_args(line.split())
    assert callable(options.handler)


@pytest.mark.parametrize("line", ["run a.yaml --lab N --output DIR", "lab dials --name N NODE", "verify a.yaml"])
def test_what_is_not_there_does_not_parse(line: str) -> None:
    with pytest.raises(SystemExit) as ended:
        whole_parser().parse_args(line.split())
    assert ended.value.code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("lab dial --name N NODE --reset", "lab pressure --name N NODE --reset"),
        ("lab node freeze NODE --name N", "lab node pause NODE --name N"),
        ("lab node thaw NODE --name N", "lab node resume NODE --name N"),
    ],
)
def test_an_old_name_does_what_the_new_one_does(line: str, wanted: str) -> None:
    def meaning(words: str) -> dict[str, Any]:
        return {
            key: value for key, value in vars(whole_parser().parse_args(words.split())).items() if "verb" not in key
        }

    assert meaning(line) == meaning(wanted)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        (
            "taintlab result, version 1",
            "version experiment verdict exit_code reason checks evictions phases healed versions",
        ),
        ("CheckResult", "id verdict reason n"),
        ("EvictionRow", "pod uid node verdict rule predicted_s observed_s gone_s replacement_ready_s"),
        ("Phase", "name start_s end_s requests bad p50_ms p99_ms"),
    ],
)
def test_the_promised_keys_of_a_result_are_in_its_schema(name: str, keys: str) -> None:
    schema = json.loads((ROOT / "reports/assets/result.schema.json").read_text(encoding="utf-8"))
    part = schema["$defs"].get(name, schema)
    assert part["title"] == name
    assert set(keys.split()) <= set(part["properties"])


def test_the_words_and_numbers_are_the_promised_ones() -> None:
    words = {"on time", "early", "late", "survived wrongly", "evicted wrongly", "survived", "unknown"}
    assert set(PodVerdict) == words
    codes = {code.name: int(code) for code in ExitCode}
    assert sorted(codes.values()) == [0, 1, 2, 3, 4, 5, 130]


def test_the_command_is_where_it_is_promised() -> None:
    assert 'taintlab = "harness.cli:main"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test", "setup"):
        assert f"\n{target}:" in f"\n{makefile}"


SCRIPT = """\
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
"""Every kind of write, as the promise shows them. Write 1 takes tolerations away, which the API server refuses (422);
write 3 deletes a pod that the taint has driven off by then, without a grace period (404)."""


OUTCOMES = ("evicted", "survives", "deleted", "never-created", "unsure")


def test_a_script_with_every_kind_of_write_is_predicted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "script.yaml"
    file.write_text(SCRIPT)
    assert cli.main(["predict", str(file), "--json"]) == ExitCode.PASS
    said = json.loads(capsys.readouterr().out)
    assert (said["version"], said["refused"]) == (1, [1, 3])
    assert set(said["pods"]) == {"p0", "p1"}
    assert {pod["outcome"] for pod in said["pods"].values()} <= set(OUTCOMES)
    assert [pod["outcome"] for pod in said["pods"].values() if not pod["rule"]] == []
    earliest_s, latest_s = said["pods"]["p1"]["at"]
    assert said["pods"]["p1"]["outcome"] == "evicted"
    assert 3.0 <= earliest_s <= latest_s < 4.0
