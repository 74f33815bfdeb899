"""Small files that would cost much: each is answered or refused, with a message, for little work.

Seconds are the processor's own. The limits are far above what is needed (most need a tenth of a second).
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import TaintlabError
from harness.lab.topology import read_topology_file

LIMIT_S = 5.0
MIB = 1 << 20

HEAD = "apiVersion: taintlab.dev/v1alpha1\nkind: Experiment\nmetadata: {name: x}\nspec:\n"
FAULT = "  faults: [{taint: {key: spot, effect: NoExecute}}]\n"
PHASES = "  phases: {fault: 30s}\n"
TARGET = "  target: {nodes: {selector: pool=spot}}\n"
TOLERATION = "{tolerations: {pods: app=web, set: [{key: spot, operator: Exists}]}}"


def experiment(*, target: str = TARGET, phases: str = PHASES, faults: str = FAULT, more: str = "") -> str:
    return HEAD + target + phases + faults + more


def selector(text: str) -> str:
    return f'  target: {{nodes: {{selector: "{text}"}}}}\n'


EXPERIMENTS: dict[str, tuple[str, str]] = {
    "a duration of digits": (experiment(phases="  phases: {fault: '" + "1" * 200_000 + "!'}\n"), "200,001 characters"),
    "a selector of commas": (experiment(target=selector("," * 200_000)), "200,000 characters"),
    "a selector of terms": (experiment(target=selector("k," * 1000)), "at most 100 terms"),
    "many node names": (
        experiment(target=f"  target: {{nodes: {{names: [{', '.join(f'n{n}' for n in range(90_000))}]}}}}\n"),
        "at most 5,000",
    ),
    "many faults": (experiment(faults=f"  faults: [{', '.join(['{cordon: {}}'] * 20_000)}]\n"), "at most 200"),
    "many unknown keys": (experiment(more="".join(f"  key{n}: 1\n" for n in range(40_000))), "and 901 more problems"),
    "many unknown values": (
        experiment(faults=f"  faults: [{', '.join(['{taint: {key: k, effect: NoExcute}}'] * 200)}]\n"),
        "did you mean NoExecute?",
    ),
    "a syntax error at the end": (experiment(more="".join(f"  k{n}: v\n" for n in range(80_000)) + "  }"), "not valid"),
    "an escape beyond Unicode": (experiment(more='  x: "\\UFFFFFFFF"\n'), "not valid YAML"),
    "half a character": (experiment(more='  x: "\\ud800"\n'), "half a character"),
    "aliases of a long text": (
        experiment(more=f"  a: &a '{'x' * 500_000}'\n  b: [{', '.join(['*a'] * 50_000)}]\n"),
        "million characters",
    ),
    "brackets": (experiment(more="  x: " + "[" * 900_000), "nested deeper"),
    "a path of 300 characters": (experiment(more=f"  workload: [{'p' * 300}]\n"), "there is no file"),
    "a path with a NUL": (experiment(more='  workload: ["a\\0b"]\n'), "character #x0000"),
    "a name that steers": (experiment(more='  "\\e]0;OWNED\\a": 1\n'), "there is no key"),
}


def timed(limit_s: float, run: Callable[[], int]) -> int:
    begin_s = time.process_time()
    code = run()
    assert time.process_time() - begin_s < limit_s
    return code


@pytest.mark.parametrize(("text", "said"), EXPERIMENTS.values(), ids=EXPERIMENTS.keys())
def test_experiments(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert len(text) <= MIB
    assert timed(LIMIT_S, lambda: main(["validate", str(path)])) == 2
    out = capsys.readouterr().out
    assert said in out
    assert "\x1b" not in out
    assert all(line.startswith((f"{path}:", "and ")) for line in out.splitlines())
    assert len(out) < 100_000


def test_a_workload_is_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file under many names, and many faults for many pods."""
    big = "".join(
        f"---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p{n}, labels: {{app: web}}}}, spec: {{}}}}\n"
        for n in range(1900)
    )
    (tmp_path / "m.yaml").write_text(big)
    names = ", ".join(f"{'./' * n}m.yaml" for n in range(60))
    path = tmp_path / "x.yaml"
    path.write_text(experiment(faults=f"  faults: [{TOLERATION}]\n", more=f"  workload: [{names}]\n"))
    assert timed(LIMIT_S, lambda: main(["validate", str(path)])) == 2
    assert "m.yaml is listed twice" in capsys.readouterr().out
    many = ", ".join([TOLERATION.replace("app=web", "'" + ",".join(["app=web"] * 50) + "'")] * 200)
    path.write_text(experiment(faults=f"  faults: [{many}]\n", more="  workload: [m.yaml]\n"))
    assert timed(LIMIT_S, lambda: main(["validate", str(path)])) == 2
    assert "more than can be checked" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../../../../version", "a/b", "..", "a%2e", "a b", "x" * 254])
def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.yaml").write_text(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}))
    path = tmp_path / "x.yaml"
    path.write_text(experiment(more="  workload: [m.yaml]\n"))
    assert main(["validate", str(path)]) == 2
    assert "name: " in capsys.readouterr().out


def test_names_that_some_kinds_have_are_taken(tmp_path: Path) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:a-b"}}
    (tmp_path / "m.yaml").write_text(json.dumps(role))
    path = tmp_path / "x.yaml"
    path.write_text(experiment(more="  workload: [m.yaml]\n"))
    assert main(["validate", str(path)]) == 0


@pytest.mark.parametrize("verb", ["validate", "predict"])
@pytest.mark.parametrize("what", ["pipe", "device", "folder", "loop", "long name", "forbidden", "large"])
def test_what_is_no_file(verb: str, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.yaml"
    match what:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "loop":
            path.symlink_to(path)
        case "long name":
            path = tmp_path / ("n" * 300)
        case "forbidden":
            path.write_text("a")
            path.chmod(0)
        case "large":
            path.write_bytes(b"#" * (MIB + 1))
    assert timed(LIMIT_S, lambda: main([verb, str(path)])) == 2
    said = capsys.readouterr()
    assert "defect" not in said.err
    with pytest.raises(TaintlabError):
        read_topology_file(path)


def test_a_loop_of_folders_is_not_walked(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert main(["validate", str(tmp_path)]) == 2


TOPOLOGIES = {
    "many unknown keys": "nodes: [{name: a}]\n" + "".join(f"k{n}: 1\n" for n in range(60_000)),
    "many groups": "nodes:\n" + "".join(f"- {{name: n{n}, count: 100}}\n" for n in range(30_000)),
    "many taints": f"nodes: [{{name: a, taints: [{', '.join(f'k{n}=v:NoExecute' for n in range(40_000))}, x]}}]",
    "brackets": "nodes: " + "[" * 900_000,
    "an escape beyond Unicode": 'nodes: "\\UFFFFFFFF"',
    "half a character": 'nodes: "\\ud800"',
    "a syntax error at the end": "".join(f"k{n}: v\n" for n in range(80_000)) + "}",
    "brackets that only one parser takes": "nodes: {a:" + "[" * 60_000 + "}",
    "digits": f"nodes: [{{name: a, count: {'9' * 500_000}, capacity: {{cpu: {'9' * 400_000}}}}}]",
}


@pytest.mark.parametrize("text", TOPOLOGIES.values(), ids=TOPOLOGIES.keys())
def test_topologies(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(text)
    assert len(text) <= MIB

    def run() -> int:
        with pytest.raises(TaintlabError) as caught:
            read_topology_file(path)
        assert len(str(caught.value)) < 200_000
        return int(caught.value.exit_code)

    assert timed(LIMIT_S, run) == 2


def taint(n: int = 0, effect: str = "NoExecute") -> dict[str, str]:
    return {"key": f"k{n}", "value": "x", "effect": effect}


def script(pods: int = 0, writes: object = (), **pod: object) -> str:
    made = [{"name": f"p{n}", "node": "a", **pod} for n in range(pods)]
    return json.dumps(
        {"version": 1, "nodes": [{"name": "a"}], "pods": made, "writes": list(writes), "until": 9999}  # type: ignore[call-overload]
    )


SCRIPTS: dict[str, tuple[str, int, str]] = {
    "many unknown pods": (script(9, [{"at": 1, "delete": {"pod": f"q{n}"}} for n in range(9000)]), 2, "no q0"),
    "many unknown pods among many": (
        script(9000, [{"at": 1, "delete": {"pod": f"q{n}"}} for n in range(9000)]),
        2,
        "did you mean p",
    ),
    "many writes for many pods": (
        script(2000, [{"at": n, "taints": {"node": "a", "set": [taint(n % 2)]}} for n in range(5000)]),
        2,
        "times as long as a script may",
    ),
    "many taints for many tolerations": (
        script(
            1,
            [{"at": 1, "taints": {"node": "a", "set": [taint(n) for n in range(8000)]}}],
            tolerations=[{"key": f"k{n}", "operator": "Exists"} for n in range(8000)],
        ),
        2,
        "times as long as a script may",
    ),
    "many restarts": (
        script(
            9,
            [
                {"at": 0, "taints": {"node": "a", "set": [taint()]}},
                *({"at": n / 8, "restart": "kube-controller-manager"} for n in range(3000)),
            ],
            tolerations=[{"key": "k0", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 99}],
        ),
        0,
        "p8",
    ),
    "as many pods as fit": (script(20_000, [{"at": 1, "taints": {"node": "a", "set": [taint()]}}]), 0, "p19999"),
}


@pytest.mark.parametrize(("text", "code", "said"), SCRIPTS.values(), ids=SCRIPTS.keys())
def test_scripts(text: str, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.json"
    path.write_text(text)
    assert len(text) <= MIB
    assert timed(LIMIT_S, lambda: main(["predict", str(path)])) == code
    out = capsys.readouterr()
    assert said in out.out + out.err


NODE = b'{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}}'
WORLDS: dict[str, tuple[bytes, str]] = {
    "a quantity without end": (NODE[:-1] + b',"status":{"allocatable":{"cpu":"1e999999999"}}}', "1e999999999"),
    "items that look like items": (
        NODE[:-2] + b',"x":[' + b'{"apiVersion":1},' * 4_000_000 + b"1]}}",
        "cannot be told apart",
    ),
    "one long string": (NODE[:-2] + b',"x":"' + b"a" * (60 * MIB) + b'"}}', "an item of more than 16 MiB"),
    "a bomb": (NODE + b"," + b'{"apiVersion":"v1","kind":"ConfigMap"},\n' * 3_000_000 + NODE, "unpacks to more than"),
    "brackets": (NODE[:-2] + b',"x":' + b"[" * 500_000 + b"]" * 500_000 + b"}}", "nested too deep"),
}


@pytest.mark.parametrize(("items", "said"), WORLDS.values(), ids=WORLDS.keys())
def test_worlds(items: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "w.json.gz"
    path.write_bytes(gzip.compress(b'{"kind":"List","items":[' + items + b"]}", 6))
    assert path.stat().st_size <= MIB
    assert timed(LIMIT_S, lambda: main(["plan", "--world", str(path), "--cordon"])) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("replicas", [2**31, 2**63 - 1, 10_001])
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "Job"])
def test_replicas_without_end(kind: str, replicas: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    version = "batch/v1" if kind == "Job" else "apps/v1"
    spec = {"replicas": replicas, "parallelism": replicas, "template": {"spec": {"containers": []}}}
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": "big"}, "spec": spec}
    (tmp_path / "m.yaml").write_text(json.dumps(body))
    path = tmp_path / "x.yaml"
    path.write_text(experiment(more="  workload: [m.yaml]\n"))
    assert timed(LIMIT_S, lambda: main(["plan", str(path)])) == 2
    assert "at most 10,000 pods" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[" * 500_000, "plan"),
        (b'{"kind": "taintlab-plan", "version": 1, "leaving": 5}', "damaged plan"),
        (b'{"kind": "taintlab-plan", "version": 1, "title": {}, "leaving": [], "findings": []}', "damaged plan"),
        (b"5", "no plan"),
        (b"\xff", "JSON"),
    ],
)
def test_plans_to_compare(data: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(data)
    assert main(["plan", "--diff", str(path), str(path)]) == 2
    assert said in capsys.readouterr().err
