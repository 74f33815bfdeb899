"""The conformance table: what upstream's tests and measurements say must happen, as data.

Each row is a write script with the outcome of every pod, written by hand from upstream; the same rows are held against
the predictor (tests/pure) and against real controllers (tests/lab).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import InvalidFile
from harness.formats.document import parse, read_text
from harness.formats.nodes import Listing, Table, plain
from harness.formats.problems import Problems
from harness.formats.script import scenario_of
from harness.model.plan import Prediction
from harness.model.scenario import Scenario
from harness.semantics.eviction import Forecast
from harness.semantics.eviction.settings import Gate, Settings

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Expected:
    """What must become of one pod. `earliest_s`, `latest_s`: only for `evicted`."""

    outcome: str
    earliest_s: float | None = None
    latest_s: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One case. `table`: the file it is in, without suffix. `flags`: as ``taintlab lab up --flag`` takes them.
    `refused`: indexes of writes; None: not said. `last_after_s`: the last of the evictions comes no sooner than that,
    though nobody can say which one it is.
    """

    table: str
    id: str
    source: str
    flags: tuple[str, ...]
    scenario: Scenario
    pods: dict[str, Expected]
    refused: tuple[int, ...] | None
    last_after_s: float | None

    @property
    def settings(self) -> Settings:
        """The control plane that `flags` make."""
        return settings_of(self.flags)


def settings_of(flags: tuple[str, ...]) -> Settings:
    """Settings of the default version with those flags; ValueError for one that the model has no place for."""
    settings = Settings()
    for flag in flags:
        component, _, rest = flag.partition("=--")
        name, _, value = rest.partition("=")
        match component, name:
            case "kube-controller-manager", "kube-api-qps":
                settings = replace(settings, kcm_qps=float(value))
            case "kube-controller-manager", "kube-api-burst":
                settings = replace(settings, kcm_burst=int(value))
            case "kube-controller-manager", "controllers":
                settings = replace(settings, evicts="-taint-eviction-controller" not in value.split(","))
            case "kube-controller-manager", "feature-gates":
                settings = replace(settings, gates=settings.gates | {Gate(value.removesuffix("=true"))})
            case "kube-apiserver", "feature-gates":
                settings = replace(settings, api_gates=settings.api_gates | {Gate(value.removesuffix("=true"))})
            case _:
                raise ValueError(f"the model has no place for {flag}")
    return settings


def disagreements(row: Row, forecast: Forecast) -> list[str]:
    """Where `forecast` says anything else than the row, or anything wider; one line each."""
    found = forecast.by_name
    out = [f"{name}: not in both" for name in set(found) ^ set(row.pods)]
    for name in set(found) & set(row.pods):
        expected, each = row.pods[name], found[name]
        if each.outcome != expected.outcome:
            out.append(f"{name}: {each.outcome}, not {expected.outcome} ({each.rule}: {each.because})")
        elif not _within(each, expected):
            out.append(f"{name}: {each.earliest_s}..{each.latest_s}, not {expected} ({each.rule}: {each.because})")
    if row.refused is not None and forecast.refused != row.refused:
        out.append(f"refused: {forecast.refused}, not {row.refused}")
    if row.last_after_s is not None and max(each.latest_s or 0.0 for each in found.values()) < row.last_after_s:
        out.append(f"all over before {row.last_after_s}")
    return out


def _within(each: Prediction, expected: Expected) -> bool:
    if expected.earliest_s is None or expected.latest_s is None:
        return True
    if each.earliest_s is None or each.latest_s is None:
        return False
    return expected.earliest_s - 0.001 <= each.earliest_s and each.latest_s <= expected.latest_s + 0.001


def rows() -> tuple[Row, ...]:
    """Every row of every file, by file name and in written order; InvalidFile when a script in one is none."""
    return tuple(row for path in sorted(FOLDER.glob("*.yaml")) for row in rows_of(path))


def rows_of(path: Path) -> tuple[Row, ...]:
    """The rows of one file."""
    parsed = parse(read_text(path), file=path.name)
    problems = Problems(path.name, parsed.problems)
    problems.raise_if_any()
    (listing,) = parsed.documents
    found: list[Row] = []
    for item in listing.items if isinstance(listing, Listing) else ():
        if isinstance(item, Table) and (script := item.get("script")) is not None:
            scenario = scenario_of(script, problems)
            if scenario is not None:
                found.append(_row(path.stem, plain(item), scenario))
    problems.raise_if_any()
    if not found:
        raise InvalidFile(problems.found)
    return tuple(found)


def _row(table: str, item: dict[str, object], scenario: Scenario) -> Row:
    expect = item["expect"]
    flags = item.get("flags", [])
    if not isinstance(expect, dict) or not isinstance(flags, list):
        raise TypeError(f"{item['id']}: expect is a mapping, flags are a list")
    refused = expect.get("refused")
    if isinstance(crowd := item.get("crowd"), int):
        (pod,) = scenario.pods
        scenario = replace(scenario, pods=tuple(replace(pod, key=f"{pod.key}{n}") for n in range(crowd)))
        expect["pods"] = {pod.key: expect["each"] for pod in scenario.pods}
    return Row(
        table=table,
        id=str(item["id"]),
        source=str(item["source"]),
        flags=tuple(flags),
        scenario=scenario,
        pods={name: _expected(value) for name, value in expect["pods"].items()},
        refused=None if refused is None else tuple(refused),
        last_after_s=expect.get("last_after"),
    )


def _expected(value: object) -> Expected:
    if isinstance(value, str):
        return Expected(value)
    if isinstance(value, dict):
        earliest_s, latest_s = value["evicted"]
        return Expected("evicted", float(earliest_s), float(latest_s))
    raise TypeError(f"neither an outcome nor an interval: {value!r}")
