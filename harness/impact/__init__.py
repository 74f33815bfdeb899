"""What a policy would do to a cluster, before anything is touched.

``by_change`` (departures) asks the predictor who leaves; ``paint`` (returns) lets replacements look for nodes
(`harness.semantics.scheduling`); ``judge`` (policy) says what breaks; ``to_json`` (encode) writes it down; ``compare``
(diff) holds two plans against each other. All pure: an inventory in, a plan out.
"""

from harness.impact.change import Change, Condition
from harness.impact.evictions import Departures, by_change
from harness.impact.finding import Demand, Finding, Kind, Severity
from harness.impact.impact import Leaving, Picture, Return, Staying
from harness.impact.policy import Held, PolicyPlan, judge
from harness.impact.replacements import paint

__all__ = [
    "Change",
    "Condition",
    "Demand",
    "Departures",
    "Finding",
    "Held",
    "Kind",
    "Leaving",
    "Picture",
    "PolicyPlan",
    "Return",
    "Severity",
    "Staying",
    "by_change",
    "judge",
    "paint",
]
