"""Running one experiment: folder, cluster, plan, conductor, verdict."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import harness
from harness.adapters.prometheus import PrometheusMetrics
from harness.check.judge import Judgement
from harness.clock import Clock, wall_text
from harness.errors import ClusterError
from harness.faults.claim import claim_of
from harness.history import folder as folders
from harness.history.folder import RunFolder, write_json
from harness.history.record import Recorder
from harness.model import events
from harness.model.experiment import Experiment
from harness.model.plan import Plan
from harness.model.world import World, node_from_api
from harness.plan.forecast import forecast_planned
from harness.plan.steps import describe, make_steps
from harness.plan.targets import choose_targets
from harness.run.conduct import Conductor, Outcome, Stage
from harness.run.deeds import Deeds
from harness.run.ledger import Ledger
from harness.run.observe import NODE_PATH, Observer
from harness.run.ports import Progress
from harness.run.workload import Workload
from harness.wiring.judging import judge_folder
from harness.wiring.load import LoadgenDriver, load_config
from harness.wiring.place import Place

_GRACE_AFTER_PLAN_S = 60
_DATE_HEADER_ERROR_MS = 500.0


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that came to its end, one way or another."""

    folder: Path
    judgement: Judgement
    result: dict[str, Any]


def default_folder(experiment: Experiment, *, clock: Clock, base: Path) -> Path:
    """``runs/<experiment>/<UTC>-<seed>``."""
    stamp = datetime.fromtimestamp(clock.now().wall_ns / 1e9, UTC).strftime("%Y%m%dT%H%M%SZ")
    seed = experiment.target.seed if experiment.target else 0
    return base / "runs" / experiment.name / f"{stamp}-{seed}"


async def run_experiment(
    experiment: Experiment, place: Place, path: Path, *, clock: Clock, progress: Progress
) -> Finished:
    """Run `experiment` on `place` with `path` as its folder, judge it, and return what came of it.

    Everything needed to judge again is saved before, during and after. SIGINT and SIGTERM heal and end the run.
    """
    targets = await _preflight(experiment, place)
    folder = folders.create(path)
    run_id = f"{experiment.name}-{datetime.fromtimestamp(clock.now().wall_ns / 1e9, UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
    shutil.copyfile(experiment.source, folder.spec)
    write_json(folder.experiment, experiment)
    recorder = Recorder(folder.history, clock, run_id=run_id)
    ledger = Ledger(folder.ledger)
    try:
        await _conduct(experiment, targets, place, folder, recorder, ledger, run_id, progress, clock)
    finally:
        recorder.close()
        ledger.close()
    judgement, result = judge_folder(folder)
    return Finished(folder.path, judgement, result)


async def _preflight(experiment: Experiment, place: Place) -> tuple[str, ...]:
    """The targets, chosen before anything is written anywhere. ClusterError when another run still holds one of
    them.
    """
    if experiment.target is None:
        return ()
    listed = (await place.cluster.list(NODE_PATH)).items
    targets = choose_targets(experiment.target, [node_from_api(node) for node in listed])
    for node in listed:
        claim = claim_of(node) if node["metadata"]["name"] in targets else None
        if claim is not None:
            name = node["metadata"]["name"]
            mend = "wait for it, or take its changes off with `taintlab recover`"
            raise ClusterError(f"node {name} is claimed by run {claim.run}: {mend}")
    return targets


async def _conduct(
    experiment: Experiment,
    targets: tuple[str, ...],
    place: Place,
    folder: RunFolder,
    recorder: Recorder,
    ledger: Ledger,
    run_id: str,
    progress: Progress,
    clock: Clock,
) -> Outcome:
    observer = Observer(place.cluster, recorder)
    await observer.start()
    offset_ms = await place.cluster.clock_offset_ms()
    if offset_ms is not None:
        recorder.record(events.SkewMeasured(round(offset_ms, 1), _DATE_HEADER_ERROR_MS), source="run")
    try:
        world = observer.world(kubernetes_version=place.kubernetes_version)
        _write_versions(folder, place, world)
        steps = make_steps(experiment, targets)
        write_json(folder.plan, Plan(run_id, experiment.name, targets, steps, ()))
        _announce(experiment, place, targets, progress)

        def before_fault(now: World) -> None:
            """The pods are there now: predict, and keep world and plan as they are before anything is touched."""
            predictions = forecast_planned(experiment, steps, targets, now, place.settings)
            write_json(folder.world, now)
            write_json(folder.plan, Plan(run_id, experiment.name, targets, steps, predictions))

        namespaces = frozenset(m.namespace or "default" for m in experiment.workload)
        deadline_s = experiment.phases.total_s + _GRACE_AFTER_PLAN_S
        deadline = wall_text(clock.now().wall_ns + int(timedelta(seconds=deadline_s).total_seconds() * 1e9))
        stage = Stage(
            experiment=experiment,
            steps=steps,
            targets=targets,
            recorder=recorder,
            observer=observer,
            deeds=Deeds(
                cluster=place.cluster,
                components=place.components,
                observer=observer,
                recorder=recorder,
                ledger=ledger,
                run_id=run_id,
                deadline=deadline,
                namespaces=namespaces,
            ),
            workload=Workload(
                place.cluster, ledger, run_id=run_id, manifests=experiment.workload, experiment=experiment.name
            ),
            load=_load(experiment, place, folder, clock),
            metrics=PrometheusMetrics(place.prometheus_url) if place.prometheus_url else None,
            progress=progress,
            kubernetes_version=place.kubernetes_version,
            namespaces=namespaces,
            before_fault=before_fault,
        )
        conductor = Conductor(stage)
        restore = _on_signals(conductor.interrupt)
        try:
            return await conductor.run()
        finally:
            restore()
    finally:
        await observer.stop()


def _load(experiment: Experiment, place: Place, folder: RunFolder, clock: Clock) -> LoadgenDriver | None:
    if experiment.load is None:
        return None
    config = load_config(experiment, experiment.load)
    return LoadgenDriver(config, folder.load, prefix=place.load_prefix, clock=clock)


def _announce(experiment: Experiment, place: Place, targets: tuple[str, ...], progress: Progress) -> None:
    """Say what is about to be touched."""
    progress.say(f"{experiment.name} on {place.cluster.name} (Kubernetes {place.kubernetes_version})")
    for note in place.notes:
        progress.say(f"note: {note}")
    for fault in experiment.faults:
        progress.say(f"will put {describe(fault)}" + (f" on {', '.join(targets)}" if targets else ""))


def _write_versions(folder: RunFolder, place: Place, world: World) -> None:
    if not world.nodes:
        raise ClusterError(f"{place.cluster.name} has no nodes")
    versions = {
        "taintlab": harness.__version__,
        "kubernetes": place.kubernetes_version,
        "python": platform.python_version(),
    }
    nodes = [
        {"name": node.name, "labels": dict(node.labels), "taints": [str(taint) for taint in node.taints]}
        for node in world.nodes
    ]
    body = {
        "versions": versions,
        "reach": place.reach,
        "settings": place.settings,
        "environment": {"cluster": place.cluster.name, "nodes": nodes},
    }
    write_json(folder.versions, body)


def _on_signals(interrupt: Callable[[str], None]) -> Callable[[], None]:
    """Let SIGINT and SIGTERM end the run in order; the answer undoes that."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt, f"by {number.name}")

    def restore() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    return restore
