"""What the predictor must know of a cluster besides the scenario: versions, flags, gates, how slow things may be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from harness.errors import UsageError

MINORS = (34, 35, 36, 37)
"""The minor versions of Kubernetes 1 whose controllers were read for this model."""

DEFAULT_VERSION = "1.35"
"""The version that is meant when none is named: the one all figures below were measured on."""


class Gate(StrEnum):
    """The feature gates that change who is evicted."""

    COMPARISON_OPERATORS = "TaintTolerationComparisonOperators"


@dataclass(frozen=True, slots=True)
class Latency:
    """How far real instants lie from ideal ones, in seconds. Measured on 1.35.4 with two cores.

    `delete_s`: from the instant a deletion is due to the instant it is seen, at most (0.00 to 0.07 on a quiet machine,
    0.25 under load). `delete_each_s`: how much later for each further pod due at once when the throttle does not bind
    (100 pods at 200 requests a second: the last after 0.6 to 0.9). `early_s`: a deletion may be seen that much before
    the acknowledgement it counts from. `race_s`: an untaint this close to the deadline may come in time or not (of some
    190, those 0.02 s before it or more all saved the pod, those 0.02 s after it or more none). `together_s`: writes of
    different clients' objects this close together may be seen at once, or in another order; 0 takes them as written
    (true for 250 of 251 on a quiet machine, for 95 to 99 of 100 on a busy one when less than 0.01 s apart).
    `restart_min_s`, `restart_max_s`: from SIGKILL of kube-controller-manager to its successor having listed pods and
    nodes. `setup_s`: how long before time 0 the pods may have been bound.
    """

    delete_s: float = 0.25
    delete_each_s: float = 0.009
    early_s: float = 0.05
    race_s: float = 0.05
    together_s: float = 0.0
    restart_min_s: float = 0.3
    restart_max_s: float = 2.0
    setup_s: float = 5.0


BUSY = Latency(delete_s=1.0, together_s=0.01, restart_min_s=0.25, restart_max_s=4.0)
"""A machine with several times more work than cores: many scripts replayed side by side, other labs beside this one."""


@dataclass(frozen=True, slots=True)
class NodeLifecycle:
    """Flags of the node lifecycle controller, with upstream's defaults, and the rhythm of its neighbours; in seconds
    or nodes a second.

    `grace_s`: --node-monitor-grace-period (40 before 1.32). `rate_per_s`, `secondary_rate_per_s`: taintings per zone
    and second; `large_zone`: a zone must have more nodes than this for the secondary rate to be above 0.
    `unhealthy_ratio`: of not-ready nodes, from which a zone counts as partially disrupted. `taint_tick_s`: how often
    the queue of nodes to taint is drained. `lease_s`: how often a kubelet renews its lease. `gc_s`, `gc_quarantine_s`:
    the pass of PodGC, and how long a node must be gone.
    """

    period_s: float = 5.0
    grace_s: float = 50.0
    rate_per_s: float = 0.1
    secondary_rate_per_s: float = 0.01
    unhealthy_ratio: float = 0.55
    large_zone: int = 50
    taint_tick_s: float = 0.1
    lease_s: float = 10.0
    gc_s: float = 20.0
    gc_quarantine_s: float = 40.0


@dataclass(frozen=True, slots=True)
class Settings:
    """A control plane. `minor`: of Kubernetes 1. `gates`: on in kube-controller-manager; `api_gates`: on in
    kube-apiserver. `kcm_qps`, `kcm_burst`: --kube-api-qps and --kube-api-burst of kube-controller-manager.
    `default_toleration_s`: what the DefaultTolerationSeconds admission adds for not-ready and unreachable (upstream
    300); None when it is off, as it is for write scripts. `evicts`: the taint-eviction-controller runs
    (``--controllers=*,-taint-eviction-controller`` turns it off, while nodes are still tainted).
    """

    minor: int = 35
    kcm_qps: float = 20.0
    kcm_burst: int = 30
    gates: frozenset[Gate] = frozenset()
    api_gates: frozenset[Gate] = frozenset()
    default_toleration_s: int | None = None
    evicts: bool = True
    latency: Latency = Latency()
    nodes: NodeLifecycle = NodeLifecycle()

    @property
    def compares(self) -> bool:
        """Whether the controller understands Gt and Lt tolerations: the gate is there (1.35, KEP-5471) and on."""
        return self.minor >= 35 and Gate.COMPARISON_OPERATORS in self.gates

    @property
    def admits_comparison(self) -> bool:
        """Whether the API server takes Gt and Lt tolerations."""
        return self.minor >= 35 and Gate.COMPARISON_OPERATORS in self.api_gates


def settings_for(version: str) -> Settings:
    """Upstream's defaults for ``1.35``, ``v1.35.4`` and the like; UsageError for a version that was not modelled."""
    match = re.fullmatch(r"v?1\.(\d+)(\..*)?\+?", version)
    if match is None or int(match[1]) not in MINORS:
        known = ", ".join(f"1.{minor}" for minor in MINORS)
        raise UsageError(f"Kubernetes {version}: not modelled (known: {known})")
    return Settings(minor=int(match[1]))
