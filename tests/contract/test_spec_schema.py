"""The JSON Schema and the reader say the same of a file's structure; the written copies of both are current."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from harness.errors import InvalidFile
from harness.faults.registry import FAULTS
from harness.formats.document import parse
from harness.formats.experiment.fields import file_shape
from harness.formats.nodes import plain
from harness.formats.read import default_of
from harness.formats.script import parse_script
from harness.formats.script import reference as script
from harness.formats.shapes import ListOf, OneOf, Record, Shape
from harness.formats.topology import read_topology
from harness.formats.topology import reference as topology
from harness.wiring.experiments import examine_text, experiment_files, json_schema, reference

ROOT = Path(__file__).parents[2]
VALIDATOR = Draft202012Validator(json_schema())

FULL: Any = {
    "apiVersion": "taintlab.dev/v1alpha1",
    "kind": "Experiment",
    "metadata": {"name": "full", "description": ""},
    "spec": {
        "workload": ["experiments/manifests/web.yaml"],
        "target": {"nodes": {"selector": "pool=spot", "count": 1}, "seed": 7},
        "load": {
            "url": "http://web.default.svc",
            "rate": "100/s",
            "timeout": "2s",
            "method": "GET",
            "headers": {"X-From": "x"},
            "body": "",
            "arrivals": "poisson",
            "connection": "reuse",
            "seed": 0,
            "processes": 1,
        },
        "phases": {"warmup": "5s", "baseline": "20s", "fault": "30s", "recovery": "20s"},
        "faults": [
            {"taint": {"key": "spot", "value": "true", "effect": "NoExecute"}, "at": "0s", "for": "20s"},
            {
                "tolerations": {
                    "pods": "app=web",
                    "set": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
                }
            },
            {"restart": "kube-controller-manager"},
            {"cordon": {}},
        ],
        "expect": {
            "evictions": "as-predicted",
            "slos": [{"name": "a", "phases": ["fault"], "good": "latency <= 250ms", "ratio": 0.99}],
            "recovery": {"within": "15s"},
            "metrics": [{"name": "cpu", "query": "up", "phases": ["fault"], "min": 0, "max": 0.9}],
        },
        "guard": {"badRatio": 0.5},
        "lab": {"kubernetes": "1.35", "flags": ["kube-controller-manager=--kube-api-qps=20"]},
    },
}


def schema_takes(value: Any) -> bool:
    return bool(VALIDATOR.is_valid(value))


def reader_takes(value: Any) -> bool:
    """JSON is YAML; paths count from the repository's root."""
    return examine_text(json.dumps(value, ensure_ascii=False), ROOT / "f.yaml").experiment is not None


def changed(path: str, value: Any) -> Any:
    """FULL with the value at the dotted path replaced; DROP takes the key out."""
    copy = deepcopy(FULL)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    inner = copy
    for step in way:
        inner = inner[step]
    if value is DROP:
        del inner[last]
    else:
        inner[last] = value
    return copy


DROP = object()

VALID = [
    ("metadata.description", DROP),
    ("metadata.name", "x" * 63),
    ("spec.target.nodes", {"names": ["a", "b"]}),
    ("spec.target.nodes.count", DROP),
    ("spec.target.seed", DROP),
    ("spec.load.timeout", "1m"),
    ("spec.load.timeout", DROP),
    ("spec.load.rate", "0.5/s"),
    ("spec.load.url", "https://[::1]:8443/a?b=c"),
    ("spec.load.headers", {}),
    ("spec.load.headers.X-From", "é\tx"),
    ("spec.phases.warmup", DROP),
    ("spec.phases.baseline", "1h2m3s4ms"),
    ("spec.faults.3.cordon", None),
    ("spec.faults.0.for", DROP),
    ("spec.faults.0.taint.value", ""),
    ("spec.faults.0.taint.key", "example.com/Spot_1"),
    ("spec.faults.1.tolerations.set.0.key", ""),
    ("spec.faults.1.tolerations.set.0.tolerationSeconds", -1),
    ("spec.expect.slos.0.good", "success"),
    ("spec.expect.slos.0.good", "latency<=1s"),
    ("spec.expect.slos.0.ratio", 1),
    ("spec.expect.metrics.0.min", DROP),
    ("spec.expect.evictions", "ignored"),
    ("spec.guard", {}),
    ("spec.lab", {}),
]
INVALID = [
    ("apiVersion", "v1"),
    ("apiVersion", DROP),
    ("kind", "Pod"),
    ("kind", DROP),
    ("metadata", DROP),
    ("metadata.name", "Full"),
    ("metadata.name", "x" * 64),
    ("metadata.name", 5),
    ("metadata.labels", {}),
    ("metadata.description", 5),
    ("spec", []),
    ("spec.extra", 1),
    ("spec.workload", []),
    ("spec.workload", "experiments/manifests/web.yaml"),
    ("spec.workload", ["experiments/manifests/web.yaml"] * 2),
    ("spec.workload.0", 5),
    ("spec.target", {}),
    ("spec.target.nodes", {}),
    ("spec.target.nodes", {"names": []}),
    ("spec.target.nodes.names", ["a"]),
    ("spec.target.nodes.count", 0),
    ("spec.target.nodes.count", "1"),
    ("spec.target.nodes.selector", ""),
    ("spec.target.seed", -1),
    ("spec.target.seed", 1.5),
    ("spec.target.seed", True),
    ("spec.load.url", "web"),
    ("spec.load.url", "ftp://web"),
    ("spec.load.url", "http://web/#x"),
    ("spec.load.url", DROP),
    ("spec.load.rate", 100),
    ("spec.load.rate", "100"),
    ("spec.load.rate", "100/d"),
    ("spec.load.timeout", 2),
    ("spec.load.timeout", "2"),
    ("spec.load.timeout", "2 s"),
    ("spec.load.timeout", ""),
    ("spec.load.method", "get"),
    ("spec.load.headers", ["X"]),
    ("spec.load.headers", {"a b": "c"}),
    ("spec.load.headers.X-From", 5),
    ("spec.load.headers.X-From", "a\nb"),
    ("spec.load.body", 5),
    ("spec.load.arrivals", "bursty"),
    ("spec.load.connection", "none"),
    ("spec.load.processes", 0),
    ("spec.load.processes", 65),
    ("spec.phases", DROP),
    ("spec.phases.faults", "1s"),
    ("spec.phases.fault", "-1s"),
    ("spec.faults", []),
    ("spec.faults.0", {"at": "1s"}),
    ("spec.faults.0.cordon", {}),
    ("spec.faults.0.taint.effect", "Evict"),
    ("spec.faults.0.taint.effect", DROP),
    ("spec.faults.0.taint.key", ""),
    ("spec.faults.0.taint.key", "a b"),
    ("spec.faults.0.taint.value", True),
    ("spec.faults.0.taint.value", "x" * 64),
    ("spec.faults.0.taint.tolerationSeconds", 5),
    ("spec.faults.1.for", "1s"),
    ("spec.faults.1.tolerations.set", []),
    ("spec.faults.1.tolerations.pods", DROP),
    ("spec.faults.1.tolerations.set.0.operator", "In"),
    ("spec.faults.1.tolerations.set.0.tolerationSeconds", "5"),
    ("spec.faults.1.tolerations.set.0.tolerationSeconds", 2**63),
    ("spec.faults.2.restart", "kubelet"),
    ("spec.faults.3.cordon", {"a": 1}),
    ("spec.faults.3.cordon", []),
    ("spec.expect.evictions", True),
    ("spec.expect.slos", {}),
    ("spec.expect.slos.0.phases", []),
    ("spec.expect.slos.0.phases", ["fault", "fault"]),
    ("spec.expect.slos.0.phases", ["during"]),
    ("spec.expect.slos.0.good", "fast"),
    ("spec.expect.slos.0.good", "latency <= 250"),
    ("spec.expect.slos.0.good", "latency < 250ms"),
    ("spec.expect.slos.0.ratio", 0),
    ("spec.expect.slos.0.ratio", 1.01),
    ("spec.expect.slos.0.ratio", "0.99"),
    ("spec.expect.recovery", {}),
    ("spec.expect.metrics.0.query", ""),
    ("spec.expect.metrics.0.max", "1"),
    ("spec.guard.badRatio", 1),
    ("spec.guard.badRatio", 0),
    ("spec.lab.kubernetes", 1.35),
    ("spec.lab.kubernetes", "v1.35.4"),
    ("spec.lab.flags", "kubelet=--v=4"),
    ("spec.lab.flags", ["kubelet --v=4"]),
]


def named(cases: list[tuple[str, Any]]) -> list[Any]:
    return [
        pytest.param(path, value, id=f"{path}={'-' if value is DROP else repr(value)[:30]}") for path, value in cases
    ]


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


def test_full_is_valid() -> None:
    assert schema_takes(FULL)
    assert reader_takes(FULL)


@pytest.mark.parametrize(("path", "value"), named(VALID))
def test_both_accept(path: str, value: Any) -> None:
    assert schema_takes(changed(path, value))
    assert reader_takes(changed(path, value))


@pytest.mark.parametrize(("path", "value"), named(INVALID))
def test_both_refuse(path: str, value: Any) -> None:
    assert not schema_takes(changed(path, value))
    assert not reader_takes(changed(path, value))


@pytest.mark.parametrize("file", experiment_files([ROOT / "experiments"]), ids=lambda file: file.stem)
def test_the_library_passes_the_schema(file: Path) -> None:
    (document,) = parse(file.read_text(), file=str(file)).documents
    assert list(VALIDATOR.iter_errors(plain(document))) == []


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    children: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inner = [found for key, child in children for found in leaves(child, (*path, str(key)))]
    yield from inner or [".".join(path)]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([path for path in leaves(FULL) if not path.startswith("spec.workload")]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet="0159.smh/<= -aS", max_size=8)
    | st.sampled_from([[], {}, ["x"], {"x": 1}]),
)
def test_what_the_reader_takes_the_schema_takes(path: str, value: Any) -> None:
    """The schema may be the weaker of the two (it knows no rules across keys), never the stricter."""
    if reader_takes(changed(path, value)):
        assert schema_takes(changed(path, value))


def records(shape: Shape) -> Iterator[Record]:
    """Every record of the declaration."""
    match shape:
        case Record():
            yield shape
            for field in shape.fields:
                yield from records(field.shape)
        case ListOf(item=item):
            yield from records(item)
        case OneOf(records=members):
            for member in members:
                yield from records(member)
        case _:
            return


MODELLED = [record for record in records(file_shape(FAULTS)) if dataclasses.is_dataclass(record.build)]


@pytest.mark.parametrize("record", MODELLED, ids=lambda record: record.title)
def test_the_declaration_fills_the_model_with_the_model_s_own_defaults(record: Record) -> None:
    assert isinstance(record.build, type)
    known = {field.name: field for field in dataclasses.fields(record.build)}
    for field in record.fields:
        assert field.fills in known, f"{record.title} has no {field.fills}"
        model_default = known[field.fills].default
        if field.default is not None and model_default is not dataclasses.MISSING:
            assert default_of(field) == model_default, f"{record.title}.{field.key}"
    never = {name for name, field in known.items() if field.default is dataclasses.MISSING} - {"source"}
    never -= {field.fills for field in record.fields}
    assert not {name for name in never if known[name].default_factory is dataclasses.MISSING}


def current(make: Callable[[], str], file: Path, command: str) -> None:
    assert file.read_text() == make(), f"{file.relative_to(ROOT)} is out of date: make it anew with `{command}`"


def test_the_written_schema_is_current() -> None:
    file = ROOT / "harness/formats/experiment/experiment.schema.json"
    current(lambda: json.dumps(json_schema(), indent=2) + "\n", file, f"taintlab schema > {file.relative_to(ROOT)}")


def test_the_reference_page_is_current() -> None:
    file = ROOT / "docs/reference/experiment.md"
    current(reference, file, f"taintlab schema --markdown > {file.relative_to(ROOT)}")


@pytest.mark.parametrize("made", [script, topology], ids=["script", "topology"])
def test_the_reference_page_of_another_kind_is_current(made: ModuleType) -> None:
    kind = made.__name__.split(".")[-2]
    file = ROOT / f"docs/reference/{kind}.md"
    current(made.reference, file, f"taintlab schema {kind} --markdown > {file.relative_to(ROOT)}")


OTHERS: list[tuple[str, Any, bool]] = [
    ("script", {"version": 1, "nodes": [], "pods": [], "writes": [], "until": 1}, True),
    ("script", {"version": 2, "nodes": [], "pods": [], "writes": [], "until": 1}, False),
    ("script", {"version": 1, "nodes": [], "pods": [], "writes": [], "until": -1}, False),
    ("script", {"version": 1, "nodes": [], "pods": [], "writes": []}, False),
    ("script", {"version": 1, "nodes": [{"name": "a", "taints": [{"key": "k"}]}], "pods": [], "writes": []}, False),
    (
        "script",
        {
            "version": 1,
            "nodes": [{"name": "a", "labels": {"zone": "z"}}],
            "pods": [{"name": "p", "node": "a", "tolerations": [{"key": "k", "operator": "", "value": None}]}],
            "writes": [
                {"at": 0, "taints": {"node": "a", "set": [{"key": "k k", "effect": "NoExecute"}]}},
                {"at": 1.5, "restart": "kube-controller-manager"},
            ],
            "until": 2,
        },
        True,
    ),
    ("topology", {"nodes": [{"name": "a", "count": 2, "labels": {"x": True, "y": None, "z": "v"}}]}, True),
    ("topology", {"nodes": [{"name": "a", "taints": ["k=v:NoExecute", {"key": "k", "effect": "NoSchedule"}]}]}, True),
    (
        "topology",
        {"nodes": [{"name": "a", "capacity": {"cpu": 16, "memory": "1Gi"}}], "programs": {"x": ["/bin/x"]}},
        True,
    ),
    ("topology", {"nodes": [{"name": "a", "capacity": {"cpu": "many"}}]}, False),
    ("topology", {"nodes": []}, False),
    ("topology", {"nodes": [{"name": "A"}]}, False),
    ("topology", {"nodes": [{"name": "a", "evictionHard": {"memory": "1Gi"}}]}, False),
]


@pytest.mark.parametrize(("kind", "value", "taken"), OTHERS)
def test_schema_and_reader_of_other_kinds_agree(kind: str, value: Any, taken: bool) -> None:
    made, reader = {"script": (script, parse_script), "topology": (topology, read_topology)}[kind]
    Draft202012Validator.check_schema(made.json_schema())
    assert Draft202012Validator(made.json_schema()).is_valid(value) == taken
    try:
        reader(json.dumps(value), file="x")
    except InvalidFile:
        assert not taken
    else:
        assert taken
