"""What a cluster tells of its control plane, and what the predictor makes of it."""

from __future__ import annotations

import asyncio

import pytest

from harness.cluster.ports import Json, Listing
from harness.errors import Refused
from harness.semantics.eviction.settings import BUSY, Gate, Settings
from harness.snapshot.control_plane import deciding, flags_of, settings_of
from harness.testing import FakeCluster

KCM = "kube-controller-manager"
GATE = "TaintTolerationComparisonOperators"


def static_pod(component: str, *words: str) -> Json:
    """As kubeadm writes it: the flags are words of the command."""
    spec = {"containers": [{"command": [component, *words]}]}
    return {"metadata": {"labels": {"component": component}}, "spec": spec}


def flags_seen(*pods: Json) -> tuple[str, ...]:
    """What `flags_of` finds on a cluster with these pods in kube-system."""
    cluster = FakeCluster()
    for number, pod in enumerate(pods):
        cluster.put(f"/api/v1/namespaces/kube-system/pods/p{number}", pod)
    return asyncio.run(flags_of(cluster))


def test_the_flags_of_static_pods() -> None:
    seen = flags_seen(
        static_pod(KCM, "--kube-api-qps=100", "--kube-api-burst=200", "--kubeconfig=/etc/kcm.conf"),
        static_pod(KCM, "--kube-api-qps=100"),
        static_pod("kube-apiserver", f"--feature-gates={GATE}=true", "--secure-port=6443"),
        static_pod("kube-scheduler", "--kube-api-qps=7"),
    )
    assert seen == (
        f"{KCM}=--kube-api-qps=100",
        f"{KCM}=--kube-api-burst=200",
        f"kube-apiserver=--feature-gates={GATE}=true",
    )


def test_a_managed_control_plane_says_nothing() -> None:
    assert flags_seen() == ()


def test_without_the_permission_nothing_is_known() -> None:
    class Closed(FakeCluster):
        async def list(self, path: str, **query: str) -> Listing:
            raise Refused(f"GET {path}: no", status=403, reason="Forbidden")

    assert asyncio.run(flags_of(Closed())) == ()


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        (f"{KCM}=--kube-api-qps=100", {"kcm_qps": 100.0}),
        (f"{KCM}=--kube-api-burst=200", {"kcm_burst": 200}),
        (f"{KCM}=--feature-gates=Other=false,{GATE}=true", {"gates": frozenset({Gate.COMPARISON_OPERATORS})}),
        (f"{KCM}=--feature-gates={GATE}=false", {"gates": frozenset()}),
        (f"kube-apiserver=--feature-gates={GATE}=true", {"api_gates": frozenset({Gate.COMPARISON_OPERATORS})}),
        ("kube-scheduler=--kube-api-qps=100", {"kcm_qps": 20.0}),
    ],
)
def test_a_flag_changes_what_is_predicted(flag: str, expected: dict[str, object]) -> None:
    settings, notes = settings_of("v1.35.4", [flag])
    assert notes == ()
    assert {name: getattr(settings, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("flag", "name", "value"),
    [
        ("node-monitor-period=10s", "period_s", 10.0),
        ("node-monitor-grace-period=1m30s", "grace_s", 90.0),
        ("node-eviction-rate=0.5", "rate_per_s", 0.5),
        ("secondary-node-eviction-rate=0.2", "secondary_rate_per_s", 0.2),
        ("unhealthy-zone-threshold=0.8", "unhealthy_ratio", 0.8),
        ("large-cluster-size-threshold=5", "large_zone", 5),
    ],
)
def test_flags_of_the_node_lifecycle_controller(flag: str, name: str, value: float) -> None:
    settings, _ = settings_of("1.35", [f"{KCM}=--{flag}"])
    assert getattr(settings.nodes, name) == value
    assert deciding([f"{KCM}=--{flag}", f"{KCM}=--leader-elect=true", "nonsense"]) == (f"{KCM}=--{flag}",)


def test_what_cannot_be_read_is_said_and_taken_for_the_default() -> None:
    settings, (note,) = settings_of("1.35", [f"{KCM}=--kube-api-qps=fast"])
    assert settings.kcm_qps == Settings().kcm_qps
    assert "--kube-api-qps=fast" in note
    settings, (note,) = settings_of("v1.29.3", [])
    assert (settings.minor, settings.latency) == (Settings().minor, BUSY)
    assert "1.29" in note
