"""What a policy would do to a cluster, before anything is touched.

``evictions_by`` asks the predictor who leaves; ``assess`` (replacements) lets replacements look for nodes
(`harness.semantics.scheduling`); ``judge`` (policy) asks each rule (rules) what breaks; ``plan_file`` (encode) writes
it down; ``compare`` (diff) holds two plans against each other. All pure: a cluster state in, a plan out.
"""

from harness.impact.evictions import PredictedEvictions, evictions_by
from harness.impact.impact import Impact, Leaving, Replacement, Staying
from harness.impact.policy import PolicyPlan, judge
from harness.impact.replacements import assess
from harness.impact.rules import EXPECTATIONS, RULES

__all__ = [
    "EXPECTATIONS",
    "RULES",
    "Impact",
    "Leaving",
    "PolicyPlan",
    "PredictedEvictions",
    "Replacement",
    "Staying",
    "assess",
    "evictions_by",
    "judge",
]
