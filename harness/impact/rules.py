"""Every rule of a plan, and what a plan may be held to.

A new rule: a `Rule` in a module by theme, and its line here.
"""

from __future__ import annotations

from harness.impact.impact import Impact
from harness.impact.losses import ACCELERATOR, DAEMON_SET, JOB, SINGLE_REPLICA, UNMANAGED
from harness.impact.placements import EVICTION_LOOP, PENDING, PREEMPTION, QUOTA, VOLUME
from harness.impact.services import BUDGET, DRAIN, OUTAGE
from harness.impact.timing import ADMISSION, BLANKET, EVICTION, GRACE, PRESSURE, THROTTLE, UNSURE, WINDOW
from harness.model.finding import Rule, expectations_of

RULES: tuple[Rule[Impact], ...] = (
    EVICTION,
    OUTAGE,
    PENDING,
    UNMANAGED,
    VOLUME,
    JOB,
    BUDGET,
    DRAIN,
    EVICTION_LOOP,
    SINGLE_REPLICA,
    DAEMON_SET,
    PREEMPTION,
    QUOTA,
    WINDOW,
    ADMISSION,
    ACCELERATOR,
    UNSURE,
    GRACE,
    THROTTLE,
    PRESSURE,
    BLANKET,
)
"""In the order in which findings of equal severity are shown."""

EXPECTATIONS = expectations_of(RULES)
"""What ``--expect`` takes, by name."""
