"""What the load process and the harness say to each other, one line each. Pure.

Harness to child (stdin): the config as one line of JSON, because it may hold secrets that no file holds, then ``start
<CLOCK_MONOTONIC ns>`` once, ``stop [seconds]`` any time; the end of the stream means that the harness died and is a
``stop``. Child to harness (stdout), JSON: one `Ready`, a `Second` each second, and either one `Summary` or one
`Failed`. The exit status says nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from loadgen.buckets import Buckets, percentile_ms, total


class EndReason(StrEnum):
    """Why arrivals stopped."""

    DURATION = "duration"
    STOP = "stop"
    HARNESS_GONE = "harness-gone"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True)
class Ready:
    """The child can send. `planned`: arrivals of its stripe; `in_flight_cap`: as applied, lower than the default when
    the open-file limit asks for it; `schedule`: SHA-256 of the schedule it read.
    """

    process: int
    pid: int
    t_ns: int
    planned: int
    in_flight_cap: int
    schedule: str
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Second:
    """One second of traffic, the live view; the last of a run may be shorter. Summed over a run, the counts are the
    summary's.

    - `number`: from 0; `t_ns`: CLOCK_MONOTONIC at its end.
    - `due`: arrivals whose time came; `sent`: requests tried; `done`: arrivals that ended, dropped ones included;
      `bad`: ended other than ok.
    - `slo_bad`: arrivals that in this second failed, or became slower than the config's threshold even if still
      unanswered; each arrival counts once. A guard that waited for `bad` would see a hang only a timeout later.
    - `p50_ms`, `p99_ms`: of what ended, from the intended start, bad ones at the timeout (within 0.5 %); None: nothing.
    - `in_flight`: sent and unanswered at its end; `oldest_ms`: how long ago the oldest of them was due.
    - `lateness_p99_ms`: how late requests were sent; `cpu`: share of one core used, the busiest process's.
    """

    number: int
    t_ns: int
    due: int
    sent: int
    done: int
    bad: int
    slo_bad: int
    dropped: int
    p50_ms: float | None
    p99_ms: float | None
    in_flight: int
    oldest_ms: float | None
    lateness_p99_ms: float | None
    cpu: float
    latency_buckets: Buckets
    lateness_buckets: Buckets


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole run, written when all rows are on disk.

    - `scheduled`: arrivals of the whole plan; `due`: those whose time came before arrivals stopped, each has one row;
      `sent`, `dropped`, `bad`: of these; `outcomes`: by `rows.Outcome.label`, all labels.
    - `rows`: records per row file name. `started_ns`, `stopped_ns`, `ended_ns`: CLOCK_MONOTONIC of the first possible
      arrival, of the end of arrivals, of the last row.
    - `lateness_*_ms`: how late requests were sent: above a few ms the figures are this machine's, not the service's.
    - `cpu`, `cpu_max`: share of one core, mean and busiest second, of the busiest process.
    """

    name: str
    processes: int
    reason: EndReason
    started_ns: int
    stopped_ns: int
    ended_ns: int
    scheduled: int
    due: int
    sent: int
    dropped: int
    bad: int
    outcomes: Mapping[str, int]
    rows: Mapping[str, int]
    lateness_p50_ms: float | None
    lateness_p99_ms: float | None
    lateness_max_ms: float | None
    in_flight_max: int
    in_flight_cap: int
    cpu: float
    cpu_max: float
    schedule: str
    versions: Mapping[str, str]
    lateness_buckets: Buckets


@dataclass(frozen=True, slots=True)
class Failed:
    """The child cannot go on; one sentence, then it exits without a summary."""

    reason: str


Message = Ready | Second | Summary | Failed
_TYPES: Mapping[str, type[Message]] = {"ready": Ready, "second": Second, "summary": Summary, "failed": Failed}
_NAMES = {cls: name for name, cls in _TYPES.items()}


def summary_name(process: int) -> str:
    """The file in the load folder that holds the `Summary` of process `process`."""
    return f"summary-{process}.json"


def to_json(message: Message) -> dict[str, Any]:
    """Plain JSON values with their ``type``; bucket numbers become strings, as JSON's keys must be."""
    return {"type": _NAMES[type(message)], **asdict(message)}


def encode(message: Message) -> bytes:
    """One line, with its newline."""
    return json.dumps(to_json(message), separators=(",", ":")).encode() + b"\n"


def decode(line: bytes | str) -> Message:
    """The inverse of `encode`. Raises ValueError for anything else."""
    values = json.loads(line)
    if not isinstance(values, dict) or values.get("type") not in _TYPES:
        raise ValueError(f"not a message of the load process: {line[:200]!r}")
    cls = _TYPES[values.pop("type")]
    for key in ("latency_buckets", "lateness_buckets"):
        if key in values:
            values[key] = {int(bucket): count for bucket, count in values[key].items()}
    if "reason" in values and cls is Summary:
        values["reason"] = EndReason(values["reason"])
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"not a {cls.__name__}: {error}") from error


def merge_seconds(parts: Sequence[Second]) -> Second:
    """The same second of several processes as one; at least one part, all with the same number."""
    latency = total(part.latency_buckets for part in parts)
    lateness = total(part.lateness_buckets for part in parts)
    return Second(
        number=parts[0].number,
        t_ns=max(part.t_ns for part in parts),
        due=sum(part.due for part in parts),
        sent=sum(part.sent for part in parts),
        done=sum(part.done for part in parts),
        bad=sum(part.bad for part in parts),
        slo_bad=sum(part.slo_bad for part in parts),
        dropped=sum(part.dropped for part in parts),
        p50_ms=percentile_ms(latency, 0.50),
        p99_ms=percentile_ms(latency, 0.99),
        in_flight=sum(part.in_flight for part in parts),
        oldest_ms=_most(part.oldest_ms for part in parts),
        lateness_p99_ms=percentile_ms(lateness, 0.99),
        cpu=max(part.cpu for part in parts),
        latency_buckets=latency,
        lateness_buckets=lateness,
    )


def merge_summaries(parts: Sequence[Summary]) -> Summary:
    """The summaries of all processes of one run as one; at least one part. `in_flight_max` is the sum of the processes'
    own maxima, an upper bound.
    """
    first = parts[0]
    lateness = total(part.lateness_buckets for part in parts)
    return Summary(
        name=first.name,
        processes=first.processes,
        reason=next((part.reason for part in parts if part.reason is not EndReason.DURATION), first.reason),
        started_ns=first.started_ns,
        stopped_ns=max(part.stopped_ns for part in parts),
        ended_ns=max(part.ended_ns for part in parts),
        scheduled=sum(part.scheduled for part in parts),
        due=sum(part.due for part in parts),
        sent=sum(part.sent for part in parts),
        dropped=sum(part.dropped for part in parts),
        bad=sum(part.bad for part in parts),
        outcomes={label: sum(part.outcomes[label] for part in parts) for label in first.outcomes},
        rows={name: count for part in parts for name, count in part.rows.items()},
        lateness_p50_ms=percentile_ms(lateness, 0.50),
        lateness_p99_ms=percentile_ms(lateness, 0.99),
        lateness_max_ms=_most(part.lateness_max_ms for part in parts),
        in_flight_max=sum(part.in_flight_max for part in parts),
        in_flight_cap=sum(part.in_flight_cap for part in parts),
        cpu=max(part.cpu for part in parts),
        cpu_max=max(part.cpu_max for part in parts),
        schedule=first.schedule,
        versions=first.versions,
        lateness_buckets=lateness,
    )


def _most(values: Iterable[float | None]) -> float | None:
    """The largest of those that are there."""
    return max((value for value in values if value is not None), default=None)
