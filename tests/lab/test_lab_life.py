"""A lab from up to down, and what is left when somebody is killed on the way."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import lab as labs
from harness.errors import LabError, UsageError
from harness.lab import Condition, Lab, LabSpec, ProcessId, launch, state
from harness.lab.api import Api
from harness.lab.processes import started_for

WAIT_S = 90.0


@pytest.fixture
def name() -> Iterator[str]:
    """A name that no other lab has; the lab is taken down at the end whatever became of it."""
    unique = f"life-{uuid.uuid4().hex[:8]}"
    yield unique
    labs.down_named(unique)


def spec(name: str, *flags: str) -> LabSpec:
    """A lab of one node, with flags as the command line takes them."""
    parsed = tuple(labs.parse_flag(flag) for flag in flags)
    return LabSpec(name=name, topology=labs.plain_topology(1), with_prometheus=False, flags=parsed)


def test_up_and_down_leave_nothing(name: str) -> None:
    lines: list[str] = []
    lab = labs.up(spec(name, "kube-scheduler=--v=3"), owner=None, report=lines.append)
    record = state.read(name)
    assert record is not None
    assert record.supervisor is not None
    network = Path(f"/proc/{record.supervisor.pid}/ns/net").readlink()
    assert lines[-1].startswith(f"lab {name}: Kubernetes {lab.kubernetes_version}, 1 nodes Ready in")
    assert "--v=3" in command_of(lab, "kube-scheduler")
    with pytest.raises(UsageError, match="is up already"):
        labs.up(spec(name), owner=None, report=lines.append)
    mine = started_for(record.id)
    assert len(mine) >= 10
    lingering = subprocess.Popen([*lab.namespace_prefix, "sleep", "60"])  # somebody left a command running inside

    labs.down(lab)

    assert lingering.wait(WAIT_S) == -signal.SIGKILL
    assert not [process for process in mine if process.alive]
    assert started_for(record.id) == []
    assert not lab.folder.exists()
    assert not Path(record.sockets).exists()
    assert not [each for each in Path("/proc").glob("[0-9]*") if namespace_of(each) == network]
    for port in record.ports.values():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1.0)
    assert labs.find(name) is None


def namespace_of(process: Path) -> Path | None:
    """The network namespace of a process, None when it is gone or another user's."""
    try:
        return (process / "ns" / "net").readlink()
    except OSError:
        return None


def command_of(lab: Lab, component: str) -> str:
    """The command line with which a component runs."""
    (pid,) = [each.pid for each in labs.status(lab).components if each.name == component]
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def test_a_killed_supervisor_leaves_no_process_and_the_name_can_be_used_again(name: str) -> None:
    labs.up(spec(name), owner=None, report=print)
    record = state.read(name)
    assert record is not None
    assert record.supervisor is not None
    pods = started_for(record.id)
    record.supervisor.signal(signal.SIGKILL)
    assert all(process.wait_gone(timeout_s=WAIT_S) for process in pods)
    assert conditions()[name] is Condition.DEAD
    with pytest.raises(UsageError, match="is dead"):
        labs.get(name)

    lab = labs.up(spec(name), owner=None, report=print)

    assert conditions()[name] is Condition.UP
    assert labs.status(lab).nodes == {"node-1": "Ready"}


OWNER = """
import sys
from harness import lab
spec = lab.LabSpec(name=sys.argv[1], topology=lab.plain_topology(1), with_prometheus=False)
lab.up(spec, owner=lab.this_process(), report=print)
print("up", flush=True)
sys.stdin.read()
"""


def test_a_lab_whose_owner_was_killed_is_taken_down_by_the_next_up(name: str) -> None:
    argv = [sys.executable, "-c", OWNER, name]
    env = {**os.environ, **launch.python_env()}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as owner:
        assert owner.stdout is not None
        assert "up\n" in iter(owner.stdout.readline, "")
        assert conditions()[name] is Condition.UP
        owner.kill()
    record = state.read(name)
    assert record is not None
    assert conditions()[name] is Condition.ORPHANED
    lines: list[str] = []
    other = f"{name}-b"
    try:
        labs.up(spec(other), owner=None, report=lines.append)
    finally:
        labs.down_named(other)
    assert f"took down lab {name!r}, whose owner is gone" in lines
    assert name not in conditions()
    assert started_for(record.id) == []


def conditions() -> dict[str, Condition]:
    """Every lab's condition, by name."""
    return {row.name: row.condition for row in labs.listing()}


def test_a_component_that_cannot_start_ends_up_with_its_last_words(name: str) -> None:
    with pytest.raises(LabError, match=r"kube-scheduler ended by itself \(exit 1\)(.|\n)*unknown flag: --no-such-flag"):
        labs.up(spec(name, "kube-scheduler=--no-such-flag"), owner=None, report=print)
    record = state.read(name)
    assert record is not None
    assert started_for(record.id) == []
    assert conditions()[name] is Condition.DEAD
    assert (labs.logs_of(name, "kube-scheduler")[0]).stat().st_size > 0


def test_what_a_recycled_pid_would_look_like_is_not_taken_for_ours() -> None:
    me = labs.this_process()
    other = ProcessId(pid=me.pid, start_ticks=me.start_ticks - 1)
    assert me.alive
    assert not other.alive
    assert not other.signal(signal.SIGKILL)
    assert other.wait_gone(timeout_s=0)


def test_the_audit_log_holds_every_write_with_microseconds(own_lab: Lab) -> None:
    api = Api(own_lab.kubeconfig)
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": "audited"}})
    api.request("GET", "/api/v1/namespaces/audited")
    api.close()
    events = [json.loads(line) for line in own_lab.audit_log.read_text().splitlines()]
    mine = [event for event in events if event.get("objectRef", {}).get("name") == "audited"]
    assert [
        (event["verb"], event["level"], event["stage"])
        for event in mine
        if event["user"]["username"] == "taintlab:admin"
    ] == [("create", "Metadata", "ResponseComplete")]
    assert re.fullmatch(r"[0-9T:-]{19}\.\d{6}Z", mine[0]["stageTimestamp"])


def test_a_component_that_dies_stays_dead_and_is_said_to_have_died(own_lab: Lab) -> None:
    (before,) = [each for each in labs.status(own_lab).components if each.name == "kube-scheduler"]
    process = ProcessId.of(before.pid)
    assert process is not None
    process.signal(signal.SIGKILL)
    assert process.wait_gone(timeout_s=WAIT_S)
    (after,) = [each for each in labs.status(own_lab).components if each.name == "kube-scheduler"]
    assert (after.run, after.exit, after.starts) == ("died", "SIGKILL", 1)
    labs.restart(own_lab, "kube-scheduler")
    (again,) = [each for each in labs.status(own_lab).components if each.name == "kube-scheduler"]
    assert (again.run, again.starts) == ("running", 2)


def test_killed_by_command_is_another_thing_than_died(own_lab: Lab) -> None:
    labs.kill(own_lab, "dns")
    (state_,) = [each for each in labs.status(own_lab).components if each.name == "dns"]
    assert state_.run == "killed"
    labs.restart(own_lab, "dns")
    with pytest.raises(UsageError, match="no 'prometheus'"):
        labs.restart(own_lab, "prometheus")
