"""The catalogue of rules that the predictor follows: what Kubernetes does, where upstream says so, and since when.

Predictions, plans and reports cite rules by id; ``taintlab explain`` prints them; docs/reference/rules.md is made from
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum


class RuleId(StrEnum):
    """Every rule's id, in the order of the catalogue."""

    ONLY_NOEXECUTE = "only-noexecute"
    TOLERATION_MATCHES = "toleration-matches"
    COMPARISON_OPERATORS = "comparison-operators"
    NO_TOLERATION = "no-toleration"
    FIRST_MATCH = "first-match"
    SHORTEST_SELECTED = "shortest-selected"
    FINITE_TOLERATION = "finite-toleration"
    UNLIMITED_TOLERATION = "unlimited-toleration"
    ZERO_SECONDS = "zero-seconds"
    SECONDS_OVERFLOW = "seconds-overflow"
    TIMER_KEPT = "timer-kept"
    TIMER_CANCELLED = "timer-cancelled"
    COUNTDOWN_ANEW = "countdown-anew"
    BOUND_TO_TAINTED_NODE = "bound-to-tainted-node"
    NOT_YET_DUE = "not-yet-due"
    TIME_ADDED_IGNORED = "time-added-ignored"
    RESTART_RESTARTS_COUNTDOWN = "restart-restarts-countdown"
    SEEN_AFTER_RESTART = "seen-after-restart"
    THROTTLED = "throttled"
    TOO_LATE = "too-late"
    DELETE_DENIED = "delete-denied"
    CONTROLLER_OFF = "controller-off"
    BUDGETS_IGNORED = "budgets-ignored"
    FINISHED_TOO = "finished-too"
    ALREADY_TERMINATING = "already-terminating"
    DAEMONSET_FIRST = "daemonset-first"
    MIRROR_COMES_BACK = "mirror-comes-back"
    DELETED_BY_OTHERS = "deleted-by-others"
    NODE_GONE = "node-gone"
    DEFAULT_TOLERATIONS = "default-tolerations"
    INVALID_TOLERATION = "invalid-toleration"
    INVALID_TAINT = "invalid-taint"
    TOLERATIONS_ONLY_GROW = "tolerations-only-grow"
    NAME_TAKEN = "name-taken"
    NO_SUCH_OBJECT = "no-such-object"
    CONDITION_TAINTS = "condition-taints"
    HEALTHY_NODE_CLEANED = "healthy-node-cleaned"
    NODE_LOSS = "node-loss"
    TAINTING_RATE = "tainting-rate"
    ZONE_DISRUPTED = "zone-disrupted"
    ALL_ZONES_DISRUPTED = "all-zones-disrupted"
    SWAP_KEEPS_TIMER = "swap-keeps-timer"
    RACE_AT_DEADLINE = "race-at-deadline"
    RACE_AT_UNTIL = "race-at-until"
    RACE_WITH_RESTART = "race-with-restart"
    RACE_FOR_NAME = "race-for-name"
    SEEN_TOGETHER = "seen-together"
    UNKNOWN_PHASE = "unknown-phase"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `sentence`: what Kubernetes does. `source`: file of kubernetes/kubernetes, KEP, issue, or "measured".

    `since`, `until`: first and last minor version it holds for ("" means: all that are modelled, or: still).
    """

    id: RuleId
    sentence: str
    source: str
    since: str = ""
    until: str = ""


_TEC = "pkg/controller/tainteviction/taint_eviction.go"
_TIMERS = "pkg/controller/tainteviction/timed_workers.go"
_NLC = "pkg/controller/nodelifecycle/node_lifecycle_controller.go"
_API = "pkg/apis/core/validation/validation.go"
_MATCH = "staging/src/k8s.io/api/core/v1/toleration.go"
_SELECT = "pkg/apis/core/v1/helper/helpers.go, GetMatchingTolerations"
_OURS = "the predictor's own answer where Kubernetes gives more than one"

_RULES = (
    Rule(
        RuleId.ONLY_NOEXECUTE,
        "Only NoExecute taints evict; NoSchedule and PreferNoSchedule leave running pods alone.",
        f"{_TEC}, getNoExecuteTaints",
    ),
    Rule(
        RuleId.TOLERATION_MATCHES,
        "A toleration matches a taint when its effect and key are the taint's (or empty), and its operator is Exists, "
        "or Equal (also when left out) with the same value.",
        f"{_MATCH}, ToleratesTaint",
    ),
    Rule(
        RuleId.COMPARISON_OPERATORS,
        "Gt matches when the taint's value is greater than the toleration's, Lt when it is less; equal values and "
        "anything but canonical 64-bit integers never match; with the gate TaintTolerationComparisonOperators off they "
        "match nothing, and the API refuses them.",
        f"{_MATCH}, compareNumericValues; KEP-5471",
        since="1.35",
    ),
    Rule(
        RuleId.NO_TOLERATION,
        "A pod that does not tolerate one of its node's NoExecute taints is deleted at once.",
        f"{_TEC}, processPodOnNode",
    ),
    Rule(
        RuleId.FIRST_MATCH,
        "For each taint the first toleration in list order that matches is taken; later ones, stricter or laxer, do "
        "not count.",
        _SELECT,
    ),
    Rule(
        RuleId.SHORTEST_SELECTED,
        "With several NoExecute taints the shortest tolerationSeconds among the tolerations taken decides; those "
        "without seconds do not shorten it.",
        f"{_TEC}, getMinTolerationTime",
    ),
    Rule(
        RuleId.FINITE_TOLERATION,
        "A toleration with tolerationSeconds delays the deletion by that many seconds, counted from when the "
        "controller saw the taint.",
        f"{_TEC}, processPodOnNode",
    ),
    Rule(
        RuleId.UNLIMITED_TOLERATION,
        "A pod whose tolerations taken all lack tolerationSeconds stays; a countdown that runs is cancelled.",
        f"{_TEC}, processPodOnNode",
    ),
    Rule(
        RuleId.ZERO_SECONDS,
        "tolerationSeconds of 0 or less means at once, unless a countdown runs already.",
        f"{_TEC}, getMinTolerationTime",
    ),
    Rule(
        RuleId.SECONDS_OVERFLOW,
        "tolerationSeconds above 9223372036 overflow when multiplied into nanoseconds: a result below 0 means never, "
        "any other means that many nanoseconds.",
        f"{_TEC}, getMinTolerationTime; measured",
    ),
    Rule(
        RuleId.TIMER_KEPT,
        "A running countdown is never shortened or lengthened: not by further taints, not by removing the taint that "
        "started it while another finite one stays, not by editing tolerationSeconds.",
        f"{_TEC}, processPodOnNode; issues 108982, 109226, 102993",
    ),
    Rule(
        RuleId.TIMER_CANCELLED,
        "A running countdown ends without a deletion when no NoExecute taint is left, or when all that are left are "
        "tolerated without limit.",
        f"{_TEC}, handleNodeUpdate, cancelWorkWithEvent",
    ),
    Rule(
        RuleId.COUNTDOWN_ANEW,
        "A taint that comes back after its countdown was cancelled starts a new, full one.",
        f"{_TEC}, processPodOnNode; measured: 250 of 251 even back to back",
    ),
    Rule(
        RuleId.BOUND_TO_TAINTED_NODE,
        "For a pod that is bound to a node already tainted the countdown starts when the controller sees the pod; a "
        "pod of the same name as an earlier one gets its own full time.",
        f"{_TEC}, handlePodUpdate",
    ),
    Rule(
        RuleId.NOT_YET_DUE,
        "A countdown that ends after the last look has not evicted anybody yet.",
        _OURS,
    ),
    Rule(
        RuleId.TIME_ADDED_IGNORED,
        "The taint's timeAdded is never read: only the controller's own clock counts.",
        f"{_TEC} (no use of TimeAdded)",
    ),
    Rule(
        RuleId.RESTART_RESTARTS_COUNTDOWN,
        "Countdowns live in memory: after a restart of kube-controller-manager, or a change of leader, every one "
        "starts again in full, 0.3 to 2 s after the restart.",
        f"{_TIMERS}; measured",
    ),
    Rule(
        RuleId.SEEN_AFTER_RESTART,
        "What is written while kube-controller-manager is down takes effect when its successor has listed nodes and "
        "pods; states in between are never seen.",
        f"{_TEC}, Run; measured",
    ),
    Rule(
        RuleId.THROTTLED,
        "Each deletion takes three requests (GET, PATCH, DELETE) through one client limited to --kube-api-qps and "
        "--kube-api-burst (20 and 30): of N pods due at once the last goes after (3N-30)/20 s, in no order; of N that "
        "a restarted controller finds due, after up to (6N-30)/20 s, since it starts two deletions of each.",
        "cmd/kube-controller-manager/app/core.go; handleNodeUpdate and handlePodUpdate; measured",
    ),
    Rule(
        RuleId.TOO_LATE,
        "Once a deletion is due, withdrawing the taint saves nobody, even while the deletion waits for the client "
        "throttle and a 'Cancelling deletion' event is written.",
        f"{_TIMERS}, Cancel; measured",
    ),
    Rule(
        RuleId.DELETE_DENIED,
        "Where an admission webhook denies the DELETE, five attempts within a second fail and the pod lives on, with "
        "the condition DisruptionTarget=True, until the next change of taints or tolerations.",
        f"{_TEC}, deletePodHandler; issue 140639; measured",
    ),
    Rule(
        RuleId.CONTROLLER_OFF,
        "With --controllers=*,-taint-eviction-controller nodes are still tainted, but nobody is evicted.",
        "KEP-3902; test/integration/node, EvictionForNoExecuteTaintAddedByUser",
    ),
    Rule(
        RuleId.BUDGETS_IGNORED,
        "Evictions by taint are plain DELETE requests: PodDisruptionBudgets are not consulted, the pod's own grace "
        "period holds.",
        f"{_TEC}, addConditionAndDeletePod",
    ),
    Rule(
        RuleId.FINISHED_TOO,
        "Succeeded and Failed pods are deleted like any other.",
        f"{_TEC}, processPodOnNode; measured",
    ),
    Rule(
        RuleId.ALREADY_TERMINATING,
        "A pod that is terminating already gets the condition and another DELETE; its deletionTimestamp does not move.",
        f"{_TEC}, deletePodHandler; measured",
    ),
    Rule(
        RuleId.DAEMONSET_FIRST,
        "The DaemonSet controller deletes its own pods on an untolerated NoExecute taint first, without "
        "DisruptionTarget, and does not replace them; with a finite toleration it replaces them on the same node, to "
        "be evicted again.",
        "pkg/controller/daemon/daemon_controller.go, podsShouldBeOnNode; measured",
    ),
    Rule(
        RuleId.MIRROR_COMES_BACK,
        "A mirror pod that does not tolerate the taint is deleted too, and its kubelet creates it again at once: the "
        "static pod itself keeps running.",
        "pkg/kubelet/pod/mirror_client.go; measured",
    ),
    Rule(
        RuleId.DELETED_BY_OTHERS,
        "A pod that somebody else deletes takes its countdown with it.",
        f"{_TEC}, handlePodUpdate",
    ),
    Rule(
        RuleId.NODE_GONE,
        "Deleting the Node object does not stop countdowns; pods without one are deleted by PodGC after 40 s of "
        "quarantine, on its next pass (every 20 s).",
        f"{_TEC}, handleNodeUpdate; pkg/controller/podgc/gc_controller.go",
    ),
    Rule(
        RuleId.DEFAULT_TOLERATIONS,
        "At creation and update the API server appends tolerations of not-ready and unreachable for 300 s, unless one "
        "with that key or none covers NoExecute already.",
        "plugin/pkg/admission/defaulttolerationseconds/admission.go",
    ),
    Rule(
        RuleId.INVALID_TOLERATION,
        "The API refuses (422) tolerationSeconds with another effect than NoExecute, Exists with a value, an empty key "
        "without Exists, malformed keys and values, and Gt or Lt with the gate off or without an integer.",
        f"{_API}, ValidateTolerations",
    ),
    Rule(
        RuleId.INVALID_TAINT,
        "The API refuses (422) two taints of the same key and effect, and malformed keys and values.",
        f"{_API}, validateNodeTaints",
    ),
    Rule(
        RuleId.TOLERATIONS_ONLY_GROW,
        "The API refuses (422) to change or remove a toleration, except for its tolerationSeconds; adding and "
        "re-ordering are allowed, and so is removing one while another equal in key, operator, value and effect stays.",
        f"{_API}, validateOnlyAddedTolerations",
    ),
    Rule(RuleId.NAME_TAKEN, "The API refuses (409) to create a pod under a name that is in use.", "the API's contract"),
    Rule(RuleId.NO_SUCH_OBJECT, "The API refuses (404) to change what is not there.", "the API's contract"),
    Rule(
        RuleId.CONDITION_TAINTS,
        "Ready=False and Ready=Unknown put not-ready and unreachable on a node, NoSchedule at once and NoExecute on "
        "the next pass (every 5 s); pressure, NetworkUnavailable and cordons put NoSchedule only.",
        f"{_NLC}, nodeConditionToTaintKeyStatusMap",
    ),
    Rule(
        RuleId.HEALTHY_NODE_CLEANED,
        "not-ready:NoExecute and unreachable:NoExecute are removed from a Ready node on the next pass (every 5 s), "
        "whoever put them there.",
        f"{_NLC}, processTaintBaseEviction",
    ),
    Rule(
        RuleId.NODE_LOSS,
        "A node whose heartbeats stop becomes Unknown 40 to 60 s later (grace period 50 s, lease every 10 s, pass "
        "every 5 s), and unreachable:NoExecute follows in the same pass or the next.",
        f"{_NLC}, tryUpdateNodeHealth, processTaintBaseEviction",
    ),
    Rule(
        RuleId.TAINTING_RATE,
        "In each zone one node at once and then one every 10 s gets its NoExecute taint (--node-eviction-rate 0.1); "
        "taints put on by hand are not held back.",
        f"{_NLC}, doNoExecuteTaintingPass",
    ),
    Rule(
        RuleId.ZONE_DISRUPTED,
        "With three or more nodes and at least 55 % of a zone not ready, tainting slows to one node per 100 s, and "
        "stops altogether in a zone of 50 nodes or fewer.",
        f"{_NLC}, ComputeZoneState, ReducedQPSFunc",
    ),
    Rule(
        RuleId.ALL_ZONES_DISRUPTED,
        "When no node of any zone is ready, both NoExecute condition taints are removed from all nodes, and none is "
        "added.",
        f"{_NLC}, handleDisruption",
    ),
    Rule(
        RuleId.SWAP_KEEPS_TIMER,
        "When not-ready turns into unreachable, or back, the new taint is put on before the old one goes: the "
        "countdown runs on from the first.",
        "pkg/controller/util/node/controller_utils.go, SwapNodeControllerTaint",
    ),
    Rule(
        RuleId.RACE_AT_DEADLINE,
        "Unsure: what would have ended the countdown came within 0.1 s of its end.",
        _OURS,
    ),
    Rule(RuleId.RACE_AT_UNTIL, "Unsure: the deletion falls due while the last look is taken.", _OURS),
    Rule(
        RuleId.RACE_WITH_RESTART,
        "Unsure: it depends on how fast kube-controller-manager comes back, or on whether a deletion got through "
        "before it was killed.",
        _OURS,
    ),
    Rule(
        RuleId.RACE_FOR_NAME,
        "Unsure: a pod of the same name was created while the earlier one may still have been there.",
        _OURS,
    ),
    Rule(
        RuleId.SEEN_TOGETHER,
        "Unsure: writes back to back, which a busy controller may see as one, or in another order (at least 95 of 100 "
        "times it does not).",
        _OURS,
    ),
    Rule(
        RuleId.UNKNOWN_PHASE,
        "Unsure: it depends on where in their rhythm the periodic passes of the node lifecycle controller, its "
        "leases or PodGC happen to be.",
        _OURS,
    ),
)

CATALOGUE: dict[RuleId, Rule] = {rule.id: rule for rule in _RULES}
"""Every rule by id, in catalogue order."""


def closest(name: str) -> tuple[str, ...]:
    """The ids most like `name` (up to three), or all when none is."""
    return tuple(get_close_matches(name, CATALOGUE, n=3, cutoff=0.4) or CATALOGUE)


def markdown() -> str:
    """docs/reference/rules.md: one section a rule, in catalogue order."""
    lines = [
        "# Rules of eviction",
        "",
        "What the predictor takes Kubernetes to do, for versions 1.34 to 1.37. `taintlab explain RULE` prints one;",
        "this page is made from the same catalogue (`python -m harness.cli explain --markdown`).",
        "",
    ]
    for rule in CATALOGUE.values():
        lines += [f"## {rule.id}", "", rule.sentence, "", f"Source: {rule.source}."]
        if rule.since or rule.until:
            lines.append(f"Versions: {rule.since or '1.34'} {'to ' + rule.until if rule.until else 'and later'}.")
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"
