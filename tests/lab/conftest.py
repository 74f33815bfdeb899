"""One lab for all tests of a session, shared by all of pytest's workers; a namespace for each test that wants one."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from harness import lab as labs
from harness.lab import Lab, LabSpec, ProcessId
from harness.lab.api import Api
from tests.lab.too_busy import PREFIX, notes

Report = Callable[[str], None]


def session_process() -> ProcessId:
    """The pytest process: that of the session, not the xdist worker that we may be in."""
    pid = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    process = ProcessId.of(pid)
    assert process is not None
    return process


def session_name() -> str:
    """The session lab's name: no other session that is alive has this one."""
    return f"pytest-{session_process().pid}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The session (not each worker) takes its lab down; if it is killed first, the next `up` does."""
    if not hasattr(session.config, "workerinput"):
        labs.down_named(session_name())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What this machine was too busy to tell, by name, and what it needed."""
    skipped = terminalreporter.stats.get("skipped", [])
    busy = [(each.nodeid, each.longrepr[2]) for each in skipped if isinstance(each.longrepr, tuple)]
    busy = [(name, reason.partition(PREFIX)[2]) for name, reason in busy if PREFIX in reason]
    if not busy and not notes():
        return
    terminalreporter.section("this machine")
    for line in notes():
        terminalreporter.line(line)
    terminalreporter.line(f"{PREFIX}{len(busy)} tests" if busy else "nothing was too busy to tell")
    for name, reason in busy:
        terminalreporter.line(f"  {name}: {reason}")


@contextmanager
def one_worker_at_a_time(place: Path) -> Iterator[None]:
    """Workers share `place`: whoever comes first starts the lab, the others find it."""
    with (place / "lab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The session's lab: nodes general-1, general-2, spot-1 and spot-2. Tests must not break what others need of it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with one_worker_at_a_time(shared):
        there = labs.find(session_name())
        return there or labs.up(LabSpec(name=session_name()), owner=session_process(), report=print)


@pytest.fixture(scope="module")
def own_lab() -> Iterator[Lab]:
    """A lab of one node for the tests of one module, to be broken at will."""
    name = f"own-{uuid.uuid4().hex[:8]}"
    spec = LabSpec(name=name, topology=labs.plain_topology(1), with_prometheus=False)
    yield labs.up(spec, owner=labs.this_process(), report=print)
    labs.down_named(name)


@pytest.fixture
def api(lab: Lab) -> Iterator[Api]:
    """The session lab's API server, as its administrator, from the host."""
    with closing(Api(lab.kubeconfig)) as api:
        yield api


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace of the session lab in which pods can be created; deleted (not waited for) afterwards."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    # The controller manager makes the ServiceAccount without which pods are refused; made here, it finds it.
    api.ensure(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    yield name
    api.request("DELETE", f"/api/v1/namespaces/{name}")
