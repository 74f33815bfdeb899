"""What a run is asked for, what it is done with, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.check.judge import Judgement
from harness.clock import Clock
from harness.cluster.ports import Cluster, Components, LoadDriver, Metrics, Progress
from harness.cluster.undo import Holder
from harness.errors import ExitCode
from harness.model.experiment import Experiment, Load
from harness.run.recover.liveness import LiveRuns
from harness.semantics.eviction.settings import Settings


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run. `run`: its id, see `new_run_id`. `spec`: the experiment as its author wrote it, kept in the folder.
    `experiment`: the same resolved, its manifests included. `folder`: where the run is kept; new, or empty.
    `keep_secrets`: store header values, bodies and Secret data as they are, rather than hashed.
    """

    run: str
    spec: str
    experiment: Experiment
    folder: Path
    keep_secrets: bool = False


@dataclass(frozen=True, slots=True)
class RunCluster:
    """The cluster of a run, and what is known of it. `components`: those that may be restarted (the lab's).
    `renews_credentials`: they are renewed before they end. `reach`: how a recovery finds it again, in plain JSON.
    `notes`: what is to be said about `settings`. `flags`: of its control plane, as far as known
    (``COMPONENT=--name=value``).
    """

    cluster: Cluster
    kubernetes_version: str
    settings: Settings
    reach: Mapping[str, Any]
    components: Components | None = None
    renews_credentials: bool = True
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


class LoadFactory(Protocol):
    """Makes the load process of a run."""

    def __call__(self, experiment: Experiment, load: Load, folder: Path, *, keep_secrets: bool) -> LoadDriver:
        """`folder`: where its rows go. UsageError for a load that cannot be sent."""
        ...


@dataclass(frozen=True, slots=True)
class RunPorts:
    """The outside of one run. `holder`: this process, for the records on nodes. `live`: its runs, this one among them
    until it has healed. `render`: writes the report into the
    finished folder and returns its page; TaintlabError and OSError when it cannot.
    """

    target: RunCluster
    clock: Clock
    holder: Holder
    live: LiveRuns
    progress: Progress
    load: LoadFactory
    render: Callable[[Path], Path]
    metrics: Metrics | None = None


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that came to its end, one way or another. `result`: as result.json has it. `page`: the report, None when
    it could not be written, for the reason `unrendered`.
    """

    folder: Path
    judgement: Judgement
    result: dict[str, Any]
    page: Path | None
    unrendered: str = ""

    @property
    def exit_code(self) -> ExitCode:
        """Of the run; something that is left on the cluster goes before every verdict."""
        return self.judgement.exit_code if self.judgement.healed else ExitCode.HEAL_FAILED
