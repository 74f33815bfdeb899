"""Counting while requests fly: rows for the judge, a `Second` for whoever watches, totals for the `Summary`.

Knows neither gevent nor clocks; times are arguments, so it is tested in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadgen.buckets import fill, percentile_ms, total
from loadgen.protocol import Second
from loadgen.rows import Outcome, RowWriter

_NS_PER_MS = 1e6
_WHOLE_ENOUGH_NS = 500_000_000
"""The rest of a second at the end of a run says nothing about how busy we were while sending."""


@dataclass(slots=True)
class InFlight:
    """An arrival that has not ended. `started_ns` is 0 until sending began; `counted`: already in some `slo_bad`."""

    intended_ns: int
    started_ns: int = 0
    counted: bool = False


@dataclass(slots=True)
class _Current:
    """What happened since the last `Recorder.second`."""

    sent: int = 0
    bad: int = 0
    slo_bad: int = 0
    dropped: int = 0
    latencies_ns: list[int] = field(default_factory=list)
    lateness_ns: list[int] = field(default_factory=list)


class Recorder:
    """One process's arrivals from due to ended. Each arrival that is opened or dropped gets exactly one row."""

    def __init__(self, rows: RowWriter, *, timeout_ns: int, threshold_ns: int | None) -> None:
        """`threshold_ns`: latency that makes an arrival count as `slo_bad`; None: only failures do."""
        self._rows = rows
        self._timeout_ns = timeout_ns
        self._threshold_ns = timeout_ns if threshold_ns is None else threshold_ns
        self._now = _Current()
        self._number = 0
        self.flights: dict[int, InFlight] = {}
        """Arrivals that have not ended, by their index in the schedule, in the order in which they were opened."""
        self.outcomes = dict.fromkeys(Outcome, 0)
        """How many arrivals ended how, since the start."""
        self.sent = 0
        self.in_flight_max = 0
        self.lateness: Mapping[int, int] = {}
        """Buckets over all seconds that were told."""
        self.lateness_max_ns = 0
        self.cpu_max = 0.0

    def open(self, arrival: int, *, intended_ns: int) -> None:
        """The arrival is due and will be sent as soon as its greenlet runs."""
        self.flights[arrival] = InFlight(intended_ns)
        self.in_flight_max = max(self.in_flight_max, len(self.flights))

    def started(self, arrival: int, *, at_ns: int) -> None:
        """Sending begins now."""
        flight = self.flights[arrival]
        flight.started_ns = at_ns
        late_ns = at_ns - flight.intended_ns
        self.sent += 1
        self.lateness_max_ns = max(self.lateness_max_ns, late_ns)
        self._now.sent += 1
        self._now.lateness_ns.append(late_ns)

    def close(self, arrival: int, *, at_ns: int, outcome: Outcome, status: int) -> None:
        """The arrival ended; an unknown one (already abandoned) is left alone."""
        flight = self.flights.pop(arrival, None)
        if flight is not None:
            self._end(arrival, flight, at_ns=at_ns, outcome=outcome, status=status)

    def drop(self, arrival: int, *, intended_ns: int, at_ns: int) -> None:
        """The arrival was due and will not be sent."""
        self._end(arrival, InFlight(intended_ns), at_ns=at_ns, outcome=Outcome.DROPPED, status=0)

    def abandon(self, *, at_ns: int) -> None:
        """End all that is open: UNANSWERED what was sent, DROPPED what was not."""
        for arrival, flight in list(self.flights.items()):
            outcome = Outcome.UNANSWERED if flight.started_ns else Outcome.DROPPED
            self.close(arrival, at_ns=at_ns, outcome=outcome, status=0)

    def second(self, *, at_ns: int, elapsed_ns: int, due: int, cpu_ns: int) -> Second:
        """Tell what happened since the last call, `elapsed_ns` ago. `due`: arrivals whose time came in between;
        `cpu_ns`: CPU time that this process used in between.
        """
        now, self._now = self._now, _Current()
        now.slo_bad += self._newly_slow(at_ns)
        oldest = next(iter(self.flights.values()), None)
        latency, lateness = fill(now.latencies_ns), fill(now.lateness_ns)
        self.lateness = total((self.lateness, lateness))
        cpu = cpu_ns / max(elapsed_ns, 1)
        if elapsed_ns >= _WHOLE_ENOUGH_NS:
            self.cpu_max = max(self.cpu_max, cpu)
        number, self._number = self._number, self._number + 1
        return Second(
            number=number,
            t_ns=at_ns,
            due=due,
            sent=now.sent,
            done=len(now.latencies_ns),
            bad=now.bad,
            slo_bad=now.slo_bad,
            dropped=now.dropped,
            p50_ms=percentile_ms(latency, 0.50),
            p99_ms=percentile_ms(latency, 0.99),
            in_flight=len(self.flights),
            oldest_ms=None if oldest is None else round((at_ns - oldest.intended_ns) / _NS_PER_MS, 1),
            lateness_p99_ms=percentile_ms(lateness, 0.99),
            cpu=round(cpu, 4),
            latency_buckets=latency,
            lateness_buckets=lateness,
        )

    def _newly_slow(self, at_ns: int) -> int:
        """Open arrivals that crossed the threshold without having been counted; marks them."""
        found = 0
        for flight in self.flights.values():
            if at_ns - flight.intended_ns <= self._threshold_ns:
                break  # opened in the order in which they were due: all others are younger
            if not flight.counted:
                flight.counted = True
                found += 1
        return found

    def _end(self, arrival: int, flight: InFlight, *, at_ns: int, outcome: Outcome, status: int) -> None:
        bad = outcome is not Outcome.OK
        latency_ns = self._timeout_ns if bad else at_ns - flight.intended_ns
        self.outcomes[outcome] += 1
        self._now.latencies_ns.append(latency_ns)
        self._now.bad += bad
        self._now.dropped += outcome is Outcome.DROPPED
        self._now.slo_bad += not flight.counted and (bad or latency_ns > self._threshold_ns)
        self._rows.add(
            intended_ns=flight.intended_ns,
            started_ns=flight.started_ns,
            service_ns=at_ns - flight.started_ns if flight.started_ns else 0,
            status=status,
            outcome=outcome,
            arrival=arrival,
        )
