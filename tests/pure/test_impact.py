"""What faults do: who leaves and comes back how, what the plan warns of, what it is held to."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import pytest

from harness.errors import ExitCode
from harness.faults.cordon import CordonFault
from harness.faults.taint import TaintFault
from harness.impact import (
    EXPECTATIONS,
    RULES,
    PolicyPlan,
    Replacement,
    Staying,
    assess,
    evictions_by,
    judge,
)
from harness.impact.planned import Drain, EndOfNode, LoseNode, NodeCondition
from harness.model.finding import Finding, Severity
from harness.model.plan import Prediction
from harness.model.planned_fault import PlannedFault, timed
from harness.model.scenario import ConditionStatus, ConditionType
from harness.model.state import Subject
from harness.model.taints import Effect, Taint
from harness.model.words import Outcome
from harness.semantics.eviction.settings import Settings
from harness.semantics.scheduling import PlacementOutcome
from tests.pure.plan_objects import (
    HOST,
    Json,
    budget,
    inventory,
    job,
    mounts,
    node,
    pod,
    service,
    tolerate,
    volume,
)

SPOT = TaintFault(taint=Taint("spot", Effect.NO_EXECUTE, "true"))
PRESSED = NodeCondition(ConditionType.MEMORY_PRESSURE, ConditionStatus.TRUE)
FINITE = [tolerate("spot", effect="NoExecute", seconds=30)]
GPU = "nvidia.com/gpu"


def plan(
    *objects: Json,
    expectations: tuple[str, ...] = (),
    missing: dict[Subject, str] | None = None,
    faults: tuple[PlannedFault, ...] = (SPOT,),
) -> PolicyPlan:
    """The plan of faults on node s, by default the taint spot=true:NoExecute."""
    seen = inventory(node("s"), *objects, missing=missing, taken="2026-01-01T02:00:00Z")
    what = timed(faults, ("s",))
    impact = assess(seen, what, ("s",), evictions_by(seen, what, ("s",), Settings()), Settings())
    return judge(impact, [EXPECTATIONS[name] for name in expectations], source="test", title="test")


def web(name: str, on: str, **more: Any) -> Json:
    """A pod of Deployment web."""
    return pod(name, on, app="web", owner="ReplicaSet/web-h1", labels={"pod-template-hash": "h1"}, **more)


def found(made: PolicyPlan, rule: str) -> list[Finding]:
    return [finding for finding in made.findings if finding.rule == rule]


# --- who leaves ---

STAYS: dict[str, tuple[Json, tuple[PlannedFault, ...], str]] = {
    "a NoSchedule taint": (web("p", "s"), (TaintFault(taint=Taint("spot", Effect.NO_SCHEDULE)),), "only-noexecute"),
    "a cordon": (web("p", "s"), (CordonFault(),), "only-noexecute"),
    "pressure": (
        web("p", "s"),
        (PRESSED,),
        "only-noexecute",
    ),
    "a toleration": (web("p", "s", tolerations=[tolerate("spot")]), (SPOT,), "unlimited-toleration"),
    "a drain and a DaemonSet": (pod("p", "s", owner="DaemonSet/d"), (Drain(),), "drain-skips-daemonset"),
    "a drain and a static pod": (pod("p", "s", owner="Node/s", mirror=True), (Drain(),), "drain-skips-mirror"),
}


@pytest.mark.parametrize(("one", "faults", "rule"), STAYS.values(), ids=STAYS.keys())
def test_who_stays_and_why(one: Json, faults: tuple[PlannedFault, ...], rule: str) -> None:
    made = plan(one, expectations=("no-eviction",), faults=faults)
    assert [each.prediction.rule for each in made.impact.staying] == [rule]
    assert not made.impact.leaving
    assert made.exit_code is ExitCode.PASS


LEAVES: dict[str, tuple[Json, tuple[PlannedFault, ...], tuple[float, Replacement]]] = {
    "at once, and is replaced": (web("p", "s"), (SPOT,), (0.0, Replacement.NEW)),
    "after its seconds": (web("p", "s", tolerations=FINITE), (SPOT,), (30.0, Replacement.NEW)),
    "a StatefulSet waits": (pod("p-0", "s", owner="StatefulSet/p"), (SPOT,), (0.0, Replacement.SAME_NAME)),
    "a DaemonSet stays away": (
        pod("p", "s", owner="DaemonSet/d"),
        (SPOT,),
        (0.0, Replacement.NOT_RECREATED),
    ),
    "a DaemonSet comes back": (
        pod("p", "s", owner="DaemonSet/d", tolerations=FINITE),
        (SPOT,),
        (30.0, Replacement.EVICT_LOOP),
    ),
    "nobody's pod": (pod("p", "s"), (SPOT,), (0.0, Replacement.NONE)),
    "a finished pod": (pod("p", "s", owner="Job/j", phase="Succeeded"), (SPOT,), (0.0, Replacement.DONE)),
    "a static pod": (pod("p", "s", mirror=True, owner="Node/s"), (SPOT,), (0.0, Replacement.SAME_NODE)),
    "a drain": (web("p", "s"), (Drain(),), (0.0, Replacement.NEW)),
    "Ready turns False": (
        web("p", "s", tolerations=[tolerate("node.kubernetes.io/not-ready", effect="NoExecute", seconds=10)]),
        (NodeCondition(ConditionType.READY, ConditionStatus.FALSE),),
        (10.0, Replacement.NEW),
    ),
}


@pytest.mark.parametrize(("one", "faults", "expected"), LEAVES.values(), ids=LEAVES.keys())
def test_who_leaves_when_and_who_brings_it_back(
    one: Json, faults: tuple[PlannedFault, ...], expected: tuple[float, Replacement]
) -> None:
    [leaving] = plan(one, node("other"), faults=faults).impact.leaving
    assert (leaving.prediction.earliest_s, leaving.comes_back) == expected
    assert leaving.prediction.rule


def test_a_lost_node_takes_its_time_and_keeps_its_stateful_pods() -> None:
    default = [tolerate("node.kubernetes.io/unreachable", effect="NoExecute", seconds=300)]
    made = plan(
        web("p", "s", tolerations=default),
        pod("db-0", "s", owner="StatefulSet/db", tolerations=default),
        node("other"),
        faults=(LoseNode(),),
    )
    by_name = {each.pod.name: each for each in made.impact.leaving}
    assert 340 <= (by_name["p"].prediction.earliest_s or 0) <= 350
    assert by_name["p"].placement is not None
    assert by_name["p"].placement.node == "other"
    assert by_name["db-0"].comes_back is Replacement.STUCK_TERMINATING
    assert [f.subject for f in found(made, "pending")] == ["StatefulSet default/db"]


def test_blanket_tolerations_are_named_as_such() -> None:
    made = plan(web("p", "s", tolerations=[tolerate()]), web("q", "s", tolerations=[tolerate("spot")]))
    assert {each.pod.name: each.blanket for each in made.impact.staying} == {"p": True, "q": False}
    assert [finding.subject for finding in found(made, "blanket")] == ["Deployment default/web"]


# --- what breaks ---

TWO = [web("p", "s"), web("q", "s"), node("other")]
FINDINGS: dict[str, tuple[list[Json], str, Severity, str]] = {
    "all endpoints at once": (
        [*TWO, service("web", "web")],
        "outage",
        Severity.BREAKS,
        "loses all 2 endpoints in one instant, at once, until the first replacement is Ready",
    ),
    "all endpoints, nowhere to go": (
        [web("p", "s", nodeSelector={HOST: "s"}), service("web", "web")],
        "outage",
        Severity.BREAKS,
        "its only endpoint in one instant, at once, and no replacement finds a node",
    ),
    "one after the other": (
        [web("p", "s"), web("q", "s", tolerations=FINITE), node("other"), service("web", "web")],
        "outage",
        Severity.HURTS,
        "between 0 and 30 s",
    ),
    "endpoints written by hand": (
        [
            web("p", "s"),
            node("other"),
            service("web", "none") | {"spec": {}},
            {
                "kind": "EndpointSlice",
                "metadata": {"namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
                "endpoints": [{"targetRef": {"kind": "Pod", "namespace": "default", "name": "p"}}],
            },
        ],
        "outage",
        Severity.BREAKS,
        "its only endpoint",
    ),
    "a budget is violated": (
        [*TWO, web("r", "other"), budget("web", "web", allowed=1, desired=2)],
        "budget",
        Severity.BREAKS,
        "the taint takes 2 of 3 pods and does not ask: the budget (maxUnavailable 1) allows 1 at a time; "
        "a drain would need 2 rounds",
    ),
    "a replacement has nowhere to go": (
        [web("p", "s", nodeSelector={"pool": "spot"}), node("other")],
        "pending",
        Severity.BREAKS,
        "Pending, 1 of 1 replacement: 0/2 nodes are available: 1 node(s) didn't match Pod's node "
        "affinity/selector, 1 node(s) had untolerated taint(s).",
    ),
    "eviction-loop": (
        [web("p", "s", tolerations=FINITE, nodeSelector={HOST: "s"})],
        "eviction-loop",
        Severity.BREAKS,
        "fit only for another eviction, every 30 s: 1 replacement",
    ),
    "perhaps eviction-loop": (
        [web("p", "s", tolerations=FINITE), node("other")],
        "eviction-loop",
        Severity.HURTS,
        "may go back to the same taint, which the scheduler does not avoid",
    ),
    "a volume cannot follow": (
        [
            pod("db-0", "s", owner="StatefulSet/db", volumes=mounts("pv")),
            node("other"),
            *volume("pv", key=HOST, values=("s",)),
        ],
        "volume",
        Severity.BREAKS,
        "volumes of 1 pod cannot follow: 0/2 nodes",
    ),
    "the only replica": (
        [web("p", "s"), node("other")],
        "single-replica",
        Severity.HURTS,
        "before its replacement starts",
    ),
    "a bare pod": ([pod("p", "s")], "unmanaged", Severity.BREAKS, "lost for good, without a controller: 1 pod"),
    "a Job fails": (
        [pod("p", "s", owner="Job/j"), node("other"), job("j", limit=0)],
        "job",
        Severity.BREAKS,
        "with 1 failure and backoffLimit 0 the Job fails",
    ),
    "a Job loses work": (
        [pod("p", "s", owner="Job/j"), node("other"), job("j", limit=3, failed=1)],
        "job",
        Severity.HURTS,
        "2 failures of the 3 that backoffLimit allows",
    ),
    "a Job that ignores disruption": (
        [pod("p", "s", owner="Job/j"), node("other"), job("j", limit=0, ignores=True)],
        "job",
        Severity.HURTS,
        "which its podFailurePolicy keeps out of the count",
    ),
    "an agent": ([pod("p", "s", owner="DaemonSet/d")], "daemonset", Severity.HURTS, "driven off 1 node, and"),
    "devices": (
        [pod("p", "s", owner="Job/j", requests={GPU: "2"}) | {}, node("other")],
        "accelerator",
        Severity.HURTS,
        "given up after 0 device minutes of work: 2 devices of 1 pod",
    ),
    "somebody must make room": (
        [web("p", "s", cpu="3", priority=1000), node("other"), pod("small", "other", owner="ReplicaSet/x", cpu="3")],
        "preemption",
        Severity.BREAKS,
        "preempted by more important replacements such as default/p: 1 pod, 1 without another node to go to",
    ),
    "a full quota": (
        [
            web("p", "s"),
            node("other"),
            {
                "kind": "ResourceQuota",
                "metadata": {"name": "limit", "namespace": "default"},
                "status": {"hard": {"pods": "1"}, "used": {"pods": "1"}},
            },
        ],
        "quota",
        Severity.HURTS,
        "exceeded quota: limit, for pods: refused until terminating pods are gone, up to 30 s: 1 replacement",
    ),
    "a webhook": (
        [
            web("p", "s"),
            node("other"),
            {
                "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": "guard"},
                "webhooks": [
                    {"name": "g.io", "rules": [{"operations": ["DELETE"], "resources": ["pods"], "apiGroups": [""]}]}
                ],
            },
        ],
        "admission",
        Severity.HURTS,
        "is asked about 1 deletion; no answer counts as no",
    ),
    "an admission policy": (
        [
            web("p", "s"),
            node("other"),
            {
                "kind": "ValidatingAdmissionPolicy",
                "metadata": {"name": "guard"},
                "spec": {
                    "failurePolicy": "Ignore",
                    "matchConstraints": {
                        "resourceRules": [{"operations": ["*"], "resources": ["*"], "apiGroups": ["*"]}]
                    },
                },
            },
        ],
        "admission",
        Severity.HURTS,
        "is asked about 1 deletion: ",
    ),
    "the longest grace period": (
        [web("p", "s", grace=45), web("q", "s"), node("other")],
        "grace",
        Severity.NOTE,
        "the longest grace period is 45 s (default/p)",
    ),
}


@pytest.mark.parametrize(("objects", "rule", "severity", "says"), FINDINGS.values(), ids=FINDINGS.keys())
def test_what_a_taint_breaks(objects: list[Json], rule: str, severity: Severity, says: str) -> None:
    [finding] = found(plan(*objects), rule)
    assert finding.severity is severity
    assert says in finding.message


QUIET: dict[str, tuple[list[Json], str]] = {
    "an endpoint elsewhere": ([*TWO, web("r", "other"), service("web", "web")], "outage"),
    "an endpoint that was not ready": (
        [web("p", "s", ready=False), web("r", "other"), node("other"), service("web", "web")],
        "outage",
    ),
    "a Service without endpoints": ([*TWO, service("empty", "nobody")], "outage"),
    "a budget that allows it": ([*TWO, budget("web", "web", allowed=2)], "budget"),
    "a budget of others": ([*TWO, budget("db", "db", allowed=0)], "budget"),
    "two replicas": (TWO, "single-replica"),
    "a webhook for other things": (
        [
            *TWO,
            {
                "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": "g"},
                "webhooks": [{"name": "g.io", "rules": [{"operations": ["CREATE"], "resources": ["pods"]}]}],
            },
        ],
        "admission",
    ),
}


@pytest.mark.parametrize(("objects", "rule"), QUIET.values(), ids=QUIET.keys())
def test_what_does_not_break(objects: list[Json], rule: str) -> None:
    assert not found(plan(*objects), rule)


@pytest.mark.parametrize(
    ("allowed", "severity", "says"),
    [
        (0, Severity.BREAKS, "never gets 2 pods off"),
        (1, Severity.HURTS, "2 rounds, each after the first at least 5 s"),
    ],
)
def test_a_drain_waits_for_a_budget(allowed: int, severity: Severity, says: str) -> None:
    made = plan(*TWO, budget("web", "web", allowed=allowed), faults=(Drain(),))
    [waits] = [finding for finding in found(made, "drain") if finding.severity is not Severity.NOTE]
    assert (waits.severity, says in waits.message) == (severity, True)
    assert not found(made, "budget")
    assert [each.prediction.latest_s is None for each in made.impact.leaving].count(True) == 2 - allowed


def test_a_drain_fails_at_a_pod_of_two_budgets() -> None:
    """The Eviction API answers 500, and kubectl gives up: not a matter of waiting."""
    both = budget("a", "web", allowed=5), budget("b", "web", allowed=5)
    made = plan(*TWO, *both, faults=(Drain(),), expectations=("no-budget-breach",))
    [fails] = [finding for finding in found(made, "drain") if finding.severity is Severity.BREAKS]
    assert fails.keys == ("default/p", "default/q")
    assert (made.held[0].holds, made.impact.leaving) == (False, ())


def test_what_kubectl_drain_wants_to_be_told() -> None:
    local = pod("local", "s", owner="ReplicaSet/x", volumes=[{"name": "d", "emptyDir": {}}])
    made = plan(local, pod("bare", "s"), pod("agent", "s", owner="DaemonSet/d"), node("other"), faults=(Drain(),))
    flags = {finding.subject for finding in found(made, "drain")}
    assert flags == {f"kubectl drain {flag}" for flag in ("--force", "--delete-emptydir-data", "--ignore-daemonsets")}


@pytest.mark.parametrize(
    ("window_s", "late"), [(200.0, False), (120.0, True)], ids=["long enough", "shorter than seconds and grace"]
)
def test_the_interruption_window(window_s: float, late: bool) -> None:
    made = plan(web("p", "s", tolerations=FINITE, grace=120), node("other"), faults=(SPOT, EndOfNode(at_s=window_s)))
    assert bool(found(made, "window")) is late


def test_pressure_says_that_the_kubelet_decides() -> None:
    made = plan(web("p", "s"), faults=(PRESSED,))
    assert "whatever they tolerate" in found(made, "pressure")[0].message


def test_many_deletions_share_one_client() -> None:
    made = plan(*(web(f"p{n}", "s", cpu="1m") for n in range(100)), node("other"))
    [finding] = found(made, "throttle")
    assert finding.evidence["deletions"] == 100
    assert 13 < (finding.evidence["last_s"] or 0) < 15


def test_pods_that_were_pending_before_take_room_first() -> None:
    """They tolerate the taint, so the node that is emptied is theirs; the replacement finds the other one full."""
    waits = pod("waits", cpu="4", tolerations=[tolerate("spot")])
    made = plan(web("p", "s", cpu="4"), waits, node("other", cpu="1"))
    assert made.impact.idle["default/waits"].fate is PlacementOutcome.FITS
    [leaving] = made.impact.leaving
    assert leaving.placement is not None
    assert leaving.placement.fate is PlacementOutcome.PENDING


# --- expectations ---


@pytest.mark.parametrize(
    ("demand", "objects", "missing", "exit_code"),
    [
        ("no-outage", [*TWO, service("web", "web")], {}, ExitCode.FAIL),
        ("no-outage", TWO, {}, ExitCode.PASS),
        ("no-outage", TWO, {Subject.SERVICES: "may not list services (forbidden)"}, ExitCode.INCONCLUSIVE),
        ("no-pending", TWO, {Subject.SERVICES: "does not matter here"}, ExitCode.PASS),
        (
            "no-pending",
            [web("p", "s", volumes=mounts("c")), node("other")],
            {Subject.CLAIMS: "forbidden"},
            ExitCode.INCONCLUSIVE,
        ),
        ("no-budget-breach", [*TWO, budget("b", "web", allowed=0)], {}, ExitCode.FAIL),
        ("no-eviction", TWO, {}, ExitCode.FAIL),
        ("no-eviction", [], {Subject.PODS: "not in the file"}, ExitCode.INCONCLUSIVE),
        ("no-single-replica", [web("p", "s"), node("other")], {}, ExitCode.FAIL),
        ("no-late-exit", TWO, {}, ExitCode.PASS),
    ],
)
def test_what_a_plan_is_held_to(
    demand: str, objects: list[Json], missing: dict[Subject, str], exit_code: ExitCode
) -> None:
    made = plan(*objects, expectations=(demand,), missing=missing)
    assert made.exit_code is exit_code
    assert made.held[0].because


def test_nothing_demanded_nothing_broken() -> None:
    assert plan(*TWO, service("web", "web")).exit_code is ExitCode.PASS


def test_what_could_not_be_read_is_said() -> None:
    missing = {Subject.BUDGETS: "may not list poddisruptionbudgets.policy (forbidden)"}
    assert plan(*TWO, missing=missing).unknown == (
        "which PodDisruptionBudgets are violated: may not list poddisruptionbudgets.policy (forbidden)",
    )


@pytest.mark.parametrize("demand", list(EXPECTATIONS))
def test_a_deed_that_plans_do_not_know_leaves_everything_open(demand: str) -> None:
    impact = replace(plan().impact, unplanned=("what a meteor does: plans do not know this fault",))
    made = judge(impact, (EXPECTATIONS[demand],), source="test", title="test")
    assert made.exit_code is ExitCode.INCONCLUSIVE
    assert "meteor" in made.unknown[0]


def test_an_expectation_may_be_about_one_subject() -> None:
    """An experiment asks about the Service that its load goes to, and no other."""
    objects = [*TWO, web("r", "other"), pod("db", "s", app="db", owner="ReplicaSet/db")]
    made = plan(*objects, service("web", "web"), service("db", "db"))
    asked = EXPECTATIONS["no-outage"]
    results = {name: replace(asked, subject=f"Service default/{name}") for name in ("web", "db")}
    held = judge(made.impact, [*results.values(), asked], source="test", title="test").held
    assert [each.holds for each in held] == [True, False, False]


def test_a_budget_breach_is_a_taint_or_a_drain_that_it_stops() -> None:
    stops = budget("web", "web", allowed=0)
    names = ("no-budget", "no-drain", "no-budget-breach")
    by_taint = plan(*TWO, stops, expectations=names, faults=(SPOT,))
    by_drain = plan(*TWO, stops, expectations=names, faults=(Drain(),))
    assert [each.holds for each in by_taint.held] == [False, True, False]
    assert [each.holds for each in by_drain.held] == [True, False, False]


# --- rules ---


def test_every_rule_has_a_case() -> None:
    """What this module's tables provoke, so that the next test sees each rule at work."""
    assert {finding.rule for made in _every_plan() for finding in _findings(made)} == {rule.id for rule in RULES}


def test_findings_are_those_of_their_rule_and_no_graver_than_it_says() -> None:
    for rule in RULES:
        for made in _every_plan():
            for finding in rule.find(made.impact):
                assert finding.rule == rule.id
                assert finding.severity >= rule.gravest, finding


@functools.cache
def _every_plan() -> tuple[PolicyPlan, ...]:
    default = tolerate("node.kubernetes.io/not-ready", effect="NoExecute", seconds=10)
    race = replace(plan(web("p", "s")).impact, unsure=(_unsure(web("q", "s")),))
    return (
        *(plan(*objects) for objects, *_ in FINDINGS.values()),
        plan(*TWO, budget("web", "web", allowed=1), faults=(Drain(),)),
        plan(web("p", "s", tolerations=FINITE, grace=120), node("other"), faults=(SPOT, EndOfNode(at_s=120.0))),
        plan(web("p", "s", tolerations=[default]), faults=(PRESSED,)),
        plan(*(web(f"p{n}", "s", cpu="1m") for n in range(100)), node("other")),
        plan(web("p", "s", tolerations=[tolerate()])),
        judge(race, (), source="test", title="test"),
    )


def _unsure(one: Json) -> Staying:
    """A pod whose deletion comes so close to the last look that nobody can tell."""
    seen = inventory(node("s"), one)
    prediction = Prediction("default/q", "", "s", Outcome.UNSURE, None, None, "race-at-until", "a race")
    return Staying(seen.pods[0], prediction)


def _findings(made: PolicyPlan) -> list[Finding]:
    return [finding for rule in RULES for finding in rule.find(made.impact)]


def test_the_ids_of_rules_are_their_own() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_the_gravest_comes_first() -> None:
    made = plan(*TWO, pod("bare", "s"), service("web", "web"))
    assert [finding.severity for finding in made.findings] == sorted(finding.severity for finding in made.findings)
    assert made.findings[0].rule == "outage"
