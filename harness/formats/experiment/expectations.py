"""Keys of `expect` that a check declares itself: handed in, so that nothing here knows any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.formats.problems import Problems
from harness.formats.read import Path, Reading
from harness.formats.shapes import Field, Record
from harness.model.experiment import Expect, PhaseName, Phases


@dataclass(frozen=True, slots=True)
class ExpectKey:
    """One key of `expect`. Its value goes into `Expect.checks` under that key.

    `field`: key, shape and meaning. `rule`: notes what the shape cannot say of a value that is well formed; it is given
    the path of the key, and only called where something was written there.
    """

    field: Field
    rule: Callable[[Reading, Problems, Path], None]


ExpectKeys = tuple[ExpectKey, ...]


def with_keys(file: Record, keys: ExpectKeys) -> Record:
    """`file`, the declaration of a whole experiment file, with `keys` among those of `spec.expect`."""
    if not keys:
        return file
    spec = _shape_of(file, "spec")
    expect = _shape_of(spec, "expect")
    wider = replace(expect, fields=(*expect.fields, *(key.field for key in keys)), build=_builder(keys))
    return _with_shape(file, "spec", _with_shape(spec, "expect", wider))


def check_keys(keys: ExpectKeys, reading: Reading, problems: Problems) -> None:
    """Every rule of `keys` that are written."""
    for key in keys:
        path: Path = ("spec", "expect", key.field.key)
        if reading.written(*path):
            key.rule(reading, problems, path)


def judged_phases(reading: Reading, problems: Problems, path: Path, judged: tuple[PhaseName, ...]) -> None:
    """Note each phase of the list at `path` that does not last."""
    phases = reading.one(Phases, "spec", "phases")
    for index, phase in enumerate(judged):
        if phases is not None and phases.of(phase) == 0:
            problems.add(
                reading.place(*path, "phases", index),
                f"phases: {phase} lasts 0s, so there is nothing to judge",
                f"take it out, or write phases: {{{phase}: 20s}}",
            )


def _builder(keys: ExpectKeys) -> Callable[..., Expect]:
    fills = {key.field.fills: key.field.key for key in keys}

    def build(**values: object) -> Expect:
        own = {fills[name]: values.pop(name) for name in tuple(values) if name in fills}
        return Expect(**values, checks=own)  # type: ignore[arg-type]  # the declaration of `expect` has the types

    return build


def _shape_of(record: Record, key: str) -> Record:
    shape = next(field.shape for field in record.fields if field.key == key)
    assert isinstance(shape, Record)
    return shape


def _with_shape(record: Record, key: str, shape: Record) -> Record:
    fields = tuple(replace(field, shape=shape) if field.key == key else field for field in record.fields)
    return replace(record, fields=fields)
