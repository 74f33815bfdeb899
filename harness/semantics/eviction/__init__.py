"""Who is evicted, when, and by which rule: Kubernetes' eviction controllers as a pure discrete-event model.

``predict(scenario)`` runs the scenario once for every course that what nobody can know allows (`chances`), each an
exact simulation (`course`) of the API server's answers (`admission`), the node lifecycle controller (`lifecycle`), the
taint-eviction controller (`controller`, `decision`, `matching`) and its throttled client (`throttle`); the forecast is
what the courses have in common (`ending`, `forecast`). No clock, no I/O, no chance: the same answer every time.
"""

from __future__ import annotations

from harness.model.scenario import Scenario
from harness.semantics.eviction.combine import Forecast, Refusal, Tainting, combine
from harness.semantics.eviction.settings import Settings, settings_for
from harness.semantics.eviction.simulation import Simulation
from harness.semantics.eviction.variants import simulations

__all__ = ["Forecast", "Refusal", "Settings", "Tainting", "predict", "settings_for"]


def predict(scenario: Scenario, settings: Settings | None = None) -> Forecast:
    """What becomes of every pod of `scenario`; `settings` None: upstream's defaults for the default version.

    Near linear in pods and writes; each restart of kube-controller-manager and each use of the node lifecycle
    controller multiplies the work by a small number (at most `chances.MAX_COURSES` altogether).
    """
    settings = settings or Settings()
    run = [Simulation(scenario, settings, chance) for chance in simulations(scenario, settings)]
    for course in run:
        course.run()
    return combine(scenario, settings, run)
