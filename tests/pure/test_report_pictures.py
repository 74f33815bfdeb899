"""Where things are drawn: axes, gaps, thinning, and which pods get a row."""

from __future__ import annotations

from dataclasses import replace

import pytest
from markupsafe import Markup

from harness.model.result import Phase
from harness.model.verdicts import EvictionRow, PodVerdict
from loadgen.rows import Rows
from reports import axes, evictions, gantt, latency, nodes, svg
from reports.folder import Fact, toleration_words

ROW = EvictionRow(
    pod="default/web-0",
    uid="u0",
    node="n",
    verdict=PodVerdict.ON_TIME,
    rule="r",
    predicted_s=(0.0, 1.0),
    observed_s=0.1,
    gone_s=1.0,
    replacement=None,
    replacement_scheduled_s=None,
    replacement_ready_s=None,
    workload="ReplicaSet/web",
)


@pytest.mark.parametrize(
    ("start_s", "end_s", "origin_s", "labels"),
    [
        pytest.param(0, 75, 25, ["-20 s", "-10 s", "0", "10 s", "20 s", "30 s", "40 s", "50 s"], id="from-the-taint"),
        pytest.param(0, 1, 0, ["0", "0.2 s", "0.4 s", "0.6 s", "0.8 s", "1 s"], id="below-a-second"),
        pytest.param(0, 1200, 0, ["0", "5 min", "10 min", "15 min", "20 min"], id="minutes"),
    ],
)
def test_ticks_are_round_offsets_from_the_origin(
    start_s: float, end_s: float, origin_s: float, labels: list[str]
) -> None:
    assert [label for _, label in axes.TimeAxis(start_s, end_s, origin_s).ticks()] == labels


@pytest.mark.parametrize(("t_s", "share"), [(10, 0.0), (20, 0.5), (30, 1.0), (5, 0.0), (99, 1.0)])
def test_moments_are_held_inside_the_axis(t_s: float, share: float) -> None:
    assert axes.TimeAxis(10, 30).at(t_s) == share


@pytest.mark.parametrize(("value", "top"), [(1, 1), (11, 15), (100, 100), (101, 150), (0.29, 0.3), (0.0011, 0.0015)])
def test_scales_end_at_a_round_number(value: float, top: float) -> None:
    assert axes.round_up(value) == pytest.approx(top)


def test_bytes_are_rounded_in_binary() -> None:
    assert axes.linear([23 * 2**20], height=60, binary=True).top == 25 * 2**20


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [([1.5, 40.0], 1, 100), ([None, 3.0], 1, 10), ([0.4, 2000], 0.1, 10_000), ([], 1, 10), ([0.0, 5.0], 1, 10)],
)
def test_log_scale_covers_whole_decades(values: list[float | None], low: float, high: float) -> None:
    scale = axes.logarithmic(values, length=100)
    assert (scale.low, scale.high) == (low, high)


def test_a_gap_breaks_the_curve_and_a_lone_point_is_a_dot() -> None:
    drawn = svg.polyline([(0, 1), (1, 2), None, (3, 4), None, (5, 6), (6, 7)], "line")
    assert drawn == '<path class="line" d="M0 1L1 2M5 6L6 7"/><path class="line dot" d="M3 4h0.01"/>'


def test_nothing_measured_draws_nothing() -> None:
    assert svg.polyline([None, None], "line") == ""


@pytest.mark.parametrize(
    ("values", "keep", "thin"),
    [
        ([1, 9, 2, None, None, None], "max", (9, None)),
        ([1, 9, 2, 4, None, 6], "mean", (4, 5)),
        ([3, 1, 2, 5], "min", (1, 5)),
    ],
)
def test_thinning_keeps_gaps_and_extremes(
    values: list[float | None], keep: str, thin: tuple[float | None, ...]
) -> None:
    assert axes.thinned(values, per_point=3, keep=keep) == thin


def test_elements_escape_what_they_are_given() -> None:
    made = svg.el("text", '<b>&"', title='"><script>')
    assert made == Markup('<text title="&#34;&gt;&lt;script&gt;">&lt;b&gt;&amp;&#34;</text>')


def _pods(number: int, verdict: PodVerdict = PodVerdict.ON_TIME, workload: str = "ReplicaSet/web") -> list[EvictionRow]:
    return [
        replace(ROW, pod=f"p{n:03}", uid=f"{workload}{verdict}{n}", verdict=verdict, workload=workload)
        for n in range(number)
    ]


def test_pods_are_ranked_worst_first() -> None:
    rows = [replace(ROW, pod=f"p{n}", verdict=verdict) for n, verdict in enumerate(reversed(evictions.SEVERITY))]
    assert [row.verdict for row in evictions.worst_first(rows)] == list(evictions.SEVERITY)


def test_every_pod_verdict_has_a_rank() -> None:
    assert set(evictions.SEVERITY) == set(PodVerdict)


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        pytest.param(_pods(60), 60, id="all-fit"),
        pytest.param(_pods(61), 24, id="too-many-good-ones-are-sampled"),
        pytest.param(_pods(40, PodVerdict.LATE) + _pods(260), 40, id="violations-crowd-out-samples"),
        pytest.param(_pods(100, PodVerdict.LATE), 60, id="violations-are-capped"),
        pytest.param(_pods(2, PodVerdict.LATE) + _pods(500), 24, id="violations-and-samples"),
    ],
)
def test_rows_are_capped_violations_first(rows: list[EvictionRow], shown: int) -> None:
    chosen = gantt.chosen(rows)
    assert len(chosen) == shown
    wrong = [row for row in rows if row.verdict in evictions.VIOLATIONS]
    assert sum(row in chosen for row in wrong) == min(len(wrong), gantt.MAX_ROWS)


def test_samples_come_from_every_workload() -> None:
    rows = [row for name in "abcdef" for row in _pods(50, workload=f"ReplicaSet/{name}")]
    assert {row.workload for row in gantt.chosen(rows)} == {f"ReplicaSet/{name}" for name in "abcdef"}


@pytest.mark.parametrize(
    ("observed_s", "x"),
    [
        pytest.param(0.0, 14, id="at-its-start"),
        pytest.param(1.0, 42, id="at-its-end"),
        pytest.param(0.5, 28, id="in-the-middle"),
        pytest.param(9.0, 54, id="far-too-late"),
        pytest.param(-9.0, 2, id="far-too-early"),
    ],
)
def test_the_gauge_shows_where_in_the_interval(observed_s: float, x: float) -> None:
    assert f'x1="{x}" x2="{x}" y1="0" y2="14"' in gantt.gauge(replace(ROW, observed_s=observed_s))


@pytest.mark.parametrize(
    "row", [replace(ROW, observed_s=None), replace(ROW, predicted_s=None)], ids=["unseen", "stays"]
)
def test_no_gauge_without_both(row: EvictionRow) -> None:
    assert gantt.gauge(row) == ""


def test_named_pods() -> None:
    assert evictions.named(_pods(7), at_most=2) == "p000, p001 and 5 more"


@pytest.mark.parametrize(
    ("tolerations", "words"),
    [
        pytest.param([], "no toleration", id="none"),
        pytest.param(None, "no toleration", id="not-a-list"),
        pytest.param(
            [{"key": "spot", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
            "spot:NoExecute op=Exists for 5s",
            id="seconds",
        ),
        pytest.param(
            [{"key": "spot", "value": "true", "effect": "NoExecute"}], "spot=true:NoExecute op=Equal", id="value"
        ),
        pytest.param([{"operator": "Exists"}], "* op=Exists", id="blanket"),
        pytest.param([{"key": "spot", "effect": "NoSchedule"}], "no toleration", id="another-effect"),
        pytest.param([7, {"key": "a", "effect": "Sometimes"}], "unreadable, unreadable", id="damaged"),
        pytest.param(
            [
                {
                    "key": "node.kubernetes.io/not-ready",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
            ],
            "no toleration",
            id="the-default",
        ),
    ],
)
def test_tolerations_in_words(tolerations: object, words: str) -> None:
    assert toleration_words(tolerations) == words


def _node(t_s: float, **fields: object) -> Fact:
    return Fact(t_s=t_s, wall="", kind="NodeSeen", fields={"name": "n", "ready": True, "taints": [], **fields})


def test_conditions_of_a_node_become_spans() -> None:
    taint = [{"key": "spot", "value": "x", "effect": "NoExecute"}]
    facts = [_node(0), _node(5, taints=taint), _node(6, taints=taint, unschedulable=True), _node(9, ready=False)]
    assert [(span.what, span.start_s, span.end_s) for span in nodes.node_spans(facts, "n")] == [
        ("spot=x:NoExecute", 5, 9),
        ("cordoned", 6, 9),
        ("not Ready", 9, None),
    ]


def test_rows_are_sorted_into_phases_by_intended_start() -> None:
    base_ns, ms = 1000, 1_000_000
    phases = [_phase("baseline", 0.0, 1.0), _phase("fault", 1.0, 2.0)]
    due_ns = [base_ns + at for at in (0, 999_999_999, 1_000_000_000, 1_999_999_999, 2_000_000_000)]
    found = latency.distribute(_rows(due_ns, outcome=bytes([0, 2, 0, 0, 0]), service_ns=[2 * ms] * 5), phases, base_ns)
    bucket = 3  # 2 ms: floor(log10(2) * 12)
    assert found == {
        "baseline": latency.Distribution(good={bucket: 1}, bad=1),
        "fault": latency.Distribution(good={bucket: 2}, bad=0),
    }


def _phase(name: str, start_s: float, end_s: float) -> Phase:
    return Phase(
        name=name,
        start_s=start_s,
        end_s=end_s,
        requests=2,
        bad=0,
        p50_ms=2.0,
        p90_ms=2.0,
        p99_ms=2.0,
        p999_ms=None,
        max_ms=2.0,
        success_p99_ms=2.0,
        rate_per_s=2.0,
        rough=True,
        outcomes={},
    )


def _rows(due_ns: list[int], *, outcome: bytes, service_ns: list[int]) -> Rows:
    from array import array

    numbers = array("q", due_ns)
    return Rows(
        intended_ns=numbers,
        started_ns=numbers,
        service_ns=array("q", service_ns),
        status=array("H", [200] * len(due_ns)),
        outcome=outcome,
        arrival=array("I", range(len(due_ns))),
        timeout_ns=2_000_000_000,
    )
