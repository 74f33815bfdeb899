"""What a pod sees of the machine that it runs on: its files, but neither the labs' keys nor a home's credentials."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from harness.lab import Lab
from harness.lab.api import Api
from harness.lab.cache import cache_home
from harness.lab.hiding import TOOLS
from harness.lab.state import labs_home
from tests.lab.test_lab_pods import Pods, phase, shell, state_of


@pytest.fixture
def pods(lab: Lab, api: Api, namespace: str) -> Pods:
    return Pods(lab, api, namespace)


def secret_files(lab: Lab) -> list[Path]:
    """What this lab must not show, all of it there and readable for whoever runs this test."""
    files = [
        lab.folder / "pki" / "ca.key",
        lab.folder / "pki" / "sa.key",
        lab.kubeconfig,
        lab.folder / "lab.json",
        lab.folder / "nodes" / "spot-1" / "kubelet.kubeconfig",
        next((lab.folder / "etcd").rglob("*.wal")),
    ]
    for file in files:
        assert file.read_bytes(), file
    return files


def tries(files: list[Path], *, below: str = "") -> str:
    """A script that says `READ path` of each file that it can read, and `control` of one that everybody can."""
    tests = "; ".join(f'head -c 1 {shlex.quote(below + str(f))} | grep -q . && echo "READ {f}"' for f in files)
    return f"exec 2>/dev/null; {tests}; head -c 1 {below}/etc/passwd | grep -q . && echo control"


def test_a_pod_reads_no_keys_of_the_lab(lab: Lab, pods: Pods) -> None:
    pods.create("p", shell(tries(secret_files(lab))))
    pods.until("p", "Succeeded", phase("Succeeded"))
    assert pods.kubectl("logs", "p").split() == ["control"]


def test_nor_through_a_volume_that_shows_the_whole_machine_and_no_command_uncovers_them(lab: Lab, pods: Pods) -> None:
    files = secret_files(lab)
    masked = shlex.quote(str(labs_home().parent))
    script = (
        f"umount {masked}; umount /host{masked}; unshare --user --map-root-user --mount umount {masked}; "
        f"unshare --mount true && echo mounts; {tries(files)}; {tries(files, below='/host')}"
    )
    container = shell(f"( {script} ) 2>/dev/null", volumeMounts=[{"name": "m", "mountPath": "/host"}])
    pods.create("p", container, volumes=[{"name": "m", "hostPath": {"path": "/"}}])
    pods.until("p", "Succeeded", phase("Succeeded"))
    assert pods.kubectl("logs", "p").split() == ["control", "control"]


def test_kubectl_exec_sees_no_more(lab: Lab, pods: Pods) -> None:
    pods.create("p", shell("sleep 600"), terminationGracePeriodSeconds=0)
    pods.until("p", "Running", phase("Running"))
    inside = f"umount {shlex.quote(str(labs_home().parent))}; {tries(secret_files(lab))}"
    assert pods.kubectl("exec", "p", "--", "sh", "-c", f"( {inside} ) 2>/dev/null").split() == ["control"]


@pytest.mark.parametrize("place", ["pki", "nodes/spot-1/kubelet/pods"])
def test_a_volume_of_the_labs_folder_is_refused(lab: Lab, pods: Pods, place: str) -> None:
    container = shell("true", volumeMounts=[{"name": "m", "mountPath": "/mnt"}])
    pods.create("p", container, volumes=[{"name": "m", "hostPath": {"path": str(lab.folder / place)}}])

    failed = pods.until("p", "not started", phase("Failed"))
    assert "is hidden from pods" in state_of(failed)["state"]["terminated"]["message"]


def test_no_file_under_a_dot_name_of_the_home_is_seen_but_programs(pods: Pods) -> None:
    home = Path.home()
    kept = [home / tool for tool in TOOLS] + [cache_home() / "lab"]
    dots = [each for each in home.iterdir() if each.name.startswith(".") and each not in kept]
    assert any(file.is_file() for dot in dots for file in (dot, *dot.glob("**/*"))), f"{home} has nothing to hide"
    spared = " ".join(f"-not -path {shlex.quote(f'{tree}/*')}" for tree in kept)
    names = " ".join(shlex.quote(str(dot)) for dot in dots)
    pods.create("p", shell(f"find {names} -type f -size +0 {spared}; test -r /etc/passwd && echo control"))
    pods.until("p", "Succeeded", phase("Succeeded"))
    assert pods.kubectl("logs", "p").split() == ["control"]


def test_a_pods_environment_holds_nothing_of_ours(pods: Pods) -> None:
    assert "HOME" in os.environ
    pods.create("p", shell("env | cut -d= -f1"), enableServiceLinks=False)
    pods.until("p", "Succeeded", phase("Succeeded"))
    names = {name for name in pods.kubectl("logs", "p").split() if not name.startswith("KUBERNETES_")}
    assert names <= {"PATH", "HOME", "HOSTNAME", "PWD", "SHLVL", "_", "OLDPWD"}


def test_a_pod_in_the_labs_own_network_finds_no_etcd(pods: Pods) -> None:
    """The components' ports are all that listens there, and each of them asks for a certificate or shows figures."""
    listening = "awk '$4 == \"0A\" {print $2}' /proc/net/tcp /proc/net/tcp6; echo control"
    pods.create("p", shell(listening), hostNetwork=True)
    pods.until("p", "Succeeded", phase("Succeeded"))
    said = pods.kubectl("logs", "p").split()
    ports = {int(address.rpartition(":")[2], 16) for address in said if ":" in address}
    assert 6443 in ports  # the control: this is the network that the API server listens in
    assert not ports & {2379, 2380}
