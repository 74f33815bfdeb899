"""Histories of earlier formats: read, and judged no firmer than what they hold allows; those of later ones refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.check.evictions import eviction_rows
from harness.check.judge import judge
from harness.check.record import RunRecord
from harness.cli import main
from harness.errors import UsageError
from harness.history.read import read_history
from harness.history.seal import seal
from harness.model import events
from harness.model.taints import Effect, Taint, Toleration
from harness.model.verdicts import PodVerdict, Verdict
from tests.pure.records import FOREVER, SPOT, MadePod, MadeRun, node_seen
from tests.pure.run_folders import write_run

NOT_READY = Taint("node.kubernetes.io/not-ready", Effect.NO_EXECUTE)
TWENTY = Toleration(key=NOT_READY.key, effect=Effect.NO_EXECUTE, seconds=20)
OLD_FACTS = {"labels", "conditions", "spec_grace_s", "mirror"}


def as_format_2(facts: list[dict]) -> None:
    """What taintlab wrote before it recorded what predictions need: no word of watches, but Events."""
    facts[0]["format"] = 2
    for number, fact in enumerate(facts):
        if fact["kind"] == "WatchStarted":
            told = {
                "namespace": "default",
                "reason": "Killing",
                "message": "it stops",
                "component": "kubelet",
            }
            kept = {key: fact[key] for key in ("id", "t_ns", "wall", "source")}
            facts[number] = {**kept, "kind": "KubeEventSeen", **told, "involved_kind": "Pod", "involved_name": "p"}
        elif fact["kind"] in ("NodeSeen", "PodSeen"):
            facts[number] = {key: value for key, value in fact.items() if key not in OLD_FACTS}


def rewritten(path: Path, edit: Callable[[list[dict]], None]) -> None:
    facts = [json.loads(line) for line in path.read_text().splitlines()]
    edit(facts)
    path.write_text("".join(json.dumps(fact) + "\n" for fact in facts))


def old(run: MadeRun, folder: Path) -> RunRecord:
    """`run` as an older taintlab would have left it."""
    made = write_run(folder / "run", run)
    rewritten(made.history, as_format_2)
    return replace(run.record(), history=read_history(made.history))


def test_an_old_folder_is_judged_as_before(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", sealed=False)
    rewritten(folder.history, as_format_2)
    seal(folder)
    assert main(["check", str(folder.path)]) == 0
    assert json.loads(folder.result.read_text())["verdict"] == "PASS"


def test_facts_that_nobody_reads_any_more_keep_their_place(tmp_path: Path) -> None:
    history = old(MadeRun([MadePod("p")]), tmp_path).history
    assert [entry.id for entry in history.entries] == list(range(len(history.entries)))
    assert events.Retired("KubeEventSeen") in [entry.fact for entry in history.entries]


def test_a_newer_history_is_refused_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = write_run(tmp_path / "run")

    def newer(facts: list[dict]) -> None:
        facts[0]["format"] = events.FORMAT + 1
        facts[3] = {**facts[3], "kind": "MoonSeen"}

    rewritten(folder.history, newer)
    with pytest.raises(UsageError, match="format 4, written by a newer taintlab"):
        read_history(folder.history)
    assert main(["check", str(folder.path)]) == 2
    said = capsys.readouterr().err
    assert "newer taintlab" in said
    assert len(said.strip().splitlines()) == 1


# What predictions need.


def named_again(grace_s: int) -> MadeRun:
    """A pod leaves at once, and one of the same name, which tolerates the taint, comes 3 s later and stays."""
    first, second = MadePod("p", leaves_at=13.1, gone_at=13.2), MadePod("p", (FOREVER,))
    facts = [(at, replace(fact, spec_grace_s=grace_s)) for at, fact in first.sightings()]
    facts += [(16.0, second.seen("ADDED", uid="uid-later", spec_grace_s=grace_s))]
    there = events.ClosingList("pods", True, ("uid-later",))
    return MadeRun(extra=facts, closing={"pods": there})


def test_a_pod_without_grace_is_gone_when_its_name_comes_again(tmp_path: Path) -> None:
    def verdicts(record: RunRecord) -> dict[str, PodVerdict]:
        return {row.uid: row.verdict for row in eviction_rows(record)}

    firm = {"uid-p": PodVerdict.ON_TIME, "uid-later": PodVerdict.SURVIVED}
    assert verdicts(named_again(0).record()) == firm
    for record in (named_again(30).record(), old(named_again(0), tmp_path)):
        assert set(verdicts(record).values()) == {PodVerdict.UNKNOWN}


def not_ready(leaves_at: float | None) -> MadeRun:
    """Not ready from 14 s on until the fault ends, and tainted for that by the node lifecycle controller."""
    pod = MadePod("p", (FOREVER, TWENTY), leaves_at=leaves_at)
    tainted = node_seen("MODIFIED", (SPOT, NOT_READY), version="77", ready="False")
    zone = {"topology.kubernetes.io/zone": "b"}
    other = replace(node_seen("LISTED", ()), name="n2", uid="uid-n2", labels=zone)  # else all is down, and forgiven
    return MadeRun([pod], extra=[(0.2, other), (14.0, tainted)])


@pytest.mark.parametrize(
    ("leaves_at", "expected"),
    [(34.05, PodVerdict.ON_TIME), (None, PodVerdict.SURVIVED_WRONGLY)],
    ids=["leaves when its 20 s are over", "stays"],
)
def test_a_node_that_is_not_ready_keeps_its_taint(
    leaves_at: float | None, expected: PodVerdict, tmp_path: Path
) -> None:
    (row,) = eviction_rows(not_ready(leaves_at).record())
    assert row.verdict is expected, row.reason
    record = old(not_ready(leaves_at), tmp_path)
    (row,) = eviction_rows(record)
    assert row.verdict is PodVerdict.UNKNOWN
    assert "no conditions and zones" in row.reason
    assert judge(record).verdict is not Verdict.PASS
