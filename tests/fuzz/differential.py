"""The differential fuzz: generated write scripts, predictor against real controllers.

    python -m tests.fuzz.differential [--scripts 1000] [--seed 0] [--lab NAME] [--keep FOLDER]

A disagreement is an outcome that differs, an eviction seen outside its interval (0.05 s early allowed; late by no more
than the reference beside it says this machine needed), or writes refused that were not predicted to be, and the
reverse. `unsure` agrees with anything and is counted. What is late or too busy to tell is replayed again, up to twice.
Exit 1 when there is a disagreement; each is written to FOLDER as a script.

What is predicted is what was performed: a write takes effect between its sending and its answer, so the lower bounds
are those of the script with the times of sending, the upper bounds those of the script with the times of the answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from harness import lab as labs
from harness.clock import SystemClock
from harness.cluster.reference import ClusterRef
from harness.formats.script import to_plain
from harness.model.scenario import Scenario
from harness.replay.replayer import Replayed
from harness.semantics.eviction import Forecast, Settings, predict
from harness.semantics.eviction.settings import Latency
from harness.wiring.replaying import REPLAY_FLAGS, replay_on
from harness.wiring.sessions import open_session
from tests.slowness import TRIES, Found, after, figures, restarts, slowed, whole_need_s
from tests.strategies import scripts

EARLY_S = 0.05
QPS, BURST = 2000, 4000
FLAGS = (
    *REPLAY_FLAGS,
    f"kube-controller-manager=--kube-api-qps={QPS}",
    f"kube-controller-manager=--kube-api-burst={BURST}",
)
CONTROL_PLANE = Settings(kcm_qps=QPS, kcm_burst=BURST, latency=Latency(together_s=0.01))
"""Many scripts side by side keep the controller busy: two writes back to back may then be seen as one (1 of 250), so
what hangs on them is `unsure`. Everything else is as for a quiet machine.
"""


def generate(count: int, seed: int, *, restarts: bool = False) -> list[Scenario]:
    """`count` scripts; the same seed and version of hypothesis give the same ones. Those with `restarts` run one at
    a time.
    """
    found: list[Scenario] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(scripts(restarts=restarts))
    def collect(scenario: Scenario) -> None:
        found.append(scenario)

    collect()
    return found[:count]


@dataclass(frozen=True)
class Comparison:
    """What the two said of one script. `beyond_s`: how much later than on a quiet machine each pod left (or sooner).
    `widths_s`: of the intervals of evicted pods, as on a quiet machine.
    """

    found: Found
    beyond_s: Mapping[str, float]
    pods: int
    unsure: int
    widths_s: tuple[float, ...]

    @property
    def disagreements(self) -> tuple[str, ...]:
        """What cannot be put down to the machine."""
        return self.found.disagreements


@dataclass(frozen=True)
class _Said:
    """The predictor's word on a script as it went: `soonest` by the times of sending, `latest` by those of the answers;
    `head_s`: how far the former is put off, since its first write was sent before time 0.
    """

    soonest: Forecast
    latest: Forecast
    head_s: float

    @classmethod
    def of(cls, scenario: Scenario, replayed: Replayed, settings: Settings) -> _Said:
        head_s = max(0.0, -replayed.performed[0].sent_s) if replayed.performed else 0.0
        soonest = _timed(scenario, [done.sent_s for done in replayed.performed], head_s)
        latest = _timed(scenario, [done.acknowledged_s for done in replayed.performed], 0.0)
        return cls(predict(soonest, settings), predict(latest, settings), head_s)

    def outcome(self, name: str) -> str:
        """``unsure`` unless both agree."""
        both = {self.soonest.by_name[name].outcome, self.latest.by_name[name].outcome}
        return both.pop() if len(both) == 1 else "unsure"

    def admits(self, refused: Collection[int]) -> bool:
        """Whether these writes, by index, may be the ones that were refused: the truth lies between the two scripts."""
        certain = set(self.soonest.refused) & set(self.latest.refused)
        return certain <= set(refused) <= {r.index for each in (self.soonest, self.latest) for r in each.refusals}


def compare(scenario: Scenario, replayed: Replayed, settings: Settings = CONTROL_PLANE) -> Comparison:
    """Pod by pod, by name: the last object of a name is what both speak of. An outcome that would be open on a machine
    as slow as this one was is not held against anybody.
    """
    said = _Said.of(scenario, replayed, settings)
    more_s = whole_need_s(scenario, replayed)
    slow = _Said.of(scenario, replayed, slowed(settings, more_s)) if more_s > 0 else said
    found, beyond_s, unsure, widths = Found(), dict[str, float](), 0, []
    for name, prediction in said.soonest.by_name.items():
        end, other = replayed.pods[name], said.latest.by_name[name]
        if said.outcome(name) == "unsure":
            unsure += 1
        elif prediction.outcome != end.outcome:
            line = f"{name}: predicted {prediction.outcome} ({prediction.rule}), was {end.outcome} at {end.at_s}"
            open_here = slow.outcome(name) in ("unsure", end.outcome)
            found += Found(too_busy=(line,)) if open_here else Found(wrong=(line,))
        elif prediction.earliest_s is not None and other.latest_s is not None and end.at_s is not None:
            earliest_s = prediction.earliest_s - said.head_s
            widths.append(other.latest_s - earliest_s)
            interval = f"[{earliest_s:.3f}, {other.latest_s:.3f}]"
            line = f"{name}: predicted {interval} ({prediction.rule}), left at {end.at_s}"
            beyond_s[name] = end.at_s - other.latest_s
            if end.at_s < earliest_s - EARLY_S:
                found += Found(wrong=(line,))
            due_s, restarted = other.earliest_s or 0.0, restarts(scenario)
            found += after(
                line, due_s=due_s, latest_s=other.latest_s, at_s=end.at_s, replayed=replayed, restarted=restarted
            )
    if not said.admits(replayed.refused):
        line = f"predicted refusals {said.soonest.refusals}, were {sorted(replayed.refused)}"
        found += Found(too_busy=(line,)) if slow.admits(replayed.refused) else Found(wrong=(line,))
    return Comparison(found, beyond_s, len(said.soonest.by_name), unsure, tuple(widths))


def _timed(scenario: Scenario, times_s: Sequence[float], head_s: float) -> Scenario:
    """The script as it was performed: the writes at other times, all of it `head_s` later."""
    writes = tuple(
        replace(write, at_s=max(0.0, at_s + head_s)) for write, at_s in zip(scenario.writes, times_s, strict=True)
    )
    return replace(scenario, writes=writes, until_s=scenario.until_s + head_s)


def lab_spec(name: str) -> labs.LabSpec:
    """A lab on which scripts do not wait for each other."""
    flags = tuple(map(labs.parse_flag, FLAGS))
    return labs.LabSpec(name=name, topology=labs.plain_topology(1), flags=flags, with_prometheus=False)


async def replay(name: str, scenarios: Sequence[Scenario], *, side_by_side: int) -> list[Replayed | Exception]:
    """On the lab called `name`; an exception stands for a script that could not be replayed. What was late or too busy
    to tell is replayed again, and so is what failed.
    """
    results: list[Replayed | Exception] = [RuntimeError("not replayed")] * len(scenarios)
    numbers = list(range(len(scenarios)))
    async with open_session(ClusterRef(lab=name), clock=SystemClock(), for_writing=True) as place:
        for _ in range(TRIES):
            chosen = [scenarios[n] for n in numbers]
            timed = any(map(restarts, chosen))
            found = await replay_on(place, chosen, side_by_side=side_by_side, time_controller=timed)
            for number, result in zip(numbers, found, strict=True):
                results[number] = result
            numbers = [n for n in numbers if _again(scenarios[n], results[n])]
            if not numbers:
                break
            print(f"scripts to be replayed again: {numbers}")
    return results


def _again(scenario: Scenario, result: Replayed | Exception) -> bool:
    return isinstance(result, Exception) or compare(scenario, result).found.again


def main() -> int:
    """Run a batch and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scripts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lab", help="a lab with the flags above (default: one is started)")
    parser.add_argument("--keep", type=Path, help="where scripts that disagree are written")
    parser.add_argument("--restarts", action="store_true", help="let scripts restart the controller manager")
    parser.add_argument("--side-by-side", type=int, default=25)
    options = parser.parse_args()
    name = options.lab or "fuzz"
    if options.lab is None:
        labs.up(lab_spec(name), owner=labs.this_process(), report=print)
    try:
        batch = generate(options.scripts, options.seed, restarts=options.restarts)
        results = asyncio.run(replay(name, batch, side_by_side=options.side_by_side))
        return report(batch, results, options.keep)
    finally:
        if options.lab is None:
            labs.down_named(name)


def report(batch: Sequence[Scenario], results: Sequence[Replayed | Exception], keep: Path | None) -> int:
    """Print the figures; 1 when there is any disagreement or failure."""
    pairs = zip(batch, results, strict=True)
    found = [each if isinstance(each, Exception) else compare(scenario, each) for scenario, each in pairs]
    compared = [one for one in found if isinstance(one, Comparison)]
    bad = [(i, one) for i, one in enumerate(found) if isinstance(one, Exception) or one.disagreements]
    pods, unsure = sum(one.pods for one in compared), sum(one.unsure for one in compared)
    widths = sorted(width for one in compared for width in one.widths_s)
    busy = [number for number, one in enumerate(found) if isinstance(one, Comparison) and one.found.too_busy]
    print(
        f"{len(found)} scripts, {pods} pods; {len(bad)} scripts disagree; unsure {unsure} ({unsure / max(1, pods):.2%})"
    )
    print(f"too busy to tell: {len(busy)} {busy or ''}")
    print(figures(results))
    late_s = sorted(each.late_s for each in results if isinstance(each, Replayed))
    if late_s:
        print(f"answers of writes behind their time: median {median(late_s):.3f} s, at most {late_s[-1]:.3f} s")
    if widths:
        p95 = widths[int(0.95 * (len(widths) - 1))]
        print(f"{len(widths)} evictions; interval width median {median(widths):.3f} s, p95 {p95:.3f} s")
    for index, one in bad:
        print(f"script {index}: {one if isinstance(one, Exception) else '; '.join(one.disagreements)}")
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"script-{index}.json").write_text(json.dumps(to_plain(batch[index]), indent=1))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
