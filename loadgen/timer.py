"""Waking a greenlet on time. Runs in the child only (gevent, Linux).

gevent's own timers have the 1 ms granularity of epoll_wait: requests would leave 0.6 ms late at the median and 1.1 ms
at p99, which a service that answers in 1 ms would be blamed for. A timerfd armed with an absolute CLOCK_MONOTONIC
time wakes within 0.05 ms and 0.2 ms, for the same CPU.
"""

from __future__ import annotations

import ctypes
import os
from typing import ClassVar

import gevent

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_READ = 1  # gevent's loop.io event mask
_NS_PER_S = 1_000_000_000


class _TimeSpec(ctypes.Structure):
    _fields_: ClassVar = [("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long)]


class _TimerSpec(ctypes.Structure):
    _fields_: ClassVar = [("it_interval", _TimeSpec), ("it_value", _TimeSpec)]


class Timer:
    """One timerfd; one greenlet at a time may wait on it."""

    def __init__(self) -> None:
        """Raises OSError where timerfd_create fails."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._watcher = gevent.get_hub().loop.io(self._fd, _READ)
        self._spec = _TimerSpec()

    def wait_until(self, at_ns: int) -> None:
        """Return when CLOCK_MONOTONIC has reached `at_ns`, never before; other greenlets run meanwhile."""
        self._spec.it_value.tv_sec, self._spec.it_value.tv_nsec = divmod(at_ns, _NS_PER_S)
        if self._libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        gevent.get_hub().wait(self._watcher)
        os.read(self._fd, 8)

    def close(self) -> None:
        """Let go of the file descriptor."""
        self._watcher.close()
        os.close(self._fd)
