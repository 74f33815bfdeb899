"""Write scripts as plain JSON values: what `harness.formats.script` reads back."""

from __future__ import annotations

from typing import Any

from harness.formats.script.fields import VERSION
from harness.model.scenario import (
    CreatePod,
    DeleteNode,
    DeletePod,
    Restart,
    Scenario,
    ScenarioPod,
    SetCondition,
    SetTaints,
    SetTolerations,
    StartHeartbeat,
    StopHeartbeat,
    Write,
)


def to_plain(scenario: Scenario) -> dict[str, Any]:
    """The script as plain JSON values, in the format's spelling: what `parse_script` reads back as the same scenario.

    ValueError for a write that the format has no word for.
    """
    return {
        "version": VERSION,
        "nodes": [
            {"name": node.name, "labels": dict(node.labels), "taints": [taint.to_api() for taint in node.taints]}
            for node in scenario.nodes
        ],
        "pods": [_pod_plain(pod) for pod in scenario.pods],
        "writes": [{"at": write.at_s, **_deed_plain(write)} for write in scenario.writes],
        "until": scenario.until_s,
    }


def _pod_plain(pod: ScenarioPod) -> dict[str, Any]:
    return {"name": pod.key, "node": pod.node, "tolerations": [each.to_api() for each in pod.tolerations]}


def _deed_plain(write: Write) -> dict[str, Any]:
    match write:
        case SetTaints(node=node, taints=taints):
            return {"taints": {"node": node, "set": [taint.to_api() for taint in taints]}}
        case SetTolerations(pod=pod, tolerations=tolerations):
            return {"tolerations": {"pod": pod, "set": [each.to_api() for each in tolerations]}}
        case CreatePod(pod=created):
            return {"create": _pod_plain(created)}
        case DeletePod(pod=pod):
            return {"delete": {"pod": pod}}
        case Restart(component=component):
            return {"restart": component.value}
        case DeleteNode() | StopHeartbeat() | StartHeartbeat() | SetCondition():
            raise ValueError(f"a write script has no word for {type(write).__name__}")
