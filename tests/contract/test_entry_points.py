"""What the entry points make of a run, against the scripted API server: the command's signals, the plugin's items."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.wiring.ephemeral import topology_of
from harness.wiring.experiments import read_experiment
from tests.contract.test_bad_ends import as_before
from tests.contract.test_bad_weather import world
from tests.fakes import api_command
from tests.fakes.api_rules import Hold
from tests.fakes.api_server import CONTEXT, ApiServer

GIVE_UP_S = 60.0


@pytest.mark.parametrize("path", ["/version", "/api/v1/nodes"], ids=["while it connects", "while it lists"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_before_the_first_write_ends_the_run_at_once(
    number: signal.Signals, path: str, tmp_path: Path
) -> None:
    with ApiServer() as server:
        world(server)
        server.rule(Hold(GIVE_UP_S), method="GET", path=path)
        process = api_command.start(server, tmp_path)
        give_up_s = time.monotonic() + GIVE_UP_S
        while not any(seen.path == path for seen in server.requests):
            assert process.poll() is None, "it ended by itself"
            assert time.monotonic() < give_up_s, f"{path} was never asked"
            time.sleep(0.02)
        process.send_signal(number)
        ended = api_command.finish(process, tmp_path, timeout_s=20)
        assert as_before(server)
        assert not [seen for seen in server.requests if seen.method != "GET"]
    assert ended.code == 130, ended.err
    assert f"by {number.name} before the run began: nothing was touched" in ended.err
    assert "Traceback" not in ended.err


def pytest_on(server: ApiServer, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The plugin in a session of its own, on the scripted server; run folders below ``folder/out``."""
    kubeconfig = folder / "kubeconfig"
    server.kubeconfig(kubeconfig)
    where = [
        f"--taintlab-context={CONTEXT}",
        f"--taintlab-kubeconfig={kubeconfig}",
        "--taintlab-allow-context",
        CONTEXT,
    ]
    plugins = ["-p", "no:cacheprovider", "-p", "no:locust", "-c", "/dev/null", "-rA"]
    command = [sys.executable, "-m", "pytest", *plugins, *where, f"--taintlab-out={folder / 'out'}", *options, "items"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, timeout=GIVE_UP_S)


def test_the_plugin_is_a_door_like_the_command(tmp_path: Path) -> None:
    (tmp_path / "items").mkdir()
    (tmp_path / "items" / "straight.yaml").write_text(api_command.STRAIGHT)
    with ApiServer() as server:
        world(server)
        server.when(lambda: server.evict("default", "leaves"), after_s=0.1, method="PATCH", path="/api/v1/nodes/n1")
        done = pytest_on(server, tmp_path)
        assert as_before(server)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    (page,) = (tmp_path / "out" / "runs" / "straight").rglob("report.html")
    assert str(page) in done.stdout
    assert "fault (2 s)" in done.stdout, "the progress is in the item's report"


def test_without_a_cluster_the_plugin_collects_nothing(tmp_path: Path) -> None:
    (tmp_path / "straight.yaml").write_text(api_command.STRAIGHT)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:locust", "-c", "/dev/null", "."]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=GIVE_UP_S)
    assert done.returncode == 5, done.stdout


def test_a_relative_topology_is_found_from_the_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was looked for in ``sub/sub``."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "three.yaml").write_text("nodes:\n  - {name: here}\n")
    (tmp_path / "sub" / "e.yaml").write_text(api_command.STRAIGHT + "  lab: {topology: three.yaml}\n")
    monkeypatch.chdir(tmp_path)
    assert [node.name for node in topology_of(read_experiment(Path("sub/e.yaml"))).nodes] == ["here"]
