"""The undo record on the node: put, take off, and what others did meanwhile."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from harness.errors import ClusterError
from harness.faults.claim import CLAIM_ANNOTATION, CORDON, Change, claim_of, cordon, put_taint, release
from harness.model.taints import Effect, Taint

SPOT = Taint("spot", Effect.NO_EXECUTE, "x")
OTHERS_SAME_KEY = Taint("spot", Effect.NO_SCHEDULE, "admin", "2026-01-01T00:00:00Z")
OTHERS_SAME_IDENTITY = Taint("spot", Effect.NO_EXECUTE, "admin", "2026-01-01T00:00:00Z")
ANOTHER = Taint("gpu", Effect.NO_SCHEDULE)


def node(*taints: Taint, unschedulable: bool = False) -> dict[str, Any]:
    """A node object as the API shows it."""
    spec: dict[str, Any] = {}
    if taints:
        spec["taints"] = [taint.to_api() for taint in taints]
    if unschedulable:
        spec["unschedulable"] = True
    return {"metadata": {"name": "n", "resourceVersion": "7", "annotations": {"a": "b"}}, "spec": spec}


def merged(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """RFC 7386."""
    out = copy.deepcopy(target)
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict):
            out[key] = merged(out.get(key, {}), value)
        else:
            out[key] = value
    return out


def tainted(before: dict[str, Any], taint: Taint = SPOT, run: str = "r1") -> dict[str, Any]:
    """`before` after our write."""
    return merged(before, put_taint(before, taint, run=run, deadline="2026-01-01T00:01:00Z"))


def released(now: dict[str, Any], what: Change | None = None) -> dict[str, Any]:
    """`now` after our undo."""
    plan = release(now, what)
    return now if plan.patch is None else merged(now, plan.patch)


BEFORE = {
    "bare": node(),
    "another taint": node(ANOTHER),
    "same key, other effect": node(OTHERS_SAME_KEY),
    "same key and effect": node(OTHERS_SAME_IDENTITY),
    "same key and effect in the middle": node(ANOTHER, OTHERS_SAME_IDENTITY, OTHERS_SAME_KEY),
    "cordoned by an administrator": node(unschedulable=True),
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE.keys())
def test_release_restores_exactly_what_was_there(before: dict[str, Any]) -> None:
    during = tainted(before)
    assert SPOT.to_api() in during["spec"]["taints"]
    assert claim_of(during) is not None
    assert released(during) == before


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE.keys())
def test_two_taints_and_a_cordon_come_off_one_by_one(before: dict[str, Any]) -> None:
    second = Taint("late", Effect.NO_EXECUTE)
    during = tainted(tainted(before), second)
    during = merged(during, cordon(during, run="r1", deadline="2026-01-01T00:01:00Z"))
    assert during["spec"]["unschedulable"] is True
    during = released(during, SPOT.identity)
    assert second.to_api() in during["spec"]["taints"]
    during = released(during, CORDON)
    assert CLAIM_ANNOTATION in during["metadata"]["annotations"]
    assert released(during, second.identity) == before


def test_patches_are_guarded_by_the_resource_version() -> None:
    before = node()
    patch = put_taint(before, SPOT, run="r1", deadline="")
    assert patch["metadata"]["resourceVersion"] == "7"
    plan = release(merged(before, patch))
    assert plan.patch is not None
    assert plan.patch["metadata"]["resourceVersion"] == "7"


def test_a_second_run_is_refused() -> None:
    with pytest.raises(ClusterError, match="claimed by run r1"):
        put_taint(tainted(node()), ANOTHER, run="r2", deadline="")


def test_a_taint_that_somebody_changed_since_is_left_alone_and_named() -> None:
    during = tainted(node())
    during["spec"]["taints"][0]["value"] = "theirs"
    plan = release(during)
    assert plan.left_alone == ("taint spot=theirs:NoExecute: changed by somebody else since we wrote spot=x:NoExecute",)
    after = released(during)
    assert after["spec"]["taints"] == [{"key": "spot", "effect": "NoExecute", "value": "theirs"}]
    assert CLAIM_ANNOTATION not in after["metadata"]["annotations"]


def test_a_taint_that_somebody_took_off_comes_back_only_if_it_was_there_before_us() -> None:
    during = tainted(node(OTHERS_SAME_IDENTITY))
    del during["spec"]["taints"]
    assert released(during) == node(OTHERS_SAME_IDENTITY)
    during = tainted(node())
    del during["spec"]["taints"]
    assert released(during) == node()


def test_taints_that_others_added_meanwhile_stay() -> None:
    during = tainted(node(ANOTHER))
    newcomer = Taint("late", Effect.NO_SCHEDULE).to_api()
    during["spec"]["taints"].insert(0, newcomer)
    assert released(during)["spec"]["taints"] == [newcomer, ANOTHER.to_api()]


def test_nothing_to_do_without_a_claim() -> None:
    assert release(node(SPOT)).patch is None


@pytest.mark.parametrize("raw", ["", "{}", "no json", '{"run": "r"}'])
def test_an_unreadable_claim_is_named_and_left_alone(raw: str) -> None:
    broken = node()
    broken["metadata"]["annotations"][CLAIM_ANNOTATION] = raw
    with pytest.raises(ClusterError, match="cannot be read"):
        release(broken)
