"""Locust's users: one that dispatches an open schedule, and the ordinary closed ones as the control. In the child only.

A closed user waits for its answer before it sends again, so a service that stops answering stops being asked: a freeze
of 3 s became 10 slow requests out of 2470, and a p99 of 12 ms. The dispatcher sends each arrival when it is due,
whatever became of those before, in a greenlet of its own.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections.abc import Callable
from typing import Protocol

import gevent
from gevent.event import Event
from gevent.pool import Group
from locust import User, constant, constant_throughput, task
from locust.exception import StopUser

from loadgen.client import Answer, Client
from loadgen.config import LoadConfig
from loadgen.recorder import Recorder
from loadgen.timer import Timer

_BURST = 16
"""Overdue arrivals opened before their greenlets get a turn: a late dispatcher must not keep them from sending."""


class Traffic:
    """What the users of one process share: the recorder, when traffic starts and stops, and who failed."""

    def __init__(self, recorder: Recorder) -> None:
        """Nothing is sent before `begin`."""
        self.recorder = recorder
        self.begun = Event()
        self.over = Event()
        """Set when arrivals are to stop, or have."""
        self.idle = Event()
        """Set when, after `over`, all that was due is sent and nothing is in flight any more."""
        self.dispatching = True
        """Whether arrivals may still be opened."""
        self.start_ns = 0
        self.failure: BaseException | None = None

    def begin(self, start_ns: int) -> None:
        """Offset 0 of the schedule is at `start_ns`."""
        self.start_ns = start_ns
        self.begun.set()

    def perform(self, arrival: int, exchange: Callable[[], Answer]) -> None:
        """Send an opened arrival and record its end. Whatever goes wrong in here is ours and ends the run."""
        try:
            self.recorder.started(arrival, at_ns=time.monotonic_ns())
            outcome, status = exchange()
            self.recorder.close(arrival, at_ns=time.monotonic_ns(), outcome=outcome, status=status)
        except Exception as error:  # a lost row must not pass for a quiet service
            self.fail(error)
        self.settle()

    def settle(self) -> None:
        """Set `idle` if it is time to."""
        if self.over.is_set() and not self.dispatching and not self.recorder.flights:
            self.idle.set()

    def fail(self, error: BaseException) -> None:
        """Stop: the sender itself broke, there will be no summary."""
        self.failure = self.failure or error
        self.over.set()
        self.idle.set()


class Source(Protocol):
    """What sends: the open dispatcher, or the closed control."""

    users: int
    """How many Locust users to spawn."""

    def user_class(self) -> type[User]:
        """The Locust user to spawn."""
        ...

    def due(self, *, from_ns: int, to_ns: int) -> int:
        """Arrivals whose time came in [from_ns, to_ns), which follows on the last call's."""
        ...

    def halt(self, *, at_ns: int) -> None:
        """No arrivals that are due at `at_ns` or later; those due before are still sent."""
        ...

    def kill(self, *, at_ns: int) -> None:
        """Send nothing any more and end what is in flight, whose arrivals stay open in the recorder. What was due
        before `at_ns` and not sent is dropped.
        """
        ...


class Dispatcher:
    """The open model: sends the arrivals of one process's stripe of the schedule, each at its time."""

    users = 1

    def __init__(self, traffic: Traffic, *, config: LoadConfig, process: int, offsets: array[int], cap: int) -> None:
        """`offsets`: the stripe of process `process`; `cap`: arrivals in flight beyond which the next is dropped."""
        self._traffic = traffic
        self._client = Client(config, connections=-(-config.connections // config.processes))
        self._first, self._stride = process, config.processes
        self._offsets = offsets
        self._cap = cap
        self._next = 0
        self._end_ns: int | None = None
        self._requests = Group()
        self._greenlet: gevent.Greenlet | None = None

    def user_class(self) -> type[User]:
        """A user whose one task is the whole schedule."""

        def dispatch(_: User) -> None:
            try:
                self._run()
            except Exception as error:
                self._traffic.fail(error)  # Locust would log it and start the schedule again
            self._traffic.over.set()
            raise StopUser

        return type("OpenUser", (User,), {"abstract": False, "wait_time": constant(0), "tasks": [dispatch]})

    def due(self, *, from_ns: int, to_ns: int) -> int:
        """Counted from the schedule, not from what was dispatched: a late dispatcher shows as due above sent."""
        return self._due_before(to_ns) - self._due_before(from_ns)

    def halt(self, *, at_ns: int) -> None:
        """A dispatcher that waits for a later arrival is ended; a late one goes on until it has caught up."""
        self._end_ns = at_ns
        if self._next >= self._due_before(at_ns) and self._greenlet is not None:
            self._greenlet.kill()

    def kill(self, *, at_ns: int) -> None:
        """Dispatcher and requests have a greenlet each."""
        if self._greenlet is not None:
            self._greenlet.kill()
        self._requests.kill()
        for position in range(self._next, self._due_before(at_ns)):
            intended_ns = self._traffic.start_ns + self._offsets[position]
            self._traffic.recorder.drop(self._arrival(position), intended_ns=intended_ns, at_ns=at_ns)

    def _due_before(self, at_ns: int) -> int:
        """How many arrivals of the stripe."""
        return bisect_left(self._offsets, at_ns - self._traffic.start_ns)

    def _arrival(self, position: int) -> int:
        """The index in the whole schedule of a position in the stripe."""
        return self._first + position * self._stride

    def _run(self) -> None:
        """Dispatch until the schedule or `halt` ends it."""
        self._greenlet = gevent.getcurrent()
        self._traffic.begun.wait()
        start_ns, alarm, overdue = self._traffic.start_ns, Timer(), 0
        try:
            for position, offset in enumerate(self._offsets):
                if self._end_ns is not None and start_ns + offset >= self._end_ns:
                    break
                if time.monotonic_ns() < start_ns + offset:
                    alarm.wait_until(start_ns + offset)
                    overdue = 0
                else:
                    overdue += 1
                    if overdue % _BURST == 0:
                        gevent.sleep(0)
                self._next = position + 1
                self._dispatch(self._arrival(position), intended_ns=start_ns + offset)
        finally:
            alarm.close()
            self._traffic.dispatching = False
            self._traffic.settle()

    def _dispatch(self, arrival: int, *, intended_ns: int) -> None:
        recorder = self._traffic.recorder
        if len(recorder.flights) >= self._cap:
            recorder.drop(arrival, intended_ns=intended_ns, at_ns=time.monotonic_ns())
            return
        recorder.open(arrival, intended_ns=intended_ns)
        self._requests.spawn(self._traffic.perform, arrival, self._client.exchange)


class ClosedUsers:
    """The control: Locust's ordinary users at `constant_throughput`, each with a connection of its own. An arrival is
    due when its user gets round to it, which is the flaw on show.
    """

    def __init__(self, traffic: Traffic, *, config: LoadConfig, users: int) -> None:
        """The users share `config.rate_per_s` equally."""
        self.users = users
        self._traffic = traffic
        self._config = config
        self._opened = 0
        self._told = 0

    def user_class(self) -> type[User]:
        """A user that asks, waits for the answer, waits for its next turn."""
        closed = self

        class ClosedUser(User):
            wait_time = constant_throughput(closed._config.rate_per_s / closed.users)

            def on_start(self) -> None:
                self.client = Client(closed._config, connections=1)

            @task
            def ask(self) -> None:
                closed._ask(self.client)

        return ClosedUser

    def due(self, *, from_ns: int, to_ns: int) -> int:
        """What was opened since the last call."""
        told, self._told = self._told, self._opened
        return self._opened - told

    def halt(self, *, at_ns: int) -> None:
        """Nothing can be overdue."""
        self._traffic.dispatching = False
        self._traffic.settle()

    def kill(self, *, at_ns: int) -> None:
        """The requests run in the users' greenlets, which the runner ends."""

    def _ask(self, client: Client) -> None:
        self._traffic.begun.wait()
        if self._traffic.over.is_set():
            raise StopUser
        arrival, self._opened = self._opened, self._opened + 1
        self._traffic.recorder.open(arrival, intended_ns=time.monotonic_ns())
        self._traffic.perform(arrival, client.exchange)
