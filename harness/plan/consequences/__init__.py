"""What a policy would do to a cluster, before anything is touched.

``by_change`` (departures) asks the predictor who leaves; ``paint`` (returns) lets replacements look for nodes
(`harness.plan.scheduling`); ``judge`` (policy) says what breaks; ``to_json`` (encode) writes it down; ``compare``
(diff) holds two plans against each other. All pure: an inventory in, a plan out.
"""

from harness.plan.consequences.change import Change, Condition
from harness.plan.consequences.departures import Departures, by_change
from harness.plan.consequences.finding import Demand, Finding, Kind, Severity
from harness.plan.consequences.picture import Leaving, Picture, Return, Staying
from harness.plan.consequences.policy import Held, PolicyPlan, judge
from harness.plan.consequences.returns import paint

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
