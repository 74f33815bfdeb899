"""Finding A6: what Prometheus says counts only while it was scraping. Each world that passes has broken twins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from harness.check.metrics import judge_metrics
from harness.model import events
from harness.model.experiment import Expect, MetricExpectation, PhaseName
from harness.model.verdicts import CheckResult, Verdict
from tests.pure.records import MadeRun

Told = list[tuple[float, events.Fact]]
ALWAYS = range(1, 64)
"""One scrape each second of the run; the fault phase is 13 s to 43 s."""


def samples(value: float | None = 0.5, *, why: str = "", **labels: str) -> Told:
    """One sample for each second of the fault phase, as lookback gives them whatever was scraped."""
    return [
        (63.5, events.Sample("expectation", "cpu", value, "", {**labels, "t_s": f"{t_s:.3f}"}, why))
        for t_s in range(13, 43)
    ]


def scraped(seconds: Iterable[float], *, pod: str = "web", down: Sequence[float] = ()) -> Told:
    points = tuple((float(at_s), 0.0 if at_s in down else 1.0) for at_s in seconds)
    return [(63.4, events.Scraped({"pod": pod}, points))]


def without(first: float, last: float) -> list[int]:
    return [at_s for at_s in ALWAYS if not first <= at_s <= last]


def judged(told: Told, *, maximum: float | None = 0.9) -> CheckResult:
    expectation = MetricExpectation("cpu", "q", (PhaseName.FAULT,), None, maximum)
    (result,) = judge_metrics(MadeRun(expect=Expect(metrics=(expectation,)), extra=told).record())
    return result


SEEN = {
    "scraped throughout": scraped(ALWAYS),
    "every 2 s": scraped(range(1, 64, 2)),
    "two scrapes missed": scraped(without(20, 21)),
    "dead before the phase only": scraped(without(5, 11)),
    "dead after the phase only": scraped(without(45, 55), down=[60]),
    "a target went, another came": scraped(range(1, 25), pod="a") + scraped(range(25, 64), pod="b"),
    "a target's last scrapes failed before it went": scraped(ALWAYS)
    + scraped(range(1, 25), pod="a", down=[22, 23, 24]),
    "a new target's first scrapes failed": scraped(ALWAYS) + scraped(range(20, 64), pod="b", down=[20, 21]),
    "one target scraped once": scraped(ALWAYS) + scraped([30], pod="b"),
}


@pytest.mark.parametrize("told", SEEN.values(), ids=SEEN.keys())
def test_a6_samples_count_while_prometheus_scrapes(told: Told) -> None:
    assert judged(samples() + told).verdict is Verdict.PASS
    assert judged(samples(1.5) + told).verdict is Verdict.FAIL, "the twin that must fail"


BLIND = {
    "no word of scrapes": ([], "not known when"),
    "could not be asked": ([(63.4, events.Scraped({}, (), "no route"))], "no route"),
    "one scrape": (scraped([20]), "fewer than two"),
    "dead for 15 s": (scraped(without(20, 34)), "from 19.0 s to 35.0 s"),
    "dead from the middle on": (scraped(range(1, 30)), "from 29.0 s to 43.0 s"),
    "began in the middle": (scraped(range(30, 64)), "from 13.0 s to 30.0 s"),
    "dead across the beginning": (scraped(without(8, 16)), "from 7.0 s to 17.0 s"),
    "one target of two was dead for a while": (
        scraped(ALWAYS) + scraped(without(20, 34), pod="b"),
        "did not scrape b from 19.0 s to 35.0 s",
    ),
    "a target was down": (scraped(ALWAYS, down=[25, 26]), "from 25.0 s to 27.0 s"),
    "a target was down once": (scraped(ALWAYS, down=[25]), "web failed (up = 0)"),
    "down from the middle on, and still listed": (scraped(ALWAYS, down=range(25, 64)), "from 25.0 s"),
    "down until the middle": (scraped(ALWAYS, down=range(1, 20)), "to 20.0 s"),
    "every target went": (scraped(range(1, 20), pod="a") + scraped(range(1, 22), pod="b"), "from 21.0 s to 43.0 s"),
    "scraped each 15 s": (scraped(range(1, 64, 15)), "2 times in this phase"),
}


@pytest.mark.parametrize(("told", "says"), BLIND.values(), ids=BLIND.keys())
@pytest.mark.parametrize("value", [0.5, 1.5])
def test_a6_samples_of_a_time_without_scrapes_prove_nothing(told: Told, says: str, value: float) -> None:
    result = judged(samples(value) + told)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert says in result.reason
    assert result.what_would_decide


def test_infinity_is_a_value_and_fails_a_maximum() -> None:
    told = samples()[:-1] + samples(None, why="+Inf")[-1:] + scraped(ALWAYS)
    result = judged(told)
    assert result.verdict is Verdict.FAIL
    assert "inf" in result.reason
    assert result.measured is None, "JSON has no infinity"


def test_a_sample_that_is_no_number_is_no_sample() -> None:
    assert judged(samples(float("nan")) + scraped(ALWAYS)).verdict is Verdict.INCONCLUSIVE


def test_several_series_are_refused_and_told_apart() -> None:
    told = samples(pod="a", job="x") + samples(pod="b", job="x") + samples(pod="c", job="x") + scraped(ALWAYS)
    result = judged(told)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "3 series" in result.reason
    assert "pod (a, b, c" in result.reason
    assert "job" not in result.reason
