"""The undo record on the node: put, take off, and what others did meanwhile."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from harness.cluster.undo import CLAIM_ANNOTATION, Holder, NodeUndo
from harness.errors import ClusterError
from harness.faults.cordon import CordonChange
from harness.model.taints import Effect, Taint
from tests.pure.node_undo import CORDON, claim_of, cordon, id_of, ours_on, parse_claim, put_taint, release, renew

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


def released(now: dict[str, Any], what: str | None = None) -> dict[str, Any]:
    """`now` after our undo."""
    claim = claim_of(now)
    assert claim is not None
    plan = release(now, claim, what)
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
    during = released(during, id_of(SPOT))
    assert second.to_api() in during["spec"]["taints"]
    during = released(during, CORDON)
    assert CLAIM_ANNOTATION in during["metadata"]["annotations"]
    assert released(during, id_of(second)) == before


def test_patches_are_guarded_by_the_resource_version() -> None:
    before = node()
    patch = put_taint(before, SPOT, run="r1", deadline="")
    assert patch["metadata"]["resourceVersion"] == "7"
    during = merged(before, patch)
    claim = claim_of(during)
    assert claim is not None
    plan = release(during, claim)
    assert plan.patch is not None
    assert plan.patch["metadata"]["resourceVersion"] == "7"


def test_a_second_run_is_refused() -> None:
    with pytest.raises(ClusterError, match="claimed by run r1"):
        put_taint(tainted(node()), ANOTHER, run="r2", deadline="")


def test_a_taint_that_somebody_changed_since_is_left_alone_and_named() -> None:
    during = tainted(node())
    during["spec"]["taints"][0]["value"] = "theirs"
    claim = claim_of(during)
    assert claim is not None
    plan = release(during, claim)
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


def copy_of(during: dict[str, Any]) -> NodeUndo:
    """The claim as the process or the ledger holds it."""
    claim = claim_of(during)
    assert claim is not None
    return claim


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE.keys())
def test_a_copy_is_enough_when_the_annotation_was_stripped(before: dict[str, Any]) -> None:
    during = merged(tainted(before), cordon(tainted(before), run="r1", deadline=""))
    claim = copy_of(during)
    assert set(ours_on(during, claim)) >= {"taint spot=x:NoExecute"}
    del during["metadata"]["annotations"][CLAIM_ANNOTATION]
    after = merged(during, release(during, claim).patch or {})
    assert after == before
    assert ours_on(after, claim) == ()


def test_another_runs_annotation_stays() -> None:
    claim = copy_of(tainted(node()))
    theirs = tainted(node(), ANOTHER, run="r2")
    plan = release(theirs, claim)
    assert plan.patch is None
    assert plan.missing == ("taint spot=x:NoExecute",)
    assert ours_on(theirs, claim) == ()


def test_a_taint_that_was_there_before_with_our_value_is_not_ours() -> None:
    same = Taint("spot", Effect.NO_EXECUTE, "x", "2026-01-01T00:00:00Z")
    before = node(same)
    during = tainted(before)
    claim = copy_of(during)
    assert released(during) == before
    assert ours_on(before, claim) == ()


def test_a_node_that_an_administrator_uncordoned_stays_so_and_is_named() -> None:
    before = node(unschedulable=True)
    during = merged(before, cordon(before, run="r1", deadline=""))
    del during["spec"]["unschedulable"]
    plan = release(during, copy_of(during))
    assert "unschedulable" not in merged(during, plan.patch or {})["spec"]
    assert plan.left_alone == ("cordon: it was there before us, and somebody else uncordoned the node since",)


def test_unknown_fields_of_others_taints_survive() -> None:
    before = node(ANOTHER)
    before["spec"]["taints"][0]["future"] = {"field": 1}
    before["spec"]["taints"].append({"key": "late", "effect": "NoNewThing"})
    assert released(tainted(before)) == before


def test_holder_and_heartbeat_are_kept_and_renewed() -> None:
    holder = Holder("h", "b", 1, 2, 3)
    during = merged(
        node(), put_taint(node(), SPOT, run="r1", deadline="d", holder=holder, heartbeat="2026-01-01T00:00:00Z")
    )
    patch = renew(during, "r1", "2026-01-01T00:00:30Z")
    assert patch is not None
    assert "spec" not in patch
    assert patch["metadata"]["resourceVersion"] == "7"
    renewed = claim_of(merged(during, patch))
    assert renewed is not None
    assert (renewed.holder, renewed.heartbeat) == (holder, "2026-01-01T00:00:30Z")
    assert renewed.changes == copy_of(during).changes
    assert renew(during, "r2", "now") is None
    assert renew(node(), "r1", "now") is None
    assert Holder.parse(holder.to_api()) == holder


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, {"host": "h", "pid": "7"}, {"host": 1}])
def test_a_holder_that_is_none_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Holder.parse(value)


def test_a_claim_of_an_older_release_is_read() -> None:
    old = '{"version":1,"run":"r","deadline":"d","taints":[],"unschedulableBefore":false}'
    assert parse_claim(old, node="n") == NodeUndo("r", "d", (CordonChange(False),))


OLD = (
    '{"version":1,"run":"r","deadline":"d","taints":[{"ours":{"key":"spot","effect":"NoExecute","value":"x"},'
    '"before":{"key":"spot","effect":"NoExecute","value":"admin","timeAdded":"2026-01-01T00:00:00Z"},"index":0}],'
    '"unschedulableBefore":false,"heartbeat":"2026-01-01T00:00:30Z"}'
)
"""As taintlab 0.1.0 wrote it."""


def test_what_an_older_release_put_on_is_taken_off() -> None:
    before = node(OTHERS_SAME_IDENTITY, ANOTHER)
    during = node(SPOT, ANOTHER, unschedulable=True)
    during["metadata"]["annotations"][CLAIM_ANNOTATION] = OLD
    claim = copy_of(during)
    assert claim.words() == "taint spot=x:NoExecute, cordon"
    assert claim.heartbeat == "2026-01-01T00:00:30Z"
    assert ours_on(during, claim) == ("taint spot=x:NoExecute", "cordon", f"annotation {CLAIM_ANNOTATION}")
    assert released(during) == before
    half = released(during, CORDON)  # what is left is written by this release
    assert json.loads(half["metadata"]["annotations"][CLAIM_ANNOTATION])["version"] == 2
    assert released(half) == before


def test_version_2_is_a_list_of_changes_that_their_kinds_write() -> None:
    during = tainted(node())
    during = merged(during, cordon(during, run="r1", deadline="d"))
    written = json.loads(during["metadata"]["annotations"][CLAIM_ANNOTATION])
    assert written["version"] == 2
    assert written["changes"] == [
        {"kind": "taint", "data": {"ours": SPOT.to_api(), "before": None, "index": 0}},
        {"kind": "cordon", "data": {"before": False}},
    ]


def test_a_change_of_an_unknown_kind_is_named_and_left_alone() -> None:
    during = tainted(node())
    claim = copy_of(during)
    text = during["metadata"]["annotations"][CLAIM_ANNOTATION]
    strange = text.replace('"changes":[', '"changes":[{"kind":"flood","data":{"wet":true}},')
    during["metadata"]["annotations"][CLAIM_ANNOTATION] = strange
    with pytest.raises(
        ClusterError, match=r"node n: .*a change of the kind 'flood', which this taintlab does not know"
    ):
        claim_of(during)
    after = merged(during, release(during, claim).patch or {})  # from memory: our taint goes, the record stays
    assert "taints" not in after["spec"]
    assert after["metadata"]["annotations"][CLAIM_ANNOTATION] == strange
    assert "'flood'" in ours_on(after, claim)[0]
    with pytest.raises(ClusterError, match="'flood'"):
        put_taint(during, ANOTHER, run="r1", deadline="d")


GOOD = copy_of(tainted(node(OTHERS_SAME_IDENTITY))).to_json()
BAD = {
    "empty": "",
    "no json": "no json",
    "no mapping": "[]",
    "nothing in it": "{}",
    "no taints": '{"version":1,"run":"r"}',
    "no changes": '{"version":2,"run":"r","deadline":"d"}',
    "a change without a kind": '{"version":2,"run":"r","deadline":"d","changes":[{"data":{}}]}',
    "a change without data": '{"version":2,"run":"r","deadline":"d","changes":[{"kind":"cordon"}]}',
    "a cordon of nothing": '{"version":2,"run":"r","deadline":"d","changes":[{"kind":"cordon","data":{}}]}',
    "one taint twice": GOOD.replace(
        '"changes":[', '"changes":[' + GOOD[GOOD.index('{"kind"') : GOOD.rindex("]")] + ","
    ),
    "version 1 with a bad taint": OLD.replace('"key":"spot"', '"key":7'),
    "1e999": GOOD.replace('"index":0', '"index":1e999'),
    "a negative index": GOOD.replace('"index":0', '"index":-1'),
    "a huge index": GOOD.replace('"index":0', '"index":' + "9" * 5000),
    "100,000 brackets": "[" * 100_000,
    "brackets below the cap": "[" * 60_000,
    "brackets inside": GOOD[:-1] + ',"x":' + "[" * 30_000 + "]" * 30_000 + "}",
    "an effect that is none": GOOD.replace("NoExecute", "NoSleep"),
    "a key that is a number": GOOD.replace('"key":"spot"', '"key":7'),
    "before is another taint": GOOD.replace('"before":{"key":"spot"', '"before":{"key":"other"'),
    "too large": GOOD[:-1] + ',"x":"' + "a" * 70_000 + '"}',
    "a lone surrogate": GOOD.replace("spot", "\ud800"),
    "an escaped lone surrogate": GOOD.replace("spot", "\\ud800"),
    "no text": None,
    "a list": ["x"],
    "a holder that is none": GOOD[:-1] + ',"holder":7}',
    "version as a text": GOOD.replace('"version":2', '"version":"2"'),
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
def test_any_bad_claim_is_one_cluster_error_that_names_the_node(raw: Any) -> None:
    with pytest.raises(ClusterError, match=r"node n: .*cannot be read") as caught:
        parse_claim(raw, node="n")
    assert str(caught.value).isprintable()


def test_a_claim_of_another_version_is_not_undone_by_the_rules_of_this_one() -> None:
    with pytest.raises(ClusterError, match="written by another version"):
        parse_claim(GOOD.replace('"version":2', '"version":3'), node="n")


def test_an_unreadable_annotation_is_not_written_but_told() -> None:
    during = tainted(node())
    claim = copy_of(during)
    during["metadata"]["annotations"][CLAIM_ANNOTATION] = "garbage"
    after = merged(during, release(during, claim).patch or {})
    assert "taints" not in after["spec"]
    assert after["metadata"]["annotations"][CLAIM_ANNOTATION] == "garbage"
    assert "cannot be read" in ours_on(after, claim)[0]


def test_mutated_claims_raise_nothing_else() -> None:
    """Every reader of a stranger's text is total: 4,000 mutations, read or refused."""
    chance = random.Random(1)
    read = 0
    bits = ['"', "{", "}", "[", "]", "null", "1e999", "\\u0000", "\x00", "-1", "true", ",", ":", "9" * 400, "\ud800"]
    for _ in range(4000):
        text = GOOD
        for _ in range(chance.randint(1, 4)):
            start = chance.randrange(len(text) + 1)
            end = min(len(text), start + chance.randint(0, 12))
            text = text[:start] + chance.choice(bits) + text[end:]
        try:
            parse_claim(text, node="n")
            read += 1
        except ClusterError:
            continue
    assert read < 4000
