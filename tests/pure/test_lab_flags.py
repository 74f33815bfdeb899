"""The components' command lines, and how the user's flags change them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.lab import flags
from harness.lab.flags import Paths, merged, parse_flag
from harness.lab.values import FLAGGABLE, Component, Flag

PATHS = Paths(
    kubeplane=Path("/bin/kubeplane"),
    pki=Path("/lab/pki"),
    etcd_data=Path("/lab/etcd"),
    sockets=Path("/lab/sockets"),
    audit_policy=Path("/lab/audit-policy.yaml"),
    audit_log=Path("/lab/audit.log"),
)


@pytest.mark.parametrize(
    ("text", "component", "name"),
    [
        ("kube-apiserver=--feature-gates=A=true,B=false", Component.API_SERVER, "feature-gates"),
        ("etcd=--quota-backend-bytes=1", Component.ETCD, "quota-backend-bytes"),
        ("kube-scheduler=--profiling", Component.SCHEDULER, "profiling"),
    ],
    ids=["value-with-equals", "etcd", "bare"],
)
def test_a_flag_is_read(text: str, component: Component, name: str) -> None:
    flag = parse_flag(text)
    assert (flag.component, flag.name, f"{flag.component}={flag.text}") == (component, name, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("apiserver=--v=2", "unknown component 'apiserver'"),
        ("dns=--v=2", "unknown component 'dns'"),
        ("kubelet", "with its dashes"),
        ("kubelet=v=2", "with its dashes"),
        ("kubelet=--", "with its dashes"),
    ],
    ids=["name", "not-flaggable", "nothing", "no-dashes", "empty"],
)
def test_a_bad_flag_is_refused_with_the_fix(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_flag(text)


def test_the_users_flag_takes_the_place_of_ours() -> None:
    user = [parse_flag("kube-scheduler=--leader-elect=true"), parse_flag("kube-scheduler=--v=5")]
    argv = flags.scheduler(PATHS, user)
    assert [word for word in argv if "leader-elect" in word or word == "--v=5"] == ["--leader-elect=true", "--v=5"]


def test_a_flag_given_twice_stays_given_twice() -> None:
    user = [Flag(Component.API_SERVER, f"--disable-admission-plugins={name}") for name in ("A", "B")]
    assert merged(["--a=1"], user, Component.API_SERVER) == (
        "--a=1",
        "--disable-admission-plugins=A",
        "--disable-admission-plugins=B",
    )


def test_a_flag_goes_to_its_component_only() -> None:
    user = [parse_flag("kubelet=--v=7")]
    lines = {
        Component.ETCD: flags.etcd(PATHS, user),
        Component.API_SERVER: flags.api_server(PATHS, user),
        Component.CONTROLLER_MANAGER: flags.controller_manager(PATHS, user),
        Component.SCHEDULER: flags.scheduler(PATHS, user),
        Component.PROXY: flags.proxy(PATHS, user, node="n"),
        Component.KUBELET: flags.kubelet(PATHS.kubeplane, Path("/lab/n/node.json"), user),
    }
    assert set(lines) == set(FLAGGABLE)
    assert [component for component, argv in lines.items() if "--v=7" in argv] == [Component.KUBELET]
    assert all(argv[:2] == ("/bin/kubeplane", component) for component, argv in lines.items())


@pytest.mark.parametrize(
    "promise",
    [
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--audit-log-path=/lab/audit.log",
        "--advertise-address=172.30.0.1",
    ],
)
def test_the_api_server_keeps_its_promises(promise: str) -> None:
    assert promise in flags.api_server(PATHS, [])


@pytest.mark.parametrize("name", ["kube-api-qps", "kube-api-burst", "node-eviction-rate", "node-monitor-grace-period"])
def test_the_controller_manager_keeps_upstreams_rates(name: str) -> None:
    assert not [word for word in flags.controller_manager(PATHS, []) if word.startswith(f"--{name}")]
