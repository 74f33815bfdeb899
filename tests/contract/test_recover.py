"""The real commands ``taintlab recover`` and ``status`` against an API server in bad weather and folders of strangers.

The numbers are those of the review that found each thing broken: C1 a folder runs code or allows its own context, C2 a
living run, C3 one list that fails, C4 nothing of ours although it could not look, C5 one odd annotation, C6 a damaged
folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from harness.cluster.ledger import Ledger
from tests.fakes import api_objects as objects
from tests.fakes.api_rules import Answer
from tests.fakes.api_server import CONTEXT, ApiError, ApiServer
from tests.fakes.holders import another_living_process
from tests.fakes.recover_command import (
    CLAIM,
    MAPS,
    RUN,
    SECURE,
    SPOT,
    Ended,
    claim,
    header,
    healed_ids,
    labelled,
    node_line,
    object_line,
    run_folder,
    tainted,
    taintlab,
    taintlab_here,
)

MAP = f"{MAPS}/settings"


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture
def kubeconfig(server: ApiServer, tmp_path: Path) -> Path:
    return server.kubeconfig(tmp_path / "kubeconfig")


def recover(folder: Path, kubeconfig: Path, *more: object) -> Ended:
    """By the folder, on the context that it names, allowed again."""
    where = ["--kubeconfig", kubeconfig, "--allow-context", CONTEXT]
    return taintlab_here("recover", folder, *where, "--json", *more)


def on_context(kubeconfig: Path, *more: object, verb: str = "recover") -> Ended:
    """Without a folder."""
    return taintlab_here(verb, "--context", CONTEXT, "--kubeconfig", kubeconfig, "--json", *more)


def is_there(server: ApiServer, path: str) -> bool:
    try:
        server.get(path)
    except ApiError:
        return False
    return True


def is_clean(server: ApiServer, *nodes: str) -> bool:
    """Whether nothing of taintlab is on the nodes."""
    found = [server.get(f"/api/v1/nodes/{name}") for name in nodes]
    notes = [text for node in found for text in node["metadata"].get("annotations") or {}]
    return not any(node["spec"].get("taints") for node in found) and not any("taintlab" in text for text in notes)


def test_a_killed_run_is_undone_by_its_ledger(server: ApiServer, kubeconfig: Path, tmp_path: Path) -> None:
    node = tainted(server, "n1", SPOT, annotation=claim(SPOT))
    made = labelled(server, MAP)
    folder = run_folder(tmp_path, header(), node_line("n1", SPOT, uid=node), object_line(MAP, uid=made))
    ended = taintlab("recover", folder, "--allow-context", CONTEXT, "--json", kubeconfig=kubeconfig)
    assert (ended.code, ended.json["leftovers"]) == (0, []), ended
    assert is_clean(server, "n1")
    assert not is_there(server, MAP)
    assert healed_ids(folder) == ["node:n1", f"object:{MAP}"]
    assert "will undo on node n1: taint spot=x:NoExecute" in ended.err
    listed = {r.path for r in server.requests if r.method == "GET" and r.path.count("/") <= 3}
    assert listed <= {"/api/v1/pods", "/api/v1/nodes"}, "only what the run itself had to list"
    again = recover(folder, kubeconfig)
    assert (again.code, again.json["undone"], again.json["leftovers"]) == (0, [], [])


def test_what_the_ledger_calls_healed_and_came_back_is_undone(
    server: ApiServer, kubeconfig: Path, tmp_path: Path
) -> None:
    """A write that landed after it was looked at."""
    node = tainted(server, "n1", SPOT, annotation=claim(SPOT))
    folder = run_folder(tmp_path, header(), node_line("n1", SPOT, uid=node), {"state": "healed", "id": "node:n1"})
    assert recover(folder, kubeconfig).code == 0
    assert is_clean(server, "n1")


def test_b3_the_ledger_suffices_when_the_annotation_was_stripped(
    server: ApiServer, kubeconfig: Path, tmp_path: Path
) -> None:
    node = tainted(server, "n1", SPOT)
    folder = run_folder(tmp_path, header(), node_line("n1", SPOT, uid=node))
    assert recover(folder, kubeconfig).code == 0
    assert is_clean(server, "n1")


# ---- C1: nothing that a folder says runs code or widens rights


@pytest.mark.parametrize("relative", [False, True])
def test_c1_a_kubeconfig_that_a_folder_names_is_never_opened(
    server: ApiServer, kubeconfig: Path, tmp_path: Path, relative: bool
) -> None:
    marker = tmp_path / "was-here"
    plugin = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [str(marker)]}}
    uid = tainted(server, "n1", SPOT, annotation=claim(SPOT))
    theirs = "run/kc.yaml" if relative else str(tmp_path / "run" / "kc.yaml")
    folder = run_folder(tmp_path, header(context=CONTEXT, kubeconfig=theirs), node_line("n1", SPOT, uid=uid))
    server.kubeconfig(folder / "kc.yaml", user=plugin)
    ended = taintlab("recover", folder, "--allow-context", CONTEXT, kubeconfig=kubeconfig)
    assert ended.code == 2
    assert "a file that a folder names is never opened" in ended.err
    assert not marker.exists()
    assert not server.requests
    # The twin: the very file, named by the one who calls, is opened, and its plugin runs.
    taintlab("recover", folder, "--context", CONTEXT, "--kubeconfig", folder / "kc.yaml")
    assert marker.exists()


def test_c1_a_kubeconfig_that_is_in_force_anyway_is_used(server: ApiServer, kubeconfig: Path, tmp_path: Path) -> None:
    uid = tainted(server, "n1", SPOT, annotation=claim(SPOT))
    reach = header(context=CONTEXT, kubeconfig=str(kubeconfig))
    assert recover(run_folder(tmp_path, reach, node_line("n1", SPOT, uid=uid)), kubeconfig).code == 0
    assert is_clean(server, "n1")


def test_c1_a_folder_cannot_allow_its_own_context(server: ApiServer, kubeconfig: Path, tmp_path: Path) -> None:
    uid = tainted(server, "n1", SPOT, annotation=claim(SPOT))
    folder = run_folder(tmp_path, header(), node_line("n1", SPOT, uid=uid))
    ended = taintlab("recover", folder, kubeconfig=kubeconfig)
    assert ended.code == 2
    assert "a folder cannot allow its own context" in ended.err
    assert server.taints("n1") == [SPOT]
    assert not server.requests
    named = taintlab("recover", folder, "--context", CONTEXT, "--json", kubeconfig=kubeconfig)
    assert (named.code, server.taints("n1")) == (0, [])


@pytest.mark.parametrize("lab", ["../../../etc", "/etc", "a/b", "\x1b[2J", "a" * 300])
def test_c1_the_name_of_a_folders_lab_is_no_path(tmp_path: Path, lab: str) -> None:
    ended = taintlab_here("recover", run_folder(tmp_path, header(lab=lab), node_line("n1", SPOT)))
    assert ended.code == 2
    assert "cannot name a lab" in ended.err


def test_a_lab_that_is_gone_took_everything_with_it(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, header(lab="no-such-lab-is-up"), node_line("n1", SPOT))
    ended = taintlab_here("recover", folder, "--json")
    assert (ended.code, ended.json["leftovers"]) == (0, [])
    assert "everything went with it" in ended.json["notes"][0]


def test_c1_a_forged_claim_frees_no_node_that_the_ledger_does_not_name(
    server: ApiServer, kubeconfig: Path, tmp_path: Path
) -> None:
    uid = tainted(server, "n1", SPOT, annotation=claim(SPOT))
    tainted(server, "n2", SECURE, annotation=claim(SECURE, unschedulableBefore=False), unschedulable=True)
    ended = recover(run_folder(tmp_path, header(), node_line("n1", SPOT, uid=uid)), kubeconfig)
    assert is_clean(server, "n1")
    assert server.taints("n2") == [SECURE]
    assert server.get("/api/v1/nodes/n2")["spec"]["unschedulable"] is True
    assert ended.code == 5
    assert "node n2" in ended.left
    assert "not in this ledger" in ended.left
    assert f"--run {RUN}" in ended.left


def test_c1_what_a_claim_adds_to_the_ledgers_undo_is_not_undone(
    server: ApiServer, kubeconfig: Path, tmp_path: Path
) -> None:
    forged = claim(SPOT, SECURE, unschedulableBefore=False)
    uid = tainted(server, "n1", SPOT, SECURE, annotation=forged, unschedulable=True)
    ended = recover(run_folder(tmp_path, header(), node_line("n1", SPOT, uid=uid)), kubeconfig)
    assert ended.code == 0
    assert server.taints("n1") == [SECURE]
    assert server.get("/api/v1/nodes/n1")["spec"]["unschedulable"] is True


@pytest.mark.parametrize(
    "path",
    ["/api/v1/namespaces/default/pods/a/eviction", "/api/v1/nodes/n1/proxy/x", "/api/v1/../version", "/version", "x"],
)
def test_a_ledger_names_objects_and_nothing_else(
    server: ApiServer, kubeconfig: Path, tmp_path: Path, path: str
) -> None:
    ended = recover(run_folder(tmp_path, header(), object_line(path)), kubeconfig)
    assert ended.code == 5
    assert "no path of an object" in ended.left
    assert {r.path for r in server.requests} <= {"/api/v1/pods", "/api/v1/nodes"}


@pytest.mark.parametrize("uid", ["", "known"])
def test_an_object_without_the_runs_label_is_never_deleted(
    server: ApiServer, kubeconfig: Path, tmp_path: Path, uid: str
) -> None:
    made = labelled(server, MAP, run="another-run")
    reach = header(context=CONTEXT, kubeconfig=str(kubeconfig))
    ended = recover(run_folder(tmp_path, reach, object_line(MAP, uid=made if uid else "")), kubeconfig)
    assert is_there(server, MAP)
    assert ended.code == (5 if uid else 0)


def test_a_cluster_that_may_be_another_one_proves_nothing(server: ApiServer, kubeconfig: Path, tmp_path: Path) -> None:
    """404 on a cluster that the run was never on is no sign that its node is gone."""
    lines = (node_line("n1", SPOT, uid="a-uid"), object_line(MAP, uid="b-uid"))
    folder = run_folder(tmp_path, header(context="elsewhere", kubeconfig=None), *lines)
    where = ["--context", CONTEXT, "--kubeconfig", kubeconfig]
    ended = taintlab_here("recover", folder, *where, "--json")
    assert ended.code == 5
    assert ended.left.count("nothing there shows") == 2
    assert healed_ids(folder) == []


@pytest.mark.parametrize("successor", [False, True])
def test_b7_a_node_that_was_deleted_is_healed_by_that(
    server: ApiServer, kubeconfig: Path, tmp_path: Path, successor: bool
) -> None:
    if successor:
        tainted(server, "n1", SPOT)
    reach = header(context=CONTEXT, kubeconfig=str(kubeconfig))
    ended = recover(run_folder(tmp_path, reach, node_line("n1", SPOT, uid="of-before")), kubeconfig)
    assert (ended.code, ended.json["leftovers"]) == (0, [])
    assert "gone with its node" in ended.json["undone"][0]
    if successor:
        assert server.taints("n1") == [SPOT]


# ---- C2: a living run is left alone


def _heartbeat(age_s: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=age_s)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


ELSEWHERE = {"host": "other", "bootId": "another-boot", "pid": 7, "startTicks": 1, "pidNamespace": 1}


@pytest.mark.parametrize("holder", ["another process", "another machine"])
@pytest.mark.parametrize("by", ["folder", "--run"])
def test_c2_a_living_run_is_refused_unless_forced(
    server: ApiServer, kubeconfig: Path, tmp_path: Path, holder: str, by: str
) -> None:
    alive = another_living_process().to_api() if holder == "another process" else ELSEWHERE
    uid = tainted(server, "n1", SPOT, annotation=claim(SPOT, holder=alive, heartbeat=_heartbeat(5)))
    folder = run_folder(tmp_path, header(), node_line("n1", SPOT, uid=uid))
    more = [] if by == "folder" else ["--run", RUN]

    def call(*options: str) -> Ended:
        return recover(folder, kubeconfig, *options) if by == "folder" else on_context(kubeconfig, *more, *options)

    ended = call()
    assert ended.code == 2
    assert "is still alive" in ended.err
    assert "--force" in ended.err
    assert server.taints("n1") == [SPOT]
    assert call("--force").code == 0
    assert is_clean(server, "n1")


@pytest.mark.parametrize("dead", ["its process has ended", "its heartbeat is old"])
def test_c2_a_dead_run_is_recovered_at_once(server: ApiServer, kubeconfig: Path, tmp_path: Path, dead: str) -> None:
    ended_holder = {**another_living_process().to_api(), "startTicks": 1}
    holder, age_s = (ended_holder, 1) if dead == "its process has ended" else (ELSEWHERE, 100)
    uid = tainted(server, "n1", SPOT, annotation=claim(SPOT, holder=holder, heartbeat=_heartbeat(age_s)))
    assert recover(run_folder(tmp_path, header(), node_line("n1", SPOT, uid=uid)), kubeconfig).code == 0
    assert is_clean(server, "n1")


def test_c2_a_ledger_that_its_run_holds_is_not_touched(server: ApiServer, kubeconfig: Path, tmp_path: Path) -> None:
    uid = tainted(server, "n1", SPOT, annotation=claim(SPOT))
    folder = run_folder(tmp_path, header(), node_line("n1", SPOT, uid=uid))
    held = Ledger(folder / "ledger.jsonl")
    try:
        ended = recover(folder, kubeconfig)
        assert (ended.code, server.taints("n1")) == (2, [SPOT])
        assert "is still alive" in ended.err
        forced = recover(folder, kubeconfig, "--force")
        assert (forced.code, server.taints("n1")) == (0, [])
        assert "cannot be brought up to date" in forced.json["notes"][0]
    finally:
        held.close()


def test_c2_of_all_runs_the_living_one_is_left_and_named(server: ApiServer, kubeconfig: Path) -> None:
    tainted(server, "n1", SPOT, annotation=claim(SPOT, run="dead"))
    tainted(server, "n2", SPOT, annotation=claim(SPOT, run="alive", holder=another_living_process().to_api()))
    labelled(server, MAP, run="dead")
    labelled(server, f"{MAPS}/living", run="alive")
    ended = on_context(kubeconfig, "--all")
    assert ended.code == 5
    assert ended.left.count("run alive is still alive") == 2
    assert is_clean(server, "n1")
    assert server.taints("n2") == [SPOT]
    assert not is_there(server, MAP)
    assert is_there(server, f"{MAPS}/living")


@pytest.mark.parametrize("option", ["--run", "--all"])
@pytest.mark.parametrize("holder", ["alive", "dead", "nonsense"])
def test_c2_a_living_run_that_has_claimed_no_node_yet_keeps_its_workload(
    server: ApiServer, kubeconfig: Path, option: str, holder: str
) -> None:
    living = another_living_process().to_api()
    says = {"alive": living, "dead": {**living, "startTicks": 1}, "nonsense": {"pid": "\x1b"}}[holder]
    labelled(server, MAP, holder=says)
    ended = on_context(kubeconfig, *(["--run", RUN] if option == "--run" else ["--all"]))
    assert is_there(server, MAP) == (holder == "alive")
    assert ended.code == (0 if holder != "alive" else 2 if option == "--run" else 5)


# ---- C3, C4: each thing on its own, and what could not be looked at is said

GROUPS = "/apis"
BROKEN = {
    "secrets forbidden": (Answer(403, reason="Forbidden"), "/api/v1/secrets"),
    "one list 500": (Answer(500), "/apis/apps/v1/daemonsets"),
    "one group 503": (Answer(503), "/apis/apps/v1"),
    "core types 503": (Answer(503), "/api/v1"),
    "groups 503": (Answer(503), GROUPS),
    "nonsense for types": (Answer(200, body={"resources": [1]}), "/apis/policy/v1"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_c3_c4_a_list_that_fails_stops_nothing_and_is_said(server: ApiServer, kubeconfig: Path, broken: str) -> None:
    what, path = BROKEN[broken]
    server.rule(what, method="GET", path=path)
    tainted(server, "n1", SPOT, annotation=claim(SPOT))
    labelled(server, MAP)
    ended = on_context(kubeconfig, "--run", RUN)
    assert is_clean(server, "n1"), "nodes are healed before types are listed"
    assert ended.code == 5
    assert "not known:" in ended.left
    assert is_there(server, MAP) == (broken == "core types 503")


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("path", ["/api/v1", GROUPS, MAPS.replace("/namespaces/default", ""), "/api/v1/nodes"])
def test_c4_what_fails_once_is_asked_again(server: ApiServer, kubeconfig: Path, status: int, path: str) -> None:
    server.rule(Answer(status), method="GET", path=path, times=1)
    tainted(server, "n1", SPOT, annotation=claim(SPOT))
    labelled(server, MAP)
    ended = on_context(kubeconfig, "--run", RUN)
    assert (ended.code, ended.json["leftovers"]) == (0, []), ended
    assert is_clean(server, "n1")
    assert not is_there(server, MAP)


def test_c3_c4_with_a_folder_other_types_are_not_asked_for(server: ApiServer, kubeconfig: Path, tmp_path: Path) -> None:
    for path in ("/apis.*", "/api/v1", "/api/v1/secrets"):
        server.rule(Answer(503), method="GET", path=path)
    made = labelled(server, MAP)
    folder = run_folder(tmp_path, header(), object_line(MAP, uid=made))
    assert recover(folder, kubeconfig).code == 0
    assert not is_there(server, MAP)


def test_c4_a_record_whose_own_path_does_not_answer_stays_open(
    server: ApiServer, kubeconfig: Path, tmp_path: Path
) -> None:
    server.rule(Answer(403, reason="Forbidden"), method="GET", path=MAP)
    uid = tainted(server, "n1", SPOT, annotation=claim(SPOT))
    lines = (node_line("n1", SPOT, uid=uid), object_line(MAP, uid=labelled(server, MAP)))
    folder = run_folder(tmp_path, header(), *lines)
    ended = recover(folder, kubeconfig)
    assert ended.code == 5
    assert MAP in ended.left
    assert healed_ids(folder) == ["node:n1"]


def test_c4_types_that_only_an_old_version_serves_are_seen(server: ApiServer, kubeconfig: Path) -> None:
    versions = [{"groupVersion": v, "version": v.split("/")[1]} for v in ("apps/v2", "apps/v1")]
    group = {"name": "apps", "versions": versions, "preferredVersion": versions[0]}
    server.rule(Answer(200, body={"groups": [group]}), method="GET", path=GROUPS)
    server.rule(Answer(200, body={"resources": []}), method="GET", path="/apis/apps/v2")
    path = "/apis/apps/v1/namespaces/default/deployments/web"
    labelled(server, path)
    assert on_context(kubeconfig, "--run", RUN).code == 0
    assert not is_there(server, path)


# ---- C5: one odd annotation

ODD = {
    "1e999": json.dumps(claim(SPOT)).replace('"index": 0', '"index": 1e999'),
    "100,000 brackets": "[" * 100_000,
    "version 2": json.dumps({**claim(SPOT), "version": 2}),
    "no JSON": "\x1b]0;OWNED\x07",
    "huge": '"' + "a" * 200_000 + '"',
}


@pytest.mark.parametrize("odd", ODD)
def test_c5_an_odd_annotation_stops_nothing_else(server: ApiServer, kubeconfig: Path, odd: str) -> None:
    tainted(server, "n1", SPOT, annotation=ODD[odd])
    tainted(server, "n2", SPOT, annotation=claim(SPOT))
    ended = on_context(kubeconfig, "--all")
    assert is_clean(server, "n2")
    assert server.taints("n1") == [SPOT]
    assert ended.code == 5
    assert "n1" in ended.left
    assert not any(ord(c) < 32 for line in ended.json["leftovers"] for c in line)
    seen = on_context(kubeconfig, verb="status")
    assert [item["name"] for item in seen.json["leftovers"]] == ["n1"]


@pytest.mark.parametrize("odd", ["1e999", "100,000 brackets"])
def test_c5_with_a_folder_the_taint_goes_and_the_annotation_is_named(
    server: ApiServer, kubeconfig: Path, tmp_path: Path, odd: str
) -> None:
    uid = tainted(server, "n1", SPOT, annotation=ODD[odd])
    ended = recover(run_folder(tmp_path, header(), node_line("n1", SPOT, uid=uid)), kubeconfig)
    assert (ended.code, server.taints("n1")) == (5, [])
    assert CLAIM in ended.left


# ---- C6: a damaged folder


@pytest.mark.parametrize("history", [None, b"", b"\0" * 4096, b"{}\n", b"[" * 100_000 + b"\n"])
def test_c6_it_needs_no_history(server: ApiServer, kubeconfig: Path, tmp_path: Path, history: bytes | None) -> None:
    uid = tainted(server, "n1", SPOT, annotation=claim(SPOT))
    folder = run_folder(tmp_path, header(), node_line("n1", SPOT, uid=uid))
    if history is not None:
        (folder / "history.jsonl").write_bytes(history)
    assert recover(folder, kubeconfig).code == 0
    assert is_clean(server, "n1")


@pytest.mark.parametrize("bad", [b"\0\0\0\0", b"{", b"[" * 100_000, b'{"state":"intended"}', b'{"state":7}'])
def test_c6_a_bad_ledger_line_is_skipped_loudly(
    server: ApiServer, kubeconfig: Path, tmp_path: Path, bad: bytes
) -> None:
    uid = tainted(server, "n1", SPOT, annotation=claim(SPOT))
    folder = run_folder(tmp_path, header(), bad, node_line("n1", SPOT, uid=uid))
    ended = recover(folder, kubeconfig)
    assert is_clean(server, "n1")
    assert ended.code == 5
    assert "ledger.jsonl:2:" in ended.left


def test_c6_a_ledger_of_0_1_0_is_read_with_the_claims(server: ApiServer, kubeconfig: Path, tmp_path: Path) -> None:
    """No header, no undo, no history: the nodes that it names say the run."""
    tainted(server, "n1", SPOT, annotation=claim(SPOT))
    labelled(server, MAP)
    old = [{k: v for k, v in line.items() if k not in ("uid", "undo")} for line in (node_line("n1"), object_line(MAP))]
    folder = run_folder(tmp_path, *old)
    assert recover(folder, kubeconfig).code == 2, "it does not say where it was"
    ended = recover(folder, kubeconfig, "--context", CONTEXT)
    assert (ended.code, ended.json["leftovers"]) == (0, [])
    assert is_clean(server, "n1")
    assert not is_there(server, MAP)


def test_c6_a_ledger_of_0_1_0_whose_claim_was_stripped_is_not_called_healed(
    server: ApiServer, kubeconfig: Path, tmp_path: Path
) -> None:
    tainted(server, "n1", SPOT, annotation=claim(SPOT))
    tainted(server, "n2", SPOT)
    folder = run_folder(tmp_path, node_line("n1"), node_line("n2"))
    ended = recover(folder, kubeconfig, "--context", CONTEXT)
    assert ended.code == 5
    assert "node n2" in ended.left
    assert healed_ids(folder) == ["node:n1"]


@pytest.mark.parametrize("name", ["../../../version", "N1", "n1/proxy", ""])
def test_a_ledger_names_nodes_and_nothing_else(server: ApiServer, kubeconfig: Path, tmp_path: Path, name: str) -> None:
    ended = recover(run_folder(tmp_path, header(), node_line(name, SPOT)), kubeconfig)
    assert ended.code == 5
    assert "cannot name a node" in ended.left
    assert {r.path for r in server.requests} == {"/api/v1/nodes"}


@pytest.mark.parametrize("what", ["no ledger", "a link", "a pipe", "a folder"])
def test_what_is_no_ledger_is_refused(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    ledger = folder / "ledger.jsonl"
    if what == "a link":
        ledger.symlink_to("/etc/hostname")
    elif what == "a pipe":
        os.mkfifo(ledger)
    elif what == "a folder":
        ledger.mkdir()
    assert taintlab_here("recover", folder, "--context", CONTEXT).code == 2


# ---- who is meant


def test_on_a_context_nothing_is_undone_until_it_is_said_whose(server: ApiServer, kubeconfig: Path) -> None:
    tainted(server, "n1", SPOT, annotation=claim(SPOT))
    labelled(server, MAP)
    ended = on_context(kubeconfig)
    assert ended.code == 2
    assert "n1" in ended.left
    assert "settings" in ended.left
    assert "--run ID or --all" in ended.err
    assert server.taints("n1") == [SPOT]
    assert all(r.method == "GET" for r in server.requests)


@pytest.mark.parametrize("option", ["--run", "--all"])
def test_run_undoes_one_and_all_undoes_every_run(server: ApiServer, kubeconfig: Path, option: str) -> None:
    tainted(server, "n1", SPOT, annotation=claim(SPOT))
    tainted(server, "n2", SPOT, annotation=claim(SPOT, run="another"))
    labelled(server, MAP)
    labelled(server, f"{MAPS}/theirs", run="another")
    ended = on_context(kubeconfig, *(["--run", RUN] if option == "--run" else ["--all"]))
    assert (ended.code, ended.json["leftovers"]) == (0, [])
    assert is_clean(server, "n1")
    assert not is_there(server, MAP)
    assert is_clean(server, "n2") == (option == "--all")
    assert is_there(server, f"{MAPS}/theirs") == (option == "--run")


@pytest.mark.parametrize("more", [["--run", "x"], ["--all"]])
def test_a_folder_and_a_run_are_not_both_meant(tmp_path: Path, more: list[str]) -> None:
    assert taintlab_here("recover", tmp_path, *more).code == 2


# ---- B8: deleted is not gone


def test_status_names_what_holds_a_deleted_pod(server: ApiServer, kubeconfig: Path) -> None:
    path = "/api/v1/namespaces/default/pods/web-1"
    held = objects.pod("n1", labels={"taintlab.dev/run": RUN}, owner={"kind": "ReplicaSet", "name": "web", "uid": "u"})
    held["metadata"]["finalizers"] = ["example.com/hold"]
    server.put(path, held)
    server.delete(path)
    ended = on_context(kubeconfig, verb="status")
    assert ended.code == 0
    (item,) = ended.json["leftovers"]
    assert (item["kind"], item["name"], item["run"]) == ("Pod", "web-1", RUN)
    assert "example.com/hold" in item["what"]
    assert "being deleted since 2" in item["what"]


def test_status_says_what_it_could_not_look_at(server: ApiServer, kubeconfig: Path) -> None:
    server.rule(Answer(403, reason="Forbidden"), method="GET", path="/api/v1/secrets")
    ended = on_context(kubeconfig, verb="status")
    assert ended.code == 3
    assert ended.json["leftovers"] == []
    assert "secrets" in ended.json["unknown"][0]


def test_status_of_a_clean_cluster(server: ApiServer, kubeconfig: Path) -> None:
    tainted(server, "n1", SECURE)
    assert (ended := on_context(kubeconfig, verb="status")).json == {"leftovers": []}
    assert ended.code == 0


HOSTILE = "r\n::stop-commands::x\x1b[2J"


def test_e4_text_of_strangers_stays_on_its_line(server: ApiServer, kubeconfig: Path) -> None:
    tainted(server, "n1", SPOT, annotation=claim(SPOT, run=HOSTILE, deadline=HOSTILE))
    for verb, more in (("status", []), ("recover", []), ("recover", ["--all"])):
        ended = taintlab_here(verb, "--context", CONTEXT, "--kubeconfig", kubeconfig, *more)
        assert "\x1b" not in ended.out + ended.err
        assert not any(line.startswith("::") for line in (ended.out + ended.err).splitlines())


def test_a_cluster_that_does_not_answer_is_not_nothing(server: ApiServer, tmp_path: Path) -> None:
    """What cannot be asked is not known: exit 5, never 0."""
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
    body = yaml.safe_load(kubeconfig.read_text())
    body["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:9"
    kubeconfig.write_text(yaml.safe_dump(body))
    ended = on_context(kubeconfig, "--all")
    assert ended.code == 5
    assert "not known:" in ended.left
