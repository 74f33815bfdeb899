"""Every check there is, in the order in which results are shown. A new one is a file of its own and a line here."""

from __future__ import annotations

from harness.check.base import Check, ValidityCheck
from harness.check.endpoints import ENDPOINTS
from harness.check.evictions import EVICTIONS
from harness.check.metrics import METRICS
from harness.check.recovery import RECOVERY
from harness.check.slo import SLOS
from harness.check.validity_fault import INJECTED, STOOD
from harness.check.validity_load import LOAD_CHECKS
from harness.check.validity_record import ENDED, EVIDENCE_WHOLE, OBSERVED, RECORD_WHOLE
from harness.check.watches import WATCHES

CHECKS: tuple[Check, ...] = (EVICTIONS, SLOS, RECOVERY, ENDPOINTS, METRICS)

EXPECT_KEYS = tuple(check.key for check in CHECKS if check.key is not None)
"""The keys of `expect` that checks declare themselves, for whoever reads experiment files."""

VALIDITY_CHECKS: tuple[ValidityCheck, ...] = (
    ENDED,
    EVIDENCE_WHOLE,
    RECORD_WHOLE,
    OBSERVED,
    INJECTED,
    STOOD,
    *LOAD_CHECKS,
    WATCHES,
)
