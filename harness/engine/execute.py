"""Executing one run: folder, targets, interpreter, verdict, report."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace

from harness.check.needs import needs_of
from harness.check.registry import CHECKS
from harness.clock import wall_text
from harness.cluster.ledger import Ledger
from harness.cluster.ledger_record import Header
from harness.cluster.patience import to_the_end
from harness.cluster.ports import LoadDriver, Progress
from harness.engine.judging import judge_folder
from harness.engine.keeping import keep_traceback, write_experiment, write_versions
from harness.engine.preparing import choose_free_targets, longest_s
from harness.engine.request import FinishedRun, RunPorts, RunRequest
from harness.engine.stop import StopSignal
from harness.errors import CannotRecord, HealFailed, TaintlabError
from harness.faults.registry import FAULTS
from harness.files import write_whole
from harness.history import folder as folders
from harness.history.folder import RunFolder, write_json
from harness.history.record import Recorder
from harness.history.seal import seal
from harness.model import events
from harness.model.plan import Plan, Prediction, Step
from harness.plan.predict import predict_planned
from harness.plan.schedule import make_steps
from harness.run.context import RunContext, RunOutcome
from harness.run.drivers import Drivers
from harness.run.interpret import Interpreter
from harness.run.observe import Observer
from harness.run.progress import SafeProgress
from harness.run.workload import Workload
from harness.snapshot import LiveSnapshot, nodes_of

_DATE_HEADER_ERROR_MS = 500.0


async def execute(request: RunRequest, *, ports: RunPorts, stop: StopSignal) -> FinishedRun:
    """Run, judge and render what `request` asks for. Everything needed to judge again is saved before, during and
    after. `stop`, and a cancellation, heal and end the run; its outcome then says so.

    NotStarted when `stop` was asked before the run began, CannotRecord when the folder has no room for the undo record:
    nothing was touched. HealFailed when something stays on the cluster and the run cannot even be judged.
    """
    targets = await stop.unless_asked(choose_free_targets(request.experiment, ports.target, ports.clock))
    folder = folders.create(request.folder)
    run = _open(request, folder, ports, targets)
    try:
        with ports.live.under_way(request.run):
            outcome = await _conduct(run, stop)
    # In threads: closing waits for the disk and judging a large run takes seconds; other runs of this process must not
    # miss their heartbeats meanwhile.
    finally:
        await to_the_end(asyncio.to_thread(_close, run))
    return await to_the_end(asyncio.to_thread(_finish, folder, outcome, ports))


@dataclass(frozen=True, slots=True)
class _Run:
    """One run with its files open."""

    request: RunRequest
    ports: RunPorts
    folder: RunFolder
    targets: tuple[str, ...]
    steps: tuple[Step, ...]
    ledger: Ledger
    recorder: Recorder
    progress: Progress

    def write_plan(self, predictions: tuple[Prediction, ...] = ()) -> None:
        """plan.json."""
        experiment = self.request.experiment
        write_json(self.folder.plan, Plan(self.request.run, experiment.name, self.targets, self.steps, predictions))

    def predict(self, now: LiveSnapshot) -> None:
        """world.json and plan.json again, the cluster being as it is just before the first injection."""
        target = self.ports.target
        predictions = predict_planned(self.request.experiment, self.steps, self.targets, now.state(), target.settings)
        world = replace(now, flags=target.flags).world_file(cluster=target.cluster.name)
        write_whole(self.folder.world, world)
        self.write_plan(predictions)


def _open(request: RunRequest, folder: RunFolder, ports: RunPorts, targets: tuple[str, ...]) -> _Run:
    """CannotRecord, before anything is touched, when the folder has no room."""
    experiment = request.experiment
    try:
        write_experiment(folder, request)
        header = Header(request.run, experiment.name, ports.target.reach)
        ledger = Ledger(folder.ledger, header, records=len(targets) + len(experiment.workload))
        try:
            recorder = Recorder(folder.history, ports.clock, run_id=request.run)
        except OSError:
            ledger.close()
            raise
    except OSError as error:
        why = error.strerror or str(error)
        raise CannotRecord(f"{folder.path}: no room for the undo record ({why}); nothing was touched") from error
    return _Run(
        request,
        ports,
        folder,
        targets,
        make_steps(experiment, targets),
        ledger,
        recorder,
        SafeProgress(ports.progress),
    )


def _close(run: _Run) -> None:
    for closing in (run.recorder.close, run.ledger.close):
        with contextlib.suppress(OSError):
            closing()


async def _conduct(run: _Run, stop: StopSignal) -> RunOutcome:
    observer = Observer(run.ports.target.cluster, run.recorder, needs_of(run.request.experiment, CHECKS))
    try:
        await stop.unless_asked(_look(run, observer))
        interpreter = Interpreter(_context(run, observer))
        with stop.heard_by(interpreter.interrupt):
            return await interpreter.run()
    finally:
        await observer.stop()


async def _look(run: _Run, observer: Observer) -> None:
    """Start the watches, and save what is seen: everything that needs no write."""
    target = run.ports.target
    await observer.start()
    offset_ms = await target.cluster.clock_offset_ms()
    if offset_ms is not None:
        run.recorder.record(events.SkewMeasured(round(offset_ms, 1), _DATE_HEADER_ERROR_MS), source="run")
    write_versions(run.folder, target, nodes_of(observer.nodes))
    run.write_plan()
    _announce(run)


def _announce(run: _Run) -> None:
    """Say what is about to be touched."""
    experiment, target, progress = run.request.experiment, run.ports.target, run.progress
    progress.say(f"{experiment.name} on {target.cluster.name} (Kubernetes {target.kubernetes_version})")
    for note in target.notes:
        progress.say(f"note: {note}")
    for fault in experiment.faults:
        progress.say(f"will put {fault}" + (f" on {', '.join(run.targets)}" if run.targets else ""))


def _context(run: _Run, observer: Observer) -> RunContext:
    request, ports, target = run.request, run.ports, run.ports.target
    experiment = request.experiment
    now = ports.clock.now()
    longest_ns = int(longest_s(experiment) * 1e9)
    namespaces = frozenset(m.namespace or "default" for m in experiment.workload)
    return RunContext(
        experiment=experiment,
        steps=run.steps,
        targets=run.targets,
        recorder=run.recorder,
        observer=observer,
        drivers=Drivers(
            cluster=target.cluster,
            components=target.components,
            observer=observer,
            recorder=run.recorder,
            ledger=run.ledger,
            kinds=FAULTS,
            run_id=request.run,
            deadline=wall_text(now.wall_ns + longest_ns),
            namespaces=namespaces,
            holder=ports.holder,
            heartbeat=now.wall,
            clock=ports.clock,
        ),
        workload=Workload(
            target.cluster,
            run.ledger,
            run_id=request.run,
            manifests=experiment.workload,
            experiment=experiment.name,
            holder=ports.holder,
            clock=ports.clock,
        ),
        load=_load(run),
        metrics=ports.metrics,
        progress=run.progress,
        kubernetes_version=target.kubernetes_version,
        namespaces=namespaces,
        before_fault=run.predict,
        clock=ports.clock,
        deadline_ns=now.mono_ns + longest_ns,
    )


def _load(run: _Run) -> LoadDriver | None:
    experiment = run.request.experiment
    if experiment.load is None:
        return None
    return run.ports.load(experiment, experiment.load, run.folder.load, keep_secrets=run.request.keep_secrets)


def _finish(folder: RunFolder, outcome: RunOutcome, ports: RunPorts) -> FinishedRun:
    """Seal, judge and render. Whatever goes wrong with that, what is left on the cluster is told."""
    if outcome.defect is not None:
        keep_traceback(folder, outcome.defect)
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
    try:
        return FinishedRun(folder.path, judgement, result, ports.render(folder.path))
    except (TaintlabError, OSError) as error:
        return FinishedRun(folder.path, judgement, result, None, unrendered=str(error))
