"""The client throttle against what was measured on 1.35.4: N untolerating pods of one node, one taint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.model.scenario import Scenario, ScenarioNode, ScenarioPod, SetTaints
from harness.model.taints import Effect, Operator, Taint, Toleration
from harness.semantics.eviction import Forecast, Settings, predict
from harness.semantics.eviction.throttle import Throttle

SPOT = Taint("spot", Effect.NO_EXECUTE)


def forecast(pods: int, settings: Settings, seconds: int | None = None) -> Forecast:
    tolerations = () if seconds is None else (Toleration("spot", Operator.EXISTS, "", Effect.NO_EXECUTE, seconds),)
    scenario = Scenario(
        nodes=(ScenarioNode("a"),),
        pods=tuple(ScenarioPod(f"p{number}", "a", tolerations) for number in range(pods)),
        writes=(SetTaints(0.0, "a", (SPOT,)),),
        until_s=100.0,
    )
    return predict(scenario, settings)


@pytest.mark.parametrize(
    ("pods", "qps", "burst", "last_seen_s", "at_most_s"),
    [
        (1, 20, 30, 0.07, 0.3),
        (10, 20, 30, 0.21, 0.5),
        (20, 20, 30, 1.6, 1.9),
        (30, 20, 30, 3.2, 3.5),
        (60, 20, 30, 7.7, 8.0),
        (100, 20, 30, 13.6, 13.9),
        (100, 40, 60, 6.1, 6.4),
        (100, 200, 400, 0.9, 1.2),
    ],
)
def test_the_last_measured_deletion_is_enclosed_closely(
    pods: int, qps: float, burst: int, last_seen_s: float, at_most_s: float
) -> None:
    found = forecast(pods, replace(Settings(), kcm_qps=qps, kcm_burst=burst)).predictions
    assert {each.earliest_s for each in found} == {0.0}
    assert all(each.latest_s is not None and last_seen_s <= each.latest_s <= at_most_s for each in found)


def test_a_countdown_adds_nothing() -> None:
    now, later = forecast(60, Settings()), forecast(60, Settings(), seconds=5)
    for at_once, timed in zip(now.predictions, later.predictions, strict=True):
        assert timed.earliest_s == 5.0
        assert timed.latest_s == pytest.approx((at_once.latest_s or 0.0) + 5.0)


def test_the_wait_is_explained() -> None:
    (first, *_) = forecast(100, Settings()).predictions
    assert "100 deletions share 20 requests a second, so the last waits 13.5 s" in first.because


def test_the_bucket_fills_again() -> None:
    throttle = Throttle(Settings())
    assert throttle.delete(0.0, 20).wait_s == pytest.approx(1.5)
    assert throttle.delete(10.0, 10).wait_s == 0.0


def test_events_trail_and_take_tokens_later() -> None:
    """After 10 deletions the bucket is empty and 10 events wait: what comes in within 0.5 s goes to them."""
    throttle = Throttle(Settings())
    throttle.delete(0.0, 10)
    assert throttle.delete(0.5, 1).wait_s == pytest.approx(3 / 20)


def test_deletions_in_the_same_rush_wait_for_each_other() -> None:
    throttle = Throttle(Settings())
    first = throttle.delete(0.0, 20)
    second = throttle.delete(1.0, 10)
    assert first is second
    assert second.end_s == pytest.approx(1.5 + 1.5)


def test_a_new_process_starts_with_a_full_bucket() -> None:
    throttle = Throttle(Settings())
    throttle.delete(0.0, 100)
    throttle.reset(1.0)
    assert throttle.delete(1.0, 10).wait_s == 0.0
