"""Why a node does not do, in the scheduler's own words, and the sentence it makes of them.

Sources: the ErrReason constants of pkg/scheduler/framework/plugins and FitError.Error in
pkg/scheduler/framework/types.go. The text for taints changed in 1.35 (and in patches of 1.34, from 1.34.3 on).
"""

from __future__ import annotations

import re
from collections import Counter

from harness.model.taints import Taint

UNSCHEDULABLE = "node(s) were unschedulable"
TAINTS = "node(s) had untolerated taint(s)"
NODE_AFFINITY = "node(s) didn't match Pod's node affinity/selector"
ABSENT = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
PORTS = "node(s) didn't have free ports for the requested pod ports"
TOO_MANY_PODS = "Too many pods"
VOLUME_AFFINITY = "node(s) didn't match PersistentVolume's node affinity"
VOLUME_BINDING = "node(s) didn't find available persistent volumes to bind"
VOLUME_MISSING = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
VOLUME_ZONE = "node(s) had no available volume zone"
SPREAD = "node(s) didn't match pod topology spread constraints"
SPREAD_LABEL = SPREAD + " (missing required label)"
AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING_ANTI_AFFINITY = "node(s) didn't satisfy existing pods anti-affinity rules"


def insufficient(resource: str) -> str:
    """``Insufficient cpu``."""
    return f"Insufficient {resource}"


def untolerated(taint: Taint, kubernetes_version: str) -> str:
    """The scheduler's text for a taint that is not tolerated, as that version has it."""
    match = re.match(r"v?1\.(\d+)(?:\.(\d+))?", kubernetes_version)
    if match is None or (int(match[1]), int(match[2] or 0)) >= (34, 3):
        return TAINTS
    return f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"


def unavailable(reasons: Counter[str], nodes: int) -> str:
    """``0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated taint(s).``"""
    counted = sorted(f"{count} {reason}" for reason, count in reasons.items() if count)
    return f"0/{nodes} nodes are available: {', '.join(counted)}."


def refused(nodes: int, why: str) -> str:
    """The sentence when a pod is refused before any node is looked at: ``0/5 nodes are available: why.``"""
    return f"0/{nodes} nodes are available: {why}."
