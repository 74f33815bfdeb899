"""Every experiment of the library passes where Kubernetes keeps its rules, and fails where the one it proves is broken.

What must become of whom, in which of three worlds: `tests.lab.twins`. All runs share two labs, upstream's own and one
where `tests.lab.wrong_controller` evicts; each has nodes and a namespace of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock, Semaphore
from typing import Any
from uuid import uuid4

import pytest

from harness import lab as labs
from harness.lab.api import Api
from harness.model.experiment import Experiment, Manifest
from harness.wiring.experiments import read_experiment
from tests.lab.cli import injected, started, wait_for
from tests.lab.derived import LIBRARY, NAMESPACE, POOL, derive
from tests.lab.too_busy import tell_if_busy, too_busy_for
from tests.lab.twins import CASES, TWINS, Case, Twin, World
from tests.lab.wrong_controller import evicting_on

SEATS = 8
"""Runs at a time; of these one may be coming up. A run costs some 5 s of a core, most of it before its first step, and
those that come up together make each other's steps late."""
NO_EVICTION = labs.parse_flag("kube-controller-manager=--controllers=*,-taint-eviction-controller")
ELSEWHERE = {"01-noexecute-evicts", "10-eviction-asks-the-budget"}
"""01 needs Prometheus and most of a lab: see test_runs.py, where the same service meets a lab without evictions. 10 is
about the API server, of which there is no wrong one here: see tests/contract/test_evict.py.
"""


@dataclass(frozen=True)
class Ran:
    """One run by command, and its result."""

    code: int
    log: str
    result: dict[str, Any]

    def words(self) -> dict[str, set[str]]:
        """What became of the pods that were there at the injection, by the name of the pod or its Deployment."""
        said: dict[str, set[str]] = {}
        for row in self._rows(later=False):
            name = row["pod"].split("/")[1]
            said.setdefault(name.rsplit("-", 2)[0] if row["workload"] else name, set()).add(row["verdict"])
        return said

    def later(self) -> set[str]:
        """What became of the pods that took their places."""
        return {row["verdict"] for row in self._rows(later=True)}

    def checks(self, verdict: str) -> set[str]:
        """The ids of the checks that came to that."""
        return {check["id"] for check in self.result["checks"] if check["verdict"] == verdict}

    def _rows(self, *, later: bool) -> list[dict[str, Any]]:
        rows = self.result["evictions"]
        replacements = {row["replacement"] for row in rows}
        return [row for row in rows if (row["pod"] in replacements) is later]


Outcome = Callable[[Case], Ran]


@pytest.fixture(scope="module")
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Waits for a case's run. All cases that were asked for run side by side on two labs, from the first use on."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    asked = {item.callspec.params["case"] for item in items if "outcome" in item.fixturenames}
    upstream = [case for case in CASES if case in asked and case.world is World.UPSTREAM]
    others = [case for case in CASES if case in asked and case.world is not World.UPSTREAM]
    lab: dict[Case, labs.Lab] = {}
    with ExitStack() as stack:
        if upstream:
            lab |= dict.fromkeys(upstream, stack.enter_context(lab_for(upstream)))
        if others:
            ours = stack.enter_context(lab_for(others, NO_EVICTION))
            lab |= dict.fromkeys(others, ours)
            defects = {case.place: case.defect for case in others}
            restarting = {case.place for case in others if case.twin.restarts and case.world is World.OURS}
            stack.enter_context(evicting_on(ours, defects, restarting=restarting))
        pool = ThreadPoolExecutor(max_workers=len(CASES))
        stack.callback(pool.shutdown, cancel_futures=True)
        running = side_by_side(lab, tmp_path_factory.mktemp("library"), pool)
        yield lambda case: running[case].result()


def side_by_side(lab: Mapping[Case, labs.Lab], folder: Path, pool: ThreadPoolExecutor) -> dict[Case, Future[Ran]]:
    """Start the run of each case on its lab, as there is room, those that must wait for others after them."""
    seats, doorway = Semaphore(SEATS), Lock()
    running: dict[Case, Future[Ran]] = {}

    def run(case: Case, after: Sequence[Future[Ran]]) -> Ran:
        wait(after)
        with seats:
            return run_on(lab[case], case, folder / case.place, doorway)

    for case in in_order(lab):
        running[case] = pool.submit(run, case, [running[other] for other in running if disturbs(case, other)])
    return running


def in_order(cases: Iterable[Case]) -> list[Case]:
    """Those that wait for others last, upstream's first (one waits for all of those), else the longest first."""

    def rank(case: Case) -> tuple[bool, bool, float]:
        length_s = read_experiment(LIBRARY / f"{case.twin.experiment}.yaml").phases.total_s
        return case.twin.restarts and case.world is not World.BROKEN, case.world is not World.UPSTREAM, -length_s

    return sorted(cases, key=rank)


def disturbs(case: Case, other: Case) -> bool:
    """Whether `case` must wait for `other`: all countdowns of upstream's controller feel a restart of
    kube-controller-manager; of ours, only those of the control do.
    """
    if not case.twin.restarts or (case.world is World.UPSTREAM) is not (other.world is World.UPSTREAM):
        return False
    return case.world is World.UPSTREAM or other.twin.restarts


@contextmanager
def lab_for(cases: Sequence[Case], *flags: labs.Flag) -> Iterator[labs.Lab]:
    """A lab with nodes and a namespace for each case."""
    names = [(case, f"{case.place}-{number}") for case in cases for number in range(1, case.twin.nodes + 1)]
    nodes = tuple(
        labs.Node(name, index, labels={"pool": case.place}) for index, (case, name) in enumerate(names, start=1)
    )
    spec = labs.LabSpec(
        name=f"library-{uuid4().hex[:8]}", topology=labs.Topology(nodes), flags=flags, with_prometheus=False
    )
    try:
        lab = labs.up(spec, owner=labs.this_process(), report=print)
        with closing(Api(lab.kubeconfig)) as api:
            for case in cases:
                api.request("POST", "/api/v1/namespaces", {"metadata": {"name": case.place}})
                # Bare pods are refused until it is there.
                api.ensure(f"/api/v1/namespaces/{case.place}/serviceaccounts", {"metadata": {"name": "default"}})
        yield lab
    finally:
        labs.down_named(spec.name)


def run_on(lab: labs.Lab, case: Case, folder: Path, doorway: Lock) -> Ran:
    """Run the case's copy of its experiment by command; `doorway` is held until traffic flows or the fault is on."""
    experiment = derive(case.twin.experiment, folder, pool=case.place, namespace=case.place)
    log, out = folder / "log", folder / "run"

    def is_up() -> bool:
        said = log.read_text()
        return "warmup (" in said or ("fault (" in said and injected(out)) or process.poll() is not None

    with ExitStack() as stack:
        with doorway:
            process = stack.enter_context(started("run", experiment, "--lab", lab.name, "--out", out, log=log))
            wait_for(is_up, timeout_s=120, what=f"{case} to begin")
        code = process.wait(600)
    assert (out / "result.json").exists(), log.read_text()
    return Ran(code, log.read_text(), json.loads((out / "result.json").read_text()))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_verdict_is_that_of_the_world(case: Case, outcome: Outcome) -> None:
    ran = outcome(case)
    tell_if_busy(too_busy_for(ran.result))
    code, verdict = (1, "FAIL") if case.world is World.BROKEN else (0, "PASS")
    assert (ran.code, ran.result["verdict"]) == (code, verdict), ran.log
    assert ran.checks("FAIL") == ({"evictions"} if case.world is World.BROKEN else set()), ran.log
    assert ran.words() == {name: {word} for name, word in case.words.items()}, ran.log
    assert case.later in (None, ran.later()), ran.log
    assert ran.result["healed"]


def test_every_experiment_of_the_library_has_a_twin() -> None:
    files = {path.stem for path in LIBRARY.glob("*.yaml")}
    assert {twin.experiment for twin in TWINS} == files - ELSEWHERE


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.experiment)
def test_a_copy_differs_in_pool_and_namespace_only(twin: Twin, tmp_path: Path) -> None:
    original = read_experiment(LIBRARY / f"{twin.experiment}.yaml")
    same = read_experiment(derive(twin.experiment, tmp_path, pool=POOL, namespace=NAMESPACE))
    assert _placeless(same) == _placeless(original)
    other = derive(twin.experiment, tmp_path, pool="mine", namespace="theirs")
    assert {manifest.namespace for manifest in read_experiment(other).workload} == {"theirs"}
    written = "".join(path.read_text() for path in tmp_path.rglob("*.yaml"))
    assert {"pool=mine", "pool: mine"} <= set(re.findall("pool(?:=|: )[a-z]+", written))
    assert not re.search(f"pool(=|: ){POOL}|[.]{NAMESPACE}[.]", written)


def _placeless(experiment: Experiment) -> Experiment:
    """Without the files and lines that it was read from, and with every namespace written out."""

    def placeless(manifest: Manifest) -> Manifest:
        body = {**manifest.body, "metadata": {**manifest.body["metadata"], "namespace": NAMESPACE}}
        return replace(manifest, file="", line=0, namespace=NAMESPACE, body=body)

    return replace(experiment, source="", workload=tuple(map(placeless, experiment.workload)))
