"""The golden signals as Prometheus saw them, asked once after the recovery phase and written down as facts.

They are asked afterwards, over the phases' real windows: a query that hangs must not disturb the run, and client-side
rows are what latency, traffic and errors are judged by. Saturation is judged by these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.cluster.ports import Metrics
from harness.history.record import Recorder
from harness.model import events
from harness.model.experiment import MetricExpectation

STEP_S = 1.0
_WINDOW = "5s"


@dataclass(frozen=True, slots=True)
class Query:
    """One signal: `name` is unique in a run; `labels` of the answer that tell its series apart are kept."""

    signal: str
    name: str
    unit: str
    promql: str


def golden_queries(namespaces: Sequence[str]) -> tuple[Query, ...]:
    """The four signals of the usual client-library metrics, in the namespaces of the workload.

    Windows are 5 s: five scrapes at the lab's 1 s interval (at least four are needed, load-and-slo B1).
    """
    where = 'namespace=~"' + "|".join(sorted(namespaces)) + '"'
    requests = f"rate(http_request_duration_seconds_count{{{where}}}[{_WINDOW}])"
    failed = f'rate(http_request_duration_seconds_count{{{where},status=~"5.."}}[{_WINDOW}])'
    buckets = f"rate(http_request_duration_seconds_bucket{{{where}}}[{_WINDOW}])"
    return (
        Query("latency", "server p99", "s", f"histogram_quantile(0.99, sum by (le) ({buckets}))"),
        Query("traffic", "server rate", "1/s", f"sum({requests})"),
        Query("errors", "server 5xx ratio", "ratio", f"(sum({failed}) or vector(0)) / sum({requests})"),
        Query("saturation", "cpu", "cores", f"sum by (pod) (rate(process_cpu_seconds_total{{{where}}}[{_WINDOW}]))"),
        Query("saturation", "memory", "bytes", f"sum by (pod) (process_resident_memory_bytes{{{where}}})"),
    )


def expectation_query(expectation: MetricExpectation) -> Query:
    """The query of one `expect.metrics` entry."""
    return Query("expectation", expectation.name, "", expectation.query)


async def sample(
    metrics: Metrics,
    recorder: Recorder,
    queries: Sequence[Query],
    *,
    start_ns: int,
    end_ns: int,
    namespaces: Sequence[str] = (),
) -> None:
    """Ask each query over [start_ns, end_ns) of the run and record every point, or one Sample without a value that
    says why not; and once, when Prometheus really scraped (`Scraped`).

    A point's time on the run's clock is in its labels (`t_s`): Prometheus evaluated it there, we only learnt it now.
    JSON has no infinity: a point that is infinite has no value, and `why` is ``+Inf`` or ``-Inf``.
    """
    zero_s = recorder.start.wall_ns / 1e9
    start_s, end_s = zero_s + start_ns / 1e9, zero_s + end_ns / 1e9
    for fact in await _scraped(metrics, namespaces, start_s=start_s, end_s=end_s, zero_s=zero_s):
        recorder.record(fact, source="prometheus")
    for query in queries:
        answer = await metrics.query_range(query.promql, start_s=start_s, end_s=end_s, step_s=STEP_S)
        if answer.why:
            recorder.record(
                events.Sample(query.signal, query.name, None, query.unit, why=answer.why), source="prometheus"
            )
        for series in answer.series:
            for at_s, value in series.points:
                labels = {**series.labels, "t_s": f"{at_s - zero_s:.3f}"}
                known, why = (value, "") if math.isfinite(value) else (None, f"{value:+}".replace("inf", "Inf"))
                recorder.record(
                    events.Sample(query.signal, query.name, known, query.unit, labels, why), source="prometheus"
                )


async def _scraped(
    metrics: Metrics, namespaces: Sequence[str], *, start_s: float, end_s: float, zero_s: float
) -> list[events.Scraped]:
    """One fact for each scraped target, or one that says why they are not known.

    Those count whose ``up`` has the namespace of the workload as a label; where there are none, all. The limit: which
    target a query's series come from cannot be known, so that a metric scraped elsewhere (cAdvisor of a kubelet, an
    exporter in another namespace) is vouched for by the targets of the workload only.
    """
    answer = await metrics.scrapes(start_s=start_s, end_s=end_s, namespaces=namespaces)
    if namespaces and not answer.series:
        answer = await metrics.scrapes(start_s=start_s, end_s=end_s)
    if answer.why or not answer.series:
        return [events.Scraped({}, (), answer.why or "Prometheus scraped nothing")]
    return [
        events.Scraped(series.labels, tuple((round(at_s - zero_s, 3), float(up == 1)) for at_s, up in series.points))
        for series in answer.series
    ]
