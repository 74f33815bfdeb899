"""The traffic of the declaration, and what is expected of it: load, service levels, metrics, recovery, guard."""

from __future__ import annotations

from harness.formats import values
from harness.formats.leaves import ANY_TEXT, DURATION, NAME, RATE, SEED, choice, number, pattern, text, whole
from harness.formats.shapes import Field, ListOf, Pairs, Record
from harness.model.experiment import (
    Expect,
    Guard,
    Load,
    MetricExpectation,
    PhaseName,
    RecoveryExpectation,
    Slo,
)

LOAD = Record(
    "Load",
    "Traffic in an open model: requests leave on schedule, whatever the answers.",
    (
        Field(
            "url",
            "url",
            text("an address", values.http_url, minLength=1, pattern=pattern(values.URL)),
            "Where to; dialled from inside the lab's network, so Service names work.",
            required=True,
        ),
        Field("rate", "rate_per_s", RATE, "Arrivals per second, minute or hour.", required=True),
        Field(
            "timeout", "timeout_s", DURATION, "A request without an answer by then is bad; at most 10m.", default="2s"
        ),
        Field(
            "method",
            "method",
            choice("a method", {m: m for m in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}),
            "The HTTP method.",
            default="GET",
        ),
        Field(
            "headers",
            "headers",
            Pairs(
                key=text("a header's name", values.header_name, minLength=1, pattern=pattern(values.HEADER_NAME)),
                value=text("text", values.header_value, longest=8192, pattern=pattern(values.HEADER_VALUE)),
            ),
            "Sent with every request.",
        ),
        Field("body", "body", ANY_TEXT, "Sent with every request, as UTF-8.", default='""'),
        Field(
            "arrivals",
            "arrivals",
            choice("a way to arrive", {"poisson": "poisson", "uniform": "uniform"}),
            "`poisson`: independent users; `uniform`: evenly spaced.",
            default="poisson",
        ),
        Field(
            "connection",
            "connection",
            choice("a use of connections", {"reuse": "reuse", "per-request": "per-request"}),
            "`reuse` keeps connections open between requests; `per-request` opens one for each.",
            default="reuse",
        ),
        Field("seed", "seed", SEED, "Draws the arrival schedule; the same seed gives the same schedule.", default="0"),
        Field(
            "processes",
            "processes",
            whole("a whole number", least=1, most=64),
            "Load processes that share the rate; one is good for about 1000/s.",
            default="1",
        ),
    ),
    Load,
    slips={"rps": "write rate: 100/s", "target": "write url"},
)

PHASE_LIST = ListOf(choice("a phase", {phase.value: phase for phase in PhaseName}), distinct=True)
RATIO = number("a ratio above 0 and at most 1", exclusiveMinimum=0, maximum=1)


def _slo(name: str, phases: tuple[PhaseName, ...], good: values.Goal, ratio: float) -> Slo:
    return Slo(name=name, phases=phases, kind=good.kind, ratio=ratio, threshold_s=good.threshold_s)


SLO = Record(
    "Slo",
    "In each of the phases, at least `ratio` of the requests must be good. A failed request is never good.",
    (
        Field("name", "name", NAME, "Names the check in the results.", required=True),
        Field("phases", "phases", PHASE_LIST, "Each is judged by itself.", required=True),
        Field(
            "good",
            "good",
            text("success or latency <= 250ms", values.goal, minLength=1, pattern=pattern(values.GOAL)),
            "`success`, or `latency <= 250ms` for success within that time.",
            required=True,
        ),
        Field("ratio", "ratio", RATIO, "The share that must be good, such as 0.99.", required=True),
    ),
    _slo,
    slips={"target": "write ratio", "objective": "write ratio", "phase": "write phases: [fault]"},
)

METRIC = Record(
    "Metric",
    "A PromQL query of one series whose every sample in the phases must lie within the bounds. Fewer samples than nine "
    "seconds in ten, several series, or a time in which nothing was scraped is INCONCLUSIVE, never PASS.",
    (
        Field("name", "name", NAME, "Names the check in the results.", required=True),
        Field(
            "query",
            "query",
            text("a query", minLength=1),
            "PromQL that gives one series: `max(...)`, `sum(...)`.",
            required=True,
        ),
        Field("phases", "phases", PHASE_LIST, "When it is looked at.", required=True),
        Field("min", "minimum", number("a number"), "No sample may be below."),
        Field("max", "maximum", number("a number"), "No sample may be above. At least one of min and max is needed."),
    ),
    MetricExpectation,
)

RECOVERY = Record(
    "Recovery",
    "How soon all is well again.",
    (
        Field(
            "within",
            "within_s",
            DURATION,
            "From the end of the fault phase until service and pods are back, and stay so; at most the recovery phase.",
            required=True,
        ),
    ),
    RecoveryExpectation,
)

EXPECT = Record(
    "Expect",
    "What must hold for a PASS.",
    (
        Field(
            "evictions",
            "evictions",
            choice("what evictions may be", {"as-predicted": True, "ignored": False}),
            "`as-predicted` holds every pod on the target against its prediction. Without it: `as-predicted` if "
            "there is a target, else `ignored`.",
        ),
        Field("slos", "slos", ListOf(SLO), "Service levels of the traffic."),
        Field("recovery", "recovery", RECOVERY, "Time to recover."),
        Field("metrics", "metrics", ListOf(METRIC), "Bounds on Prometheus queries."),
    ),
    Expect,
    slips={"slo": "write slos: [...]"},
)

GUARD = Record(
    "Guard",
    "When to stop early, heal, and exit 4.",
    (
        Field(
            "badRatio",
            "bad_ratio",
            number("a ratio above 0 and below 1", exclusiveMinimum=0, exclusiveMaximum=1),
            "More than this share of bad requests, over both the last 5 s and the last 30 s. Without it, never.",
        ),
    ),
    Guard,
)
