"""Whole runs by command while the API server misbehaves: the verdict, the exit code, and what is on the cluster after.

One node, one pod that must leave (it does, 0.1 s after the taint), one that tolerates it and must stay. Every row says
what goes wrong; `evicted` rows take the pod that must stay off wrongly at 1 s, so that a PASS would be a lie. The twin
of each is the same world in fair weather. ``python -m tests.contract.test_bad_weather`` prints the table.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import api_command, api_objects
from tests.fakes.api_rules import Answer, Drop, Hold
from tests.fakes.api_server import ApiServer, Json

NODE = "/api/v1/nodes/n1"
PODS = "/api/v1/pods"
FOREVER = {"key": "spot", "operator": "Exists", "effect": "NoExecute"}
ADMIN = {"key": "dedicated", "value": "admin", "effect": "PreferNoSchedule"}
OURS = {"key": "spot", "value": "x", "effect": "NoExecute"}

LONG = api_command.STRAIGHT.replace("fault: 2s", "fault: 4s")
LONGER = api_command.STRAIGHT.replace("fault: 2s", "fault: 30s")

Act = Callable[[ApiServer], object]


def nothing(_: ApiServer) -> None:
    """Fair weather."""


@dataclass(frozen=True)
class Row:
    """`weather` goes on before the run, `then` when our taint has been written, `wrongly`: the tolerating pod is
    evicted 1 s after it. `signals`: sent to the run (seconds after the taint). `left`: on the cluster afterwards;
    `says`: in what the run told.
    """

    id: str
    weather: Act = nothing
    then: Act = nothing
    wrongly: bool = False
    verdicts: tuple[str, ...] = ("PASS",)
    codes: tuple[int, ...] = (0,)
    left: bool = False
    says: str = ""
    text: str = LONG
    signals: tuple[tuple[float, signal.Signals], ...] = ()
    user: Json | None = None


UNPROVEN: dict[str, Any] = {"verdicts": ("INCONCLUSIVE", "INVALID"), "codes": (3,)}
INVALID: dict[str, Any] = {"verdicts": ("INVALID",), "codes": (3,)}


def cut_then(status: int, path: str = PODS) -> Act:
    """The watch ends, and from then on nothing is listed or watched there: always `status`."""

    def do(server: ApiServer) -> None:
        server.rule(Answer(status), method="GET", path=path)
        server.cut(path)

    return do


def cut_then_error_line(server: ApiServer) -> None:
    """The watch's last line is an ERROR without a code, and HTML is all that comes after."""
    server.send(b'{"type":"ERROR","object":{}}\n', PODS)
    server.rule(Answer(200, b"<html>busy</html>"), method="GET", path=PODS)


def silent(path: str = PODS) -> Act:
    """The watch stays open and says nothing any more (a half-open connection); new ones as well."""
    return lambda server: server.weather(path, silent=True)


def fails_for(seconds: float, trouble: Any, method: str, path: str) -> Act:
    """Matching requests fail for so long."""

    def do(server: ApiServer) -> None:
        rule = server.rule(trouble, method=method, path=path)
        server.later(seconds, lambda: setattr(rule, "off", True))

    return do


def strip(server: ApiServer) -> None:
    """kubectl annotate node n1 taintlab.dev/claim-"""
    server.patch(NODE, {"metadata": {"annotations": {"taintlab.dev/claim": None}}}, manager="kubectl-annotate")


def untaint(server: ApiServer) -> None:
    """Another controller takes our taint off."""
    server.taint("n1", ADMIN, manager="karpenter")


def in_half_a_second(act: Act) -> Act:
    """Later."""
    return lambda server: server.later(0.5, lambda: act(server))


ROWS = [
    Row("fair"),
    Row("fair, evicted wrongly", wrongly=True, verdicts=("FAIL",), codes=(1,)),
    # A1: nobody watches
    Row("pod watch dead, 429", then=cut_then(429), wrongly=True, **UNPROVEN),
    Row("pod watch dead, 403", then=cut_then(403), wrongly=True, **UNPROVEN),
    Row("pod watch dead, 404", then=cut_then(404), wrongly=True, **UNPROVEN),
    Row("pod watch dead, 503 for ever", then=cut_then(503), wrongly=True, **UNPROVEN),
    Row("pod watch ends in an ERROR line, then HTML", then=cut_then_error_line, wrongly=True, **UNPROVEN),
    Row("pod watch silent", then=silent(), wrongly=True, **UNPROVEN),
    Row("all watches silent", then=silent(".*"), wrongly=True, **UNPROVEN),
    Row("node watch dead, 503 for ever", then=cut_then(503, "/api/v1/nodes"), **UNPROVEN),
    Row("node watch silent", then=silent("/api/v1/nodes"), **UNPROVEN),
    # A2: what comes late
    Row(
        "pod watch late by 2.5 s, evicted wrongly",
        then=lambda server: server.weather(PODS, late_s=2.5),
        wrongly=True,
        verdicts=("FAIL", "INCONCLUSIVE", "INVALID"),
        codes=(1, 3),
    ),
    Row(
        "pod watch cut, lists fail for 1.5 s",
        then=lambda s: (fails_for(1.5, Answer(503), "GET", PODS)(s), s.cut(PODS)),
        wrongly=True,
        verdicts=("FAIL", "INCONCLUSIVE"),
        codes=(1, 3),
    ),
    # A3: the fault did not stand
    Row("taint taken off by another controller", then=in_half_a_second(untaint), says="karpenter", **INVALID),
    Row("annotation stripped", then=in_half_a_second(strip), **INVALID),
    Row("node deleted during the fault", then=in_half_a_second(lambda s: s.delete(NODE)), says="n1", **INVALID),
    # B: healing
    Row("heal throttled for 3 s", then=lambda s: s.later(3.5, lambda: fails_for(3, Answer(429), "PATCH", NODE)(s))),
    Row("heal answered 500 for 3 s", then=lambda s: s.later(3.5, lambda: fails_for(3, Answer(500), "PATCH", NODE)(s))),
    Row(
        "answers of writes lost after the taint",
        then=lambda s: s.later(3.5, lambda: fails_for(2, Drop(after=True), "PATCH", NODE)(s)),
    ),
    Row(
        "connection refused to writes, then back",
        then=lambda s: s.later(3.5, lambda: fails_for(2, Drop(), "PATCH", NODE)(s)),
    ),
    Row(
        "answer of the injection lost",
        weather=lambda s: s.rule(Drop(after=True), method="PATCH", path=NODE, times=1),
        **INVALID,
    ),
    Row(
        "injection lands 17 s late", weather=lambda s: s.rule(Hold(17.0), method="PATCH", path=NODE, times=1), **INVALID
    ),
    Row("injection refused", weather=lambda s: s.rule(Answer(403), method="PATCH", path=NODE), **INVALID),
    Row(
        "the API server is gone, given up",
        text=LONGER,
        then=in_half_a_second(lambda s: s.rule(Answer(503))),
        signals=((1.0, signal.SIGINT), (2.5, signal.SIGINT), (4.0, signal.SIGINT)),
        verdicts=("INVALID",),
        codes=(5,),
        left=True,
        says="n1",
    ),
    *(
        Row(
            f"{number.name} during the fault",
            text=LONGER,
            signals=((1.0, number),),
            verdicts=("INVALID",),
            codes=(130,),
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    ),
]


def tainted(server: ApiServer) -> bool:
    """Whether our taint stands."""
    return OURS in [{k: t.get(k) for k in OURS} for t in server.taints("n1")]


def world(server: ApiServer) -> None:
    """One node with an administrator's taint, a pod that must leave and one that must stay."""
    server.put(NODE, api_objects.node({"pool": "spot"}, [ADMIN]))
    server.put("/api/v1/namespaces/default/pods/leaves", api_objects.pod("n1"))
    server.put("/api/v1/namespaces/default/pods/stays", api_objects.pod("n1", tolerations=[FOREVER]))


def perform(row: Row, folder: Path) -> tuple[api_command.Ended, ApiServer]:
    """The run of one row."""
    with ApiServer() as server:
        world(server)
        row.weather(server)
        first = {"method": "PATCH", "path": NODE}
        server.when(lambda: server.evict("default", "leaves"), after_s=0.1, **first)
        server.when(lambda: row.then(server), after_s=0.02, **first)
        if row.wrongly:
            server.when(lambda: server.evict("default", "stays"), after_s=1.0, **first)
        process = api_command.start(server, folder, row.text, user=row.user)
        if row.signals:
            send_signals(server, process, row.signals)
        return api_command.finish(process, folder, timeout_s=150), server


def send_signals(
    server: ApiServer, process: subprocess.Popen[str], signals: tuple[tuple[float, signal.Signals], ...]
) -> None:
    """Once the taint stands, at these seconds after it."""
    give_up_s = time.monotonic() + 30
    while not tainted(server):
        assert process.poll() is None, "the run ended before its taint"
        assert time.monotonic() < give_up_s, "the taint was never put"
        time.sleep(0.02)
    began_s = time.monotonic()
    for at_s, number in signals:
        time.sleep(max(0.0, began_s + at_s - time.monotonic()))
        if process.poll() is None:
            process.send_signal(number)


def node_after(server: ApiServer) -> Json | None:
    """The node as it is in the end, None when it is gone."""
    return server.store.objects.get(NODE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_bad_weather(row: Row, tmp_path: Path) -> None:
    ended, server = perform(row, tmp_path)
    told = ended.out + ended.err
    assert "Traceback" not in told
    assert "defect" not in told
    assert ended.code in row.codes, told
    assert ended.result["verdict"] in row.verdicts, told
    assert ended.result["healed"] is not row.left, told
    assert row.says in told, told
    node = node_after(server)
    if node is not None and not row.left:
        assert server.taints("n1") == [ADMIN]
        left = [key for key in node["metadata"].get("annotations") or {} if key.startswith("taintlab.dev/")]
        assert left == []


def table() -> None:
    """Print what became of every row."""
    for row in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            ended, server = perform(row, Path(folder))
            node = node_after(server)
            after = "node gone" if node is None else "taint" if tainted(server) else "as before"
            verdict, reason = ended.result["verdict"], ended.result["reason"]
            print(f"{row.id:48} {verdict:13} exit {ended.code:<4} {after:10} {reason[:110]}")


if __name__ == "__main__":
    sys.exit(table())
