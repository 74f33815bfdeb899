"""What a policy would do to a cluster, before anything is touched.

``evictions_by`` (departures) asks the predictor who leaves; ``assess`` (returns) lets replacements look for nodes
(`harness.semantics.scheduling`); ``judge`` (policy) says what breaks; ``plan_file`` (encode) writes it
down; ``compare`` (diff) holds two plans against each other. All pure: an inventory in, a plan out.
"""

from harness.impact.change import Change, Condition
from harness.impact.evictions import PredictedEvictions, evictions_by
from harness.impact.finding import Expectation, Finding, Kind, Severity
from harness.impact.impact import Impact, Leaving, Replacement, Staying
from harness.impact.policy import ExpectationResult, PolicyPlan, judge
from harness.impact.replacements import assess

__all__ = [
    "Change",
    "Condition",
    "Expectation",
    "ExpectationResult",
    "Finding",
    "Impact",
    "Kind",
    "Leaving",
    "PolicyPlan",
    "PredictedEvictions",
    "Replacement",
    "Severity",
    "Staying",
    "assess",
    "evictions_by",
    "judge",
]
