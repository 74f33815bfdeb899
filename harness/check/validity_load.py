"""Did the load do what the experiment says? Validity checks of the load process, its rows and its lateness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.check.base import Soundness, ValidityCheck
from harness.check.record import RunRecord
from harness.model import events
from harness.model.experiment import PhaseName, Slo
from loadgen.rows import Rows

_MIN_SENT = 0.999
_MAX_LOAD_CPU = 0.8
_MIN_LATENESS_MS = 5.0
_LATENESS_SHARE_MISSED = 0.05
_LATENESS_SHARE_MET = 0.5


@dataclass(frozen=True, slots=True)
class _Figures:
    """What the load process counted when it ended."""

    due: int
    sent: int
    cpu: float
    lateness_ms: float


def _figures(record: RunRecord) -> _Figures:
    """LookupError, TypeError, ValueError or OverflowError when the summary is not one."""
    told = record.load_summary
    lateness_ms = float(told["lateness_p99_ms"] or 0.0)
    return _Figures(int(told["due"]), int(told["sent"]), float(told["cpu"]), lateness_ms)


def _unusable(record: RunRecord) -> Soundness | None:
    """Why nothing else can be asked of the load; None when it can."""
    ended = record.index.first(events.LoadEnded)
    if ended is None or not ended.ok or record.rows is None:
        message = ended.message if ended else "the load process never ended"
        return Soundness(False, message or "no summary", "a summary from the load process")
    try:
        _figures(record)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return Soundness(False, f"its summary cannot be read: {error!r}", "a summary with its figures")
    return None


def _complete(record: RunRecord) -> Soundness | None:
    if record.experiment.load is None:
        return None
    unusable = _unusable(record)
    if unusable is not None or record.rows is None:
        return unusable
    return _rows_whole(record.rows, _figures(record).due)


def _rows_whole(rows: Rows, due: int) -> Soundness:
    """The rows on disk are those that the load process counted when it ended: each due arrival once."""
    limit = f"one row for each of {due} due arrivals"
    if rows.torn_bytes:
        return Soundness(False, f"a file of rows ends within a row ({rows.torn_bytes} bytes)", limit)
    if len(rows) != due:
        return Soundness(False, f"{len(rows)} rows", limit)
    different = len(set(rows.arrival))
    return Soundness(different == due, f"rows of {different} arrivals", limit)


def _of_figures(judge: Callable[[RunRecord, _Figures], Soundness]) -> Callable[[RunRecord], Soundness | None]:
    """`judge`, for a load that ended with a summary; what did not is told by ``load-complete`` alone."""

    def judged(record: RunRecord) -> Soundness | None:
        if record.experiment.load is None or _unusable(record) is not None:
            return None
        return judge(record, _figures(record))

    return judged


def _sent(_record: RunRecord, load: _Figures) -> Soundness:
    share = load.sent / load.due if load.due else 0.0
    return Soundness(share >= _MIN_SENT, f"{load.sent} of {load.due} due arrivals sent", f"at least {_MIN_SENT:.1%}")


def _cpu(_record: RunRecord, load: _Figures) -> Soundness:
    return Soundness(load.cpu <= _MAX_LOAD_CPU, f"{load.cpu:.0%} of a core", f"at most {_MAX_LOAD_CPU:.0%}")


def _punctual(record: RunRecord, load: _Figures) -> Soundness:
    """Requests went out when they were due, or late by so little that it decides nothing.

    Latency counts from the intended start, so our own lateness counts against the service. Where a latency objective
    was missed, that may be our doing: p99 of the lateness must then be within 5 % of the strictest threshold, or 5 ms
    (load-and-slo C3). Where all were met in spite of it they were met; then it must be within half the threshold, so
    that the traffic was still what the experiment says. Without a latency objective the timeout takes the threshold's
    place.
    """
    timeout_s = record.experiment.load.timeout_s if record.experiment.load is not None else 0.0
    objectives = [slo for slo in record.experiment.expect.slos if slo.threshold_s is not None]
    threshold_s = min((slo.threshold_s for slo in objectives if slo.threshold_s is not None), default=timeout_s)
    missed = any(_missed(record, slo) for slo in objectives) or not objectives
    share = _LATENESS_SHARE_MISSED if missed else _LATENESS_SHARE_MET
    limit_ms = max(_MIN_LATENESS_MS, 1e3 * share * threshold_s)
    measured = f"p99 {load.lateness_ms:.1f} ms late"
    return Soundness(load.lateness_ms <= limit_ms, measured, f"at most {limit_ms:.1f} ms")


def _missed(record: RunRecord, slo: Slo) -> bool:
    for phase in slo.phases:
        window = record.windows.get(phase)
        if window is not None and record.traffic is not None:
            n, bad = record.traffic.count(window, threshold_s=slo.threshold_s)
            if bad > (1 - slo.ratio) * n * (1 + 1e-9):
                return True
    return False


def _baseline(record: RunRecord, _load: _Figures) -> Soundness:
    """The service was well before the fault: every objective holds in the baseline, whichever phases it is meant
    for.
    """
    window = record.windows.get(PhaseName.BASELINE)
    if window is None or record.traffic is None:
        return Soundness(True, "no baseline phase", "objectives hold before the fault")
    worst, n = 0.0, 0
    for slo in record.experiment.expect.slos:
        n, bad = record.traffic.count(window, threshold_s=slo.threshold_s)
        ratio = bad / n if n else 1.0
        if ratio > (1 - slo.ratio) * (1 + 1e-9):
            return Soundness(False, f"{slo.name}: {ratio:.2%} bad before the fault", f"at most {1 - slo.ratio:.2%}")
        worst = max(worst, ratio)
    return Soundness(True, f"{worst:.2%} bad of {n}", "objectives hold before the fault")


LOAD_CHECKS = (
    ValidityCheck("load-complete", _complete),
    ValidityCheck("load-sent", _of_figures(_sent)),
    ValidityCheck("load-punctual", _of_figures(_punctual)),
    ValidityCheck("load-cpu", _of_figures(_cpu)),
    ValidityCheck("baseline", _of_figures(_baseline)),
)
