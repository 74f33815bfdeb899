"""What the headers in experiments/ say is what the predictor says of the pods that their manifests make."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.formats.experiment.manifests import pod_template
from harness.model.experiment import Experiment
from harness.model.state import ClusterState, Node, Phase, Pod, PodTemplate
from harness.model.taints import tolerations_from_api
from harness.plan.predict import predict_planned
from harness.plan.schedule import make_steps
from harness.plan.targets import choose_targets
from harness.semantics.eviction.settings import Settings
from harness.wiring.experiments import experiment_files, read_experiment

LIBRARY = Path(__file__).parents[2] / "experiments"
NODES = (("general-1", "general"), ("general-2", "general"), ("spot-1", "spot"), ("spot-2", "spot"))
STAYS = None
UNSURE = "unsure"


def world_of(experiment: Experiment) -> ClusterState:
    """Four nodes, as many as the default lab has; of each object, the pods it makes, on its nodes in turn."""
    nodes = tuple(Node(name, {"pool": pool}, uid=f"uid-{name}") for name, pool in NODES)
    pods: list[Pod] = []
    for manifest in experiment.workload:
        template = pod_template(manifest)
        if template is None:
            continue
        wanted = (template["spec"].get("nodeSelector") or {}).items()
        homes = [node.name for node in nodes if all(node.labels.get(key) == value for key, value in wanted)]
        replicas = manifest.body["spec"].get("replicas", 1) if manifest.kind != "Pod" else 1
        alike = PodTemplate(
            namespace="default",
            labels=template["metadata"]["labels"],
            tolerations=tolerations_from_api(template["spec"].get("tolerations")),
        )
        pods += [
            Pod(
                name=manifest.name if manifest.kind == "Pod" else f"{manifest.name}-{number}",
                uid=f"uid-{manifest.name}-{number}",
                node=homes[number % len(homes)],
                phase=Phase.RUNNING,
                ready=True,
                deleting=False,
                template=alike,
            )
            for number in range(replicas)
        ]
    return ClusterState(nodes=nodes, pods=tuple(pods), kubernetes_version="v1.35.4")


@pytest.mark.parametrize(
    ("number", "left_after_s"),
    [
        ("01", {"web": (0.0, 1.0)}),
        ("02", {"none": (0.0, 1.0), "unlimited": STAYS, "waits-5s": (5.0, 6.0), "waits-20s": (20.0, 21.0)}),
        ("03", {"two-keys": (10.0, 11.0)}),
        ("04", {"shortened": (12.0, 13.0), "lengthened": (12.0, 13.0), "untouched": (12.0, 13.0)}),
        ("05", {"blanket-first": STAYS, "limit-first": (4.0, 5.0)}),
        ("06", {"patient": (15.2, 17.5)}),  # a controller manager is back 0.3 to 2 s after its restart
        ("07", {"eviction-loop": (5.0, 6.0)}),
        ("08", {"guarded": (0.0, 1.0)}),
        ("09", {"guarded": STAYS}),
        ("10", {"guarded": UNSURE}),
        ("11", {"guarded": STAYS}),
    ],
)
def test_header_says_what_is_predicted(number: str, left_after_s: dict[str, tuple[float, float] | str | None]) -> None:
    (file,) = LIBRARY.glob(f"{number}-*.yaml")
    experiment = read_experiment(file)
    world = world_of(experiment)
    assert experiment.target is not None
    targets = choose_targets(experiment.target, world.nodes)
    predictions = predict_planned(experiment, make_steps(experiment, targets), targets, world, Settings())
    assert predictions, "no pod on the targets"
    seen = set()
    for prediction in predictions:
        name = prediction.pod.removeprefix("default/")
        kind = next(prefix for prefix in left_after_s if name.startswith(prefix))
        seen.add(kind)
        expected = left_after_s[kind]
        if expected is STAYS:
            assert prediction.outcome == "survives", prediction
        elif isinstance(expected, str):
            assert prediction.outcome == expected, prediction
        else:
            assert prediction.outcome == "evicted", prediction
            assert prediction.earliest_s is not None
            assert prediction.latest_s is not None
            assert expected[0] <= prediction.earliest_s <= prediction.latest_s <= expected[1], prediction
    assert seen == set(left_after_s)


@pytest.mark.parametrize("file", experiment_files([LIBRARY]), ids=lambda file: file.stem)
def test_header_says_what_why_how_long_and_with_what(file: Path) -> None:
    header = file.read_text().partition("apiVersion:")[0]
    assert file.stem.endswith(f"-{read_experiment(file).name}"), "a run folder must lead back to its file"
    for word in ("# Proves ", "# Fails ", "# Takes ", "# Needs "):
        assert word in header, f"{file.name} does not say: {word}"
    assert f"{read_experiment(file).phases.total_s:g} s" in header, "the time it takes is not the sum of its phases"
