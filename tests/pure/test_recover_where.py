"""Who is alive, and which cluster a folder may speak for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.cluster.reference import ClusterRef
from harness.cluster.undo import Holder, NodeUndo
from harness.errors import UsageError
from harness.run.recover.liveness import sign_of_life
from harness.run.recover.where import is_where, of_folder
from harness.wiring.sessions import default_kubeconfigs, lab_is_gone
from harness.wiring.this_process import LIVE_RUNS, local_processes, this_process
from tests.fakes.holders import another_living_process

NOW_S = 1_800_000_000
HERE = this_process()
AWAY = replace(HERE, boot_id="another")


def stamp(age_s: float) -> str:
    return datetime.fromtimestamp(NOW_S - age_s, UTC).isoformat()


@pytest.mark.parametrize(
    ("holder", "heartbeat", "alive"),
    [
        (HERE, None, True),
        (HERE, stamp(1e6), True),
        (replace(HERE, start_ticks=HERE.start_ticks + 1), stamp(1), False),
        (replace(HERE, pid=2**22 + 7), stamp(1), False),
        (AWAY, stamp(89), True),
        (AWAY, stamp(90), False),
        (AWAY, stamp(-3600), True),
        (AWAY, None, False),
        (replace(HERE, pid_namespace=1), stamp(5), True),
        (None, stamp(5), True),
        (None, None, False),
        (None, "yesterday", False),
        (None, "2026-01-01T00:00:00", False),
        (None, "9999-12-31T23:59:59+00:00", True),
        (None, "0001-01-01T00:00:00+14:00", False),
    ],
)
def test_a_sign_of_life(holder: object, heartbeat: str | None, alive: bool) -> None:
    claim = NodeUndo("r", "d", holder=holder, heartbeat=heartbeat)  # type: ignore[arg-type]
    with LIVE_RUNS.under_way("r"):
        assert bool(sign_of_life(claim, processes=local_processes(), wall_ns=NOW_S * 10**9)) is alive


@pytest.mark.parametrize(
    ("holder", "alive"),
    [
        pytest.param(HERE, False, id="of this process"),
        pytest.param(another_living_process(), True, id="of another living process"),
        pytest.param(AWAY, True, id="of another machine"),
    ],
)
def test_a_run_that_is_not_under_way_here(holder: Holder, alive: bool) -> None:
    """Its process tells of its own runs alone."""
    claim = NodeUndo("r", "d", holder=holder, heartbeat=stamp(5))
    with LIVE_RUNS.under_way("another"):
        assert bool(sign_of_life(claim, processes=local_processes(), wall_ns=NOW_S * 10**9)) is alive


def test_the_command_line_goes_before_the_folder() -> None:
    assert of_folder(ClusterRef(context="mine"), {"lab": "theirs"}, defaults=()).context == "mine"
    assert of_folder(ClusterRef(lab="mine"), {"context": "theirs"}, defaults=()).lab == "mine"


@pytest.mark.parametrize(
    ("reach", "allow", "refused"),
    [
        ({"context": "prod"}, (), "cannot allow its own context"),
        ({"context": "prod"}, ("prod",), ""),
        ({"context": "prod"}, ("other",), "cannot allow its own context"),
        ({"context": "kind-a"}, (), ""),
        ({"context": "kind-a", "kubeconfig": "/home/theirs/kc"}, (), "never opened"),
        ({"context": "kind-a", "kubeconfig": "./run/kc"}, (), "never opened"),
        ({"context": "kind-a", "kubeconfig": "\0"}, (), "never opened"),
        ({"context": 7}, (), "does not say where"),
        ({"context": ["kind-a"]}, (), "does not say where"),
        ({}, (), "does not say where"),
    ],
)
def test_what_a_folder_may_say(
    reach: dict[str, object], allow: tuple[str, ...], refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/home/me/a:/home/me/b")
    if refused:
        with pytest.raises(UsageError, match=refused):
            of_folder(ClusterRef(allow=allow), reach, defaults=default_kubeconfigs())
    else:
        assert of_folder(ClusterRef(allow=allow), reach, defaults=default_kubeconfigs()).context == reach["context"]


def test_a_kubeconfig_in_force_is_known_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("{}")
    link.symlink_to(real)
    monkeypatch.setenv("KUBECONFIG", f"/nonexistent:{link}")
    reach = {"context": "kind-a", "kubeconfig": str(real)}
    assert of_folder(ClusterRef(), reach, defaults=default_kubeconfigs()).kubeconfig is None, (
        "the file in force is opened, not the one that is named"
    )
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    with pytest.raises(UsageError):
        of_folder(ClusterRef(), reach, defaults=default_kubeconfigs())
    assert of_folder(ClusterRef(kubeconfig=link), reach, defaults=default_kubeconfigs()).kubeconfig == link


@pytest.mark.parametrize(
    ("reach", "where", "same"),
    [
        ({"lab": "a"}, ClusterRef(lab="a"), True),
        ({"lab": "a"}, ClusterRef(lab="b"), False),
        ({"context": "c"}, ClusterRef(context="c"), True),
        ({"context": "c"}, ClusterRef(context="d"), False),
        ({"context": "c", "kubeconfig": "/k"}, ClusterRef(context="c", kubeconfig=Path("/k")), True),
        ({"context": "c", "kubeconfig": "/k"}, ClusterRef(context="c"), False),
        ({"context": "c"}, ClusterRef(context="c", kubeconfig=Path("/k")), False),
        ({"lab": "a"}, ClusterRef(context="a"), False),
        ({}, ClusterRef(context="c"), False),
    ],
)
def test_the_very_cluster(reach: dict[str, str], where: ClusterRef, same: bool) -> None:
    assert is_where(reach, where, defaults=default_kubeconfigs()) is same


@pytest.mark.parametrize("name", ["../up", "a/b", "", "A", "a" * 41])
def test_a_lab_name_is_no_path(name: str) -> None:
    with pytest.raises(UsageError):
        lab_is_gone(ClusterRef(lab=name))
