"""Runs that are ended by their surroundings: a reader that goes away, a full disk, credentials that expire, an object
that does not go. By command, against the scripted API server.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.contract.test_bad_weather import ADMIN, LONG, NODE, world
from tests.fakes import api_command
from tests.fakes.api_server import ApiServer


def as_before(server: ApiServer) -> bool:
    """Nothing of ours on the node, and the administrator's taint where it was."""
    annotations = server.get(NODE)["metadata"].get("annotations") or {}
    return server.taints("n1") == [ADMIN] and not any(key.startswith("taintlab.dev/") for key in annotations)


def in_shell(script: str, *, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """A shell script of a user."""
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=api_command.ROOT, timeout=timeout_s, check=False
    )


def test_a_reader_that_goes_away_changes_nothing(tmp_path: Path) -> None:
    """B1: ``taintlab run ... 2>&1 | head`` left its taints."""
    with ApiServer() as server:
        world(server)
        server.when(lambda: server.evict("default", "leaves"), after_s=0.1, method="PATCH", path=NODE)
        argv = shlex.join(api_command.command(server, tmp_path, LONG))
        ended = in_shell(f"{argv} 2>&1 | head -1; exit ${{PIPESTATUS[0]}}")
        assert as_before(server)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert json.loads((tmp_path / "run" / "result.json").read_text())["verdict"] == "PASS"


def can_mount() -> bool:
    """Whether a private tmpfs can be had here."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="no private mounts on this machine")
@pytest.mark.parametrize(("size", "code"), [("320k", 3), ("32k", 3)], ids=["fills up during the fault", "too small"])
def test_a_full_disk_heals(tmp_path: Path, size: str, code: int) -> None:
    """B1: a disk that fills up during the fault; and one that has no room for the undo record at all."""
    place = tmp_path / "small"
    place.mkdir()
    with ApiServer() as server:
        world(server)

        def flood() -> None:
            for number in range(600):
                labels = {f"label-{i}": "x" * 60 for i in range(4)}
                body = {"metadata": {"labels": {**labels, "number": str(number)}}}
                server.patch("/api/v1/namespaces/default/pods/stays", body)

        server.when(flood, after_s=0.3, method="PATCH", path=NODE)
        argv = api_command.command(server, tmp_path, LONG)
        argv[argv.index("--out") + 1] = str(place / "run")
        mount = f"mount -t tmpfs -o size={size} none {shlex.quote(str(place))}"
        ended = in_shell(f"exec unshare -rm sh -c {shlex.quote(f'{mount} && exec {shlex.join(argv)}')}")
        assert as_before(server)
        if size == "32k":
            assert not [r for r in server.requests if r.method == "PATCH"], "something was touched"
    assert ended.returncode == code, ended.stderr
    assert "PASS" not in ended.stdout
    assert "o space left" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


PLUGIN = """#!{python}
import datetime, json, pathlib, time
with pathlib.Path({count!r}).open("a") as count:  # one write: the run's end may kill a plugin at any point
    count.write("called\\n")
ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=4)
print(json.dumps({{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
    "status": {{"token": f"{{int(time.time())}}", "expirationTimestamp": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}}}}))
"""


def test_credentials_of_a_plugin_are_renewed(tmp_path: Path) -> None:
    """B4: a token that is good for 4 s, a run of 8 s: the plugin ran once, and the heal got 401."""
    plugin, count = tmp_path / "plugin", tmp_path / "count"
    plugin.write_text(PLUGIN.format(python=sys.executable, count=str(count)))
    plugin.chmod(0o755)
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(plugin),
            "interactiveMode": "Never",
        }
    }

    def fresh(authorization: str) -> bool:
        token = authorization.removeprefix("Bearer ")
        return token.isdigit() and int(token) >= time.time() - 6

    with ApiServer() as server:
        world(server)
        server.accepts = fresh
        server.when(lambda: server.evict("default", "leaves"), after_s=0.1, method="PATCH", path=NODE)
        ended = api_command.run(server, tmp_path, LONG.replace("fault: 4s", "fault: 10s"), user=user)
        assert as_before(server)
    assert (ended.code, ended.result["verdict"]) == (0, "PASS"), ended.out + ended.err
    assert len(count.read_text().splitlines()) >= 2


def token_until(end_s: float) -> str:
    """A JWT that says when it expires."""
    parts = [{"alg": "none"}, {"exp": int(end_s)}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts) + ".x"


@pytest.mark.parametrize(("lives_s", "code"), [(20, 3), (3600, 0)], ids=["too short", "long enough"])
def test_a_token_must_outlive_the_run(tmp_path: Path, lives_s: int, code: int) -> None:
    """B4: a token that nothing renews and that ends before the run is refused before anything is touched."""
    with ApiServer() as server:
        world(server)
        server.when(lambda: server.evict("default", "leaves"), after_s=0.1, method="PATCH", path=NODE)
        ended = api_command.run(server, tmp_path, LONG, user={"token": token_until(time.time() + lives_s)})
        touched = [request for request in server.requests if request.method == "PATCH"]
        assert as_before(server)
    assert ended.code == code, ended.out + ended.err
    assert bool(touched) is (code == 0)


POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: n1
  containers: [{name: main, image: "example.com/main:1"}]
"""
HELD = LONG.replace("spec:\n", "spec:\n  workload: [pod.yaml]\n", 1)


def run_with_pod(server: ApiServer, folder: Path, *, finalizers: list[str]) -> api_command.Ended:
    """A run whose workload is one pod; somebody else puts these finalizers on it."""
    path = "/api/v1/namespaces/default/pods/web"
    (folder / "pod.yaml").write_text(POD)

    def play_kubelet() -> None:
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        server.patch(path, {"metadata": {"finalizers": finalizers}, "status": ready})

    server.when(play_kubelet, method="POST", path="/api/v1/namespaces/default/pods")
    server.when(lambda: server.evict("default", "leaves"), after_s=0.1, method="PATCH", path=NODE)
    server.when(lambda: server.evict("default", "web"), after_s=0.2, method="PATCH", path=NODE)
    return api_command.run(server, folder, HELD, timeout_s=150)


def command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """taintlab, on the scripted server."""
    where = ["--context", "scripted", "--kubeconfig", str(folder / "kubeconfig")]
    argv = [sys.executable, "-m", "harness.cli", *arguments, *where]
    return subprocess.run(
        argv, capture_output=True, text=True, cwd=api_command.ROOT, env=dict(os.environ), timeout=120, check=False
    )


def test_a_pod_that_does_not_go_is_a_leftover_by_name(tmp_path: Path) -> None:
    """B8: a foreign finalizer holds a pod of the workload: run, status and recover say so, with what holds it."""
    with ApiServer() as server:
        world(server)
        ended = run_with_pod(server, tmp_path, finalizers=["example.com/hold"])
        told = ended.out + ended.err
        assert ended.code == 5, told
        assert ended.result["healed"] is False
        assert "web" in "".join(ended.result["leftovers"])
        assert "example.com/hold" in "".join(ended.result["leftovers"])
        status = json.loads(command("status", "--json", folder=tmp_path).stdout)
        assert "web" in json.dumps(status["leftovers"])
        folder = str(tmp_path / "run")
        again = command("recover", folder, "--json", "--allow-context", "scripted", folder=tmp_path)
        assert again.returncode == 5, again.stdout + again.stderr
        server.patch("/api/v1/namespaces/default/pods/web", {"metadata": {"finalizers": None}})
        last = command("recover", folder, "--json", "--allow-context", "scripted", folder=tmp_path)
        assert last.returncode == 0, last.stdout + last.stderr
        assert json.loads(last.stdout)["leftovers"] == []


def test_its_twin_without_the_finalizer_leaves_nothing(tmp_path: Path) -> None:
    with ApiServer() as server:
        world(server)
        ended = run_with_pod(server, tmp_path, finalizers=[])
        assert ended.code == 0, ended.out + ended.err
        assert json.loads(command("status", "--json", folder=tmp_path).stdout)["leftovers"] == []
