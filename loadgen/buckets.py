"""Histograms that can be added up: buckets 1 % wide, for the live view, where rows of other processes are not at hand.

Percentiles of several processes must never be averaged; their buckets may be summed. A figure read from a bucket is
within 0.5 % of the true one. Verdicts do not use this, they read rows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

Buckets = Mapping[int, int]
"""Bucket index to number of values; bucket `b` holds values in [1.01**b, 1.01**(b+1)) ns, bucket 0 also less."""

_GROWTH = 1.01
_LOG_GROWTH = math.log(_GROWTH)


def fill(values_ns: Iterable[int]) -> dict[int, int]:
    """Count nanosecond values; anything below 1 ns goes to bucket 0."""
    return dict(Counter(int(math.log(value) / _LOG_GROWTH) if value > 1 else 0 for value in values_ns))


def total(many: Iterable[Buckets]) -> dict[int, int]:
    """The sum of several histograms."""
    result: Counter[int] = Counter()
    for buckets in many:
        result.update(buckets)
    return dict(result)


def percentile_ms(buckets: Buckets, share: float) -> float | None:
    """Nearest-rank percentile (`share` 0.99 for p99) in ms, the geometric middle of its bucket; None without values."""
    rank = max(1, math.ceil(share * sum(buckets.values())))
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return round(math.exp(_LOG_GROWTH * (bucket + 0.5)) / 1e6, 4)
    return None
