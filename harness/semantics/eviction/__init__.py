"""Who is evicted, when, and by which rule: Kubernetes' eviction controllers as a pure discrete-event model.

``predict(scenario)`` runs the scenario once for each combination of what nobody outside can know (`variants`). Each run
(`simulation`) is exact: the API server's answers (`admission`), the node lifecycle controller (`node_lifecycle`), the
taint-eviction controller (`taint_eviction`, with `harness.semantics.decision`) and its throttled client (`throttle`).
The forecast is what all simulations have in common (`pod_outcome`, `combine`). No clock, no I/O, no randomness: the
same answer every time.
"""

from __future__ import annotations

from harness.model.scenario import Scenario
from harness.semantics.eviction.combine import Forecast, Refusal, Tainting, combine
from harness.semantics.eviction.settings import Settings, settings_for
from harness.semantics.eviction.simulation import Simulation
from harness.semantics.eviction.variants import variants_of

__all__ = ["Forecast", "Refusal", "Settings", "Tainting", "predict", "settings_for"]


def predict(scenario: Scenario, settings: Settings | None = None) -> Forecast:
    """What becomes of every pod of `scenario`; `settings` None: upstream's defaults for the default version.

    Near linear in pods and writes; each restart of kube-controller-manager and each use of the node lifecycle
    controller multiplies the work by a small number (at most `variants.MAX_SIMULATIONS` altogether).
    """
    settings = settings or Settings()
    done = [Simulation(scenario, settings, variant) for variant in variants_of(scenario, settings)]
    for simulation in done:
        simulation.run()
    return combine(scenario, settings, done)
