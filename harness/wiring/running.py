"""Running one experiment: folder, cluster, plan, conductor, verdict."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import platform
import secrets
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import harness
from harness.adapters.prometheus import PrometheusMetrics
from harness.check.judge import Judgement
from harness.clock import Clock, wall_text
from harness.cluster.ledger import Header, Ledger
from harness.cluster.ports import Progress
from harness.cluster.undo import Holder, claim_of
from harness.errors import CannotRecord, ClusterError, HealFailed, TaintlabError
from harness.faults.registry import FAULTS, UNDO
from harness.files import write_whole
from harness.history import folder as folders
from harness.history.folder import RunFolder, write_json
from harness.history.record import Recorder
from harness.history.redact import redact_experiment
from harness.history.redact_yaml import stored_spec
from harness.history.seal import seal
from harness.model import events
from harness.model.experiment import Experiment
from harness.model.plan import Plan
from harness.model.world import World, node_from_api
from harness.plan.predict import predict_planned
from harness.plan.schedule import make_steps
from harness.plan.targets import choose_targets
from harness.run.conduct import READY_TIMEOUT_S, Conductor
from harness.run.context import RunContext, RunOutcome
from harness.run.drivers import Drivers
from harness.run.observe import NODE_PATH, Observer
from harness.run.progress import SafeProgress
from harness.run.workload import Workload
from harness.wiring.alive import this_process
from harness.wiring.judging import judge_folder
from harness.wiring.load import LoadgenDriver, load_config
from harness.wiring.sessions import ClusterSession

_GRACE_AFTER_PLAN_S = 60
_DATE_HEADER_ERROR_MS = 500.0


_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_NAME_IN_ID = 50
"""Characters of the experiment's name in a run id, which is a label value: 63 at most."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One run: its id, its experiment's full name, and the process that performs it."""

    run: str
    experiment: str
    holder: Holder


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
    experiment: Experiment,
    place: ClusterSession,
    path: Path,
    *,
    clock: Clock,
    progress: Progress,
    keep_secrets: bool = False,
) -> Finished:
    """Run `experiment` on `place` with `path` as its folder, judge it, and return what came of it.

    Everything needed to judge again is saved before, during and after. SIGINT, SIGTERM, SIGHUP and SIGQUIT heal and end
    the run. CannotRecord before anything is touched when the folder has no room for the undo record; HealFailed when
    something stays on the cluster and the run cannot even be judged.
    """
    targets = await _preflight(experiment, place, clock)
    folder = folders.create(path)
    identity = Identity(new_run_id(experiment.name), experiment.name, this_process())
    try:
        _write_experiment(folder, experiment, keep_secrets=keep_secrets)
        subjects = len(targets) + len(experiment.workload)
        ledger = Ledger(folder.ledger, Header(identity.run, experiment.name, place.reach), records=subjects)
        recorder = Recorder(folder.history, clock, run_id=identity.run)
    except OSError as error:
        why = error.strerror or str(error)
        raise CannotRecord(f"{folder.path}: no room for the undo record ({why}); nothing was touched") from error
    voice = SafeProgress(progress)
    try:
        outcome = await _conduct(
            experiment, targets, place, folder, recorder, ledger, identity, voice, clock, keep_secrets=keep_secrets
        )
    finally:
        for closing in (recorder.close, ledger.close):
            with contextlib.suppress(OSError):
                closing()
    if outcome.defect is not None:
        _keep_traceback(folder, outcome.defect)
    return _finish(folder, outcome)


def _write_experiment(folder: RunFolder, experiment: Experiment, *, keep_secrets: bool) -> None:
    spec = Path(experiment.source).read_text(encoding="utf-8-sig")
    write_whole(folder.spec, stored_spec(spec, keep_secrets=keep_secrets).encode())
    write_json(folder.experiment, experiment if keep_secrets else redact_experiment(experiment))


def _keep_traceback(folder: RunFolder, defect: BaseException) -> None:
    with contextlib.suppress(OSError):
        write_whole(folder.path / "defect.txt", "".join(traceback.format_exception(defect)).encode(errors="replace"))


def _finish(folder: RunFolder, outcome: RunOutcome) -> Finished:
    """Seal and judge. Whatever goes wrong with that, what is left on the cluster is told."""
    try:
        with contextlib.suppress(OSError):  # a full disk: no seal, so the verdict is INVALID and says so
            seal(folder)
        judgement, result = judge_folder(folder, leftovers=outcome.leftovers)
    except (TaintlabError, OSError) as error:
        why = " ".join(str(error).split())
        if outcome.leftovers:
            left = "; ".join(outcome.leftovers)
            raise HealFailed(f"left on the cluster: {left}; and the run cannot be judged: {why}") from error
        ended = f"the run ended ({outcome.state}{': ' + outcome.message if outcome.message else ''})"
        raise CannotRecord(f"{ended} and nothing is left on the cluster, but it cannot be judged: {why}") from error
    return Finished(folder.path, judgement, result)


def new_run_id(name: str) -> str:
    """``<experiment>-<8 random hex digits>``: a label value (63 characters at most) that no two machines share."""
    return f"{name[:_NAME_IN_ID].rstrip('-.')}-{secrets.token_hex(4)}"


async def _preflight(experiment: Experiment, place: ClusterSession, clock: Clock) -> tuple[str, ...]:
    """The targets, chosen before anything is written anywhere. ClusterError when another run still holds one of them,
    or when the credentials end before the run.
    """
    expire_s = place.cluster.credentials_expire_at_s()
    left_s = None if expire_s is None else expire_s - clock.now().wall_ns / 1e9
    if left_s is not None and left_s < _longest_s(experiment) and not place.cluster.renews_credentials:
        raise ClusterError(
            f"the credentials of {place.cluster.name} end in {max(0.0, left_s):.0f} s and nothing renews them; the run "
            f"may take {_longest_s(experiment):.0f} s: nothing was touched; log in again, or use an exec plugin"
        )
    if experiment.target is None:
        return ()
    listed = (await place.cluster.list(NODE_PATH)).items
    targets = choose_targets(experiment.target, [node_from_api(node) for node in listed])
    for node in listed:
        claim = claim_of(node, UNDO) if node["metadata"]["name"] in targets else None
        if claim is not None:
            name = node["metadata"]["name"]
            fix = "wait for it, or take its changes off with `taintlab recover`"
            raise ClusterError(f"node {name} is claimed by run {claim.run}: {fix}")
    return targets


def _longest_s(experiment: Experiment) -> float:
    """From the first write to the instant at which healing is given up."""
    ready_s = READY_TIMEOUT_S if experiment.workload else 0.0
    return experiment.phases.total_s + ready_s + _GRACE_AFTER_PLAN_S


async def _conduct(
    experiment: Experiment,
    targets: tuple[str, ...],
    place: ClusterSession,
    folder: RunFolder,
    recorder: Recorder,
    ledger: Ledger,
    identity: Identity,
    progress: Progress,
    clock: Clock,
    *,
    keep_secrets: bool,
) -> RunOutcome:
    observer = Observer(place.cluster, recorder)
    try:
        await observer.start()
        offset_ms = await place.cluster.clock_offset_ms()
        if offset_ms is not None:
            recorder.record(events.SkewMeasured(round(offset_ms, 1), _DATE_HEADER_ERROR_MS), source="run")
        world = observer.world(kubernetes_version=place.kubernetes_version)
        _write_versions(folder, place, world)
        steps = make_steps(experiment, targets)
        write_json(folder.plan, Plan(identity.run, experiment.name, targets, steps, ()))
        _announce(experiment, place, targets, progress)

        def before_fault(now: World) -> None:
            """The pods are there now: predict, and keep world and plan as they are before anything is touched."""
            predictions = predict_planned(experiment, steps, targets, now, place.settings)
            write_json(folder.world, now)
            write_json(folder.plan, Plan(identity.run, experiment.name, targets, steps, predictions))

        now = clock.now()
        longest_ns = int(_longest_s(experiment) * 1e9)
        namespaces = frozenset(m.namespace or "default" for m in experiment.workload)
        stage = RunContext(
            experiment=experiment,
            steps=steps,
            targets=targets,
            recorder=recorder,
            observer=observer,
            drivers=Drivers(
                cluster=place.cluster,
                components=place.components,
                observer=observer,
                recorder=recorder,
                ledger=ledger,
                kinds=FAULTS,
                run_id=identity.run,
                deadline=wall_text(now.wall_ns + longest_ns),
                namespaces=namespaces,
                holder=identity.holder,
                heartbeat=now.wall,
                clock=clock,
            ),
            workload=Workload(
                place.cluster,
                ledger,
                run_id=identity.run,
                manifests=experiment.workload,
                experiment=experiment.name,
                holder=identity.holder,
                clock=clock,
            ),
            load=_load(experiment, place, folder, clock, keep_secrets=keep_secrets),
            metrics=PrometheusMetrics(place.prometheus_url) if place.prometheus_url else None,
            progress=progress,
            kubernetes_version=place.kubernetes_version,
            namespaces=namespaces,
            before_fault=before_fault,
            clock=clock,
            deadline_ns=now.mono_ns + longest_ns,
        )
        conductor = Conductor(stage)
        restore = _on_signals(conductor.interrupt)
        try:
            return await conductor.run()
        finally:
            restore()
    finally:
        await observer.stop()


def _load(
    experiment: Experiment, place: ClusterSession, folder: RunFolder, clock: Clock, *, keep_secrets: bool
) -> LoadgenDriver | None:
    if experiment.load is None:
        return None
    config = load_config(experiment, experiment.load)
    return LoadgenDriver(config, folder.load, prefix=place.load_prefix, clock=clock, keep_secrets=keep_secrets)


def _announce(experiment: Experiment, place: ClusterSession, targets: tuple[str, ...], progress: Progress) -> None:
    """Say what is about to be touched."""
    progress.say(f"{experiment.name} on {place.cluster.name} (Kubernetes {place.kubernetes_version})")
    for note in place.notes:
        progress.say(f"note: {note}")
    for fault in experiment.faults:
        progress.say(f"will put {fault}" + (f" on {', '.join(targets)}" if targets else ""))


def _write_versions(folder: RunFolder, place: ClusterSession, world: World) -> None:
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


def _on_signals(interrupt: Callable[..., None]) -> Callable[[], None]:
    """Let the signals that people and machines end programs with end the run in order; the answer undoes that."""
    loop = asyncio.get_running_loop()
    for number in _ENDING_SIGNALS:
        loop.add_signal_handler(
            number, functools.partial(interrupt, f"by {number.name}", insist=number is signal.SIGINT)
        )

    def restore() -> None:
        for number in _ENDING_SIGNALS:
            loop.remove_signal_handler(number)

    return restore
