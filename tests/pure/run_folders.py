"""Finished run folders on disk, made by the real recorder and the real writers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.clock import Instant
from harness.cluster.ledger import Ledger
from harness.cluster.ledger_record import Header, Record, RecordKind
from harness.history import folder as folders
from harness.history.folder import RunFolder, write_json
from harness.history.record import Recorder
from harness.history.redact import redact_experiment
from harness.history.redact_yaml import stored_spec
from harness.history.seal import seal
from harness.model import events
from harness.model.experiment import Manifest, RecoveryExpectation
from harness.semantics.eviction.settings import Settings
from loadgen.config import LoadConfig
from loadgen.rows import Outcome, RowHeader, RowWriter, file_name
from tests.pure.records import NODE, HandClock, MadePod, MadeRun, S, steady

SPEC = """\
apiVersion: taintlab.dev/v1alpha1
kind: Experiment
metadata: {name: made}
spec:
  load: {url: http://web, rate: 20/s, headers: {Authorization: Bearer s3cr3t-hunter2}}
  phases: {warmup: 2s, baseline: 10s, fault: 30s, recovery: 20s}
"""
SERVICE = Manifest(
    api_version="v1",
    kind="Service",
    name="web",
    namespace="default",
    body={"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}}},
    file="web.yaml",
    line=1,
)


def made_run() -> MadeRun:
    """A run with traffic, a pod that leaves, a Service and samples."""
    sample = events.Sample("saturation", "cpu", 0.2, "cores", {"t_s": "14.0", "pod": "p"})
    extra: list[tuple[float, events.Fact]] = [
        (0.2, events.EndpointSeen("LISTED", "default", "web", "web-1", 1, 0)),
        (63.2, sample),
        (63.3, replace(sample, signal="latency", name="p99", unit="s")),
        (63.4, events.SkewMeasured(3.0, 500.0)),
    ]
    run = MadeRun(
        [MadePod("p", leaves_at=13.1, gone_at=14.0)], requests=steady(1, 63, rate=20), workload=(SERVICE,), extra=extra
    )
    run.expect = replace(run.expect, recovery=RecoveryExpectation(10.0))
    return run


def write_run(path: Path, run: MadeRun | None = None, *, sealed: bool = True) -> RunFolder:
    """The folder of `run` (`made_run` by default) at `path`, as a run leaves it before it is judged."""
    run = run or made_run()
    record = run.record()
    folder = folders.create(path)
    folder.spec.write_text(stored_spec(SPEC, keep_secrets=False), encoding="utf-8")
    write_json(folder.experiment, redact_experiment(record.experiment))
    write_json(folder.plan, record.plan)
    write_json(folder.world, {"nodes": [], "pods": []})
    node = {"name": NODE, "labels": {"pool": "spot"}, "taints": []}
    environment = {"cluster": "lab made", "nodes": [node]}
    write_json(
        folder.versions,
        {"versions": {"taintlab": "0"}, "reach": {"lab": "x"}, "settings": Settings(), "environment": environment},
    )
    _write_history(folder, record.history.entries)
    ledger = Ledger(folder.ledger, Header("r1", "made", {"lab": "x"}))
    ledger.intend(Record("inject-0", RecordKind.NODE, NODE, "taint spot=x:NoExecute", "uid-n1", "{}"))
    ledger.healed("inject-0")
    ledger.close()
    if record.rows is not None:
        _write_load(folder, run)
    if sealed:
        seal(folder)
    return folder


def _write_history(folder: RunFolder, entries: tuple[events.Entry, ...]) -> None:
    clock = HandClock()
    recorder = Recorder(folder.history, clock, run_id="r1")
    for entry in entries[1:]:  # the recorder writes the first itself
        at = Instant(mono_ns=recorder.start.mono_ns + entry.t_ns, wall_ns=recorder.start.wall_ns + entry.t_ns)
        recorder.record(entry.fact, source=entry.source, at=at)
    recorder.close()


def _write_load(folder: RunFolder, run: MadeRun) -> None:
    folder.load.mkdir(mode=0o700)
    config = LoadConfig(
        url="http://web/?token=s3cr3t", rate_per_s=20, duration_s=60, seed=1, headers=(("X-Auth", "s3cr3t"),)
    )
    config.redacted().write(folder.load / "config.json")
    writer = RowWriter(folder.load / file_name(0))
    start_ns = 5 * S
    writer.begin(RowHeader(pid=1, process=0, processes=1, start_ns=start_ns + S, timeout_ns=2 * S))
    for arrival, (at_s, latency_s, outcome) in enumerate(run.requests or ()):
        due_ns = start_ns + round(at_s * S)
        writer.add(
            intended_ns=due_ns,
            started_ns=due_ns,
            service_ns=round(latency_s * S),
            status=200 if outcome is Outcome.OK else 0,
            outcome=outcome,
            arrival=arrival,
        )
    writer.close()
