"""The scalars of the declaration: each reads one YAML scalar, and carries the JSON Schema that says the same."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from harness.formats import labels, values
from harness.formats.meant import did_you_mean
from harness.formats.nodes import Scalar, describe
from harness.formats.problems import BadValue
from harness.formats.shapes import Leaf


def _text_of(scalar: Scalar, name: str) -> str:
    """The scalar's text; BadValue when YAML made something else of it than text."""
    if isinstance(scalar.value, str):
        return scalar.value
    if scalar.value is None:
        raise BadValue(f"{name} is needed, found nothing")
    raise BadValue(f"{name} is needed, but YAML reads {describe(scalar)}", f'quote it: "{scalar.text}"')


def text(name: str, parse: Callable[[str], object] = str, *, longest: int = 4096, **schema: Any) -> Leaf:
    """Text that `parse` takes (BadValue if not). `schema` adds to ``{"type": "string"}``; minLength refuses blanks and
    what cannot be seen.
    """

    def read(scalar: Scalar) -> object:
        value = _text_of(scalar, name)
        if not value.strip() and schema.get("minLength"):
            raise BadValue(f"{name} is needed, found empty text")
        if schema.get("minLength") and (hidden := _HIDDEN.search(value)) is not None:
            raise BadValue(f"{name} must not hold the character #x{ord(hidden[0]):04x}", "take it out")
        return parse(value)

    return Leaf(name, read, {"type": "string", **schema}, longest)


def written(name: str, parse: Callable[[str], object], **schema: Any) -> Leaf:
    """A scalar as it is written, quoted or not: `true` and `1` are text here, and nothing is empty text."""

    def read(scalar: Scalar) -> object:
        return parse("" if scalar.value is None else scalar.text)

    return Leaf(name, read, {"type": ["string", "number", "boolean", "null"], **schema})


_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LONGEST_QUANTITY = 64
_LONGEST_TEXT = 1 << 20


def pattern(expression: str) -> str:
    """A JSON Schema pattern that must match the whole text."""
    return f"^(?:{expression})$"


def quantity(name: str, parse: Callable[[str], object], expression: str) -> Leaf:
    """A number with a unit: read from the text as written, so that a bare number gets the fix that fits it."""

    def read(scalar: Scalar) -> object:
        if scalar.value is None or isinstance(scalar.value, bool):
            raise BadValue(f"{name} is needed, found {describe(scalar)}")
        return parse(scalar.text)

    return Leaf(name, read, {"type": "string", "pattern": pattern(expression)}, _LONGEST_QUANTITY)


def choice(name: str, meanings: Mapping[str, object]) -> Leaf:
    """One word of several; read as what `meanings` has for it."""

    def read(scalar: Scalar) -> object:
        word = scalar.text
        if word in meanings and scalar.value is not None:
            return meanings[word]
        fix = did_you_mean(word, list(meanings)) if word else f"one of: {', '.join(meanings)}"
        raise BadValue(f"{describe(scalar)} is not {name}", fix)

    return Leaf(name, read, {"enum": list(meanings)})


def whole(name: str, *, least: int, most: int = 2**63 - 1) -> Leaf:
    """A whole number within [least, most]."""

    def read(scalar: Scalar) -> object:
        value = scalar.value
        if isinstance(value, bool) or not isinstance(value, int):
            quoted = isinstance(value, str) and value.lstrip("-").isdecimal()
            raise BadValue(f"{name} is needed, found {describe(scalar)}", "take the quotes off" if quoted else "")
        if not least <= value <= most:
            limits = f"at least {least}" if value < least else f"at most {most}"
            raise BadValue(f"must be {limits}, found {value}")
        return value

    return Leaf(name, read, {"type": "integer", "minimum": least, "maximum": most})


def number(name: str, **bounds: float) -> Leaf:
    """A number; `bounds` are JSON Schema's minimum, maximum, exclusiveMinimum and exclusiveMaximum."""

    def read(scalar: Scalar) -> object:
        value = scalar.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadValue(f"{name} is needed, found {describe(scalar)}", _as_number(scalar.text))
        if not all(_BOUNDS[bound](value, limit) for bound, limit in bounds.items()):
            percent = 1 < value <= 100 and 1 in (bounds.get("maximum"), bounds.get("exclusiveMaximum"))
            raise BadValue(f"must be {name}, found {scalar.text}", f"write {value / 100:.10g}" if percent else "")
        return float(value)

    return Leaf(name, read, {"type": "number", **bounds})


_BOUNDS: Mapping[str, Callable[[float, float], bool]] = {
    "minimum": operator.ge,
    "maximum": operator.le,
    "exclusiveMinimum": operator.gt,
    "exclusiveMaximum": operator.lt,
}


def _as_number(written: str) -> str:
    """The fix for a number in quotes or a percentage."""
    try:
        value = float(written.removesuffix("%"))
    except ValueError:
        return ""
    if not math.isfinite(value):
        return ""
    return f"write {value / 100:.10g}" if written.endswith("%") else f"write {value:.10g} without quotes"


def constant(word: str) -> Leaf:
    """Exactly `word`."""

    def read(scalar: Scalar) -> object:
        if scalar.value == word:
            return word
        raise BadValue(f"must be {word}, found {describe(scalar)}", f"write {word}")

    return Leaf(word, read, {"const": word})


DURATION = quantity("a duration", values.duration_s, values.DURATION)
RATE = quantity("a rate", values.rate_per_s, values.RATE)
TAINT_KEY = text("a key", labels.qualified_name, minLength=1, maxLength=317, pattern=pattern(labels.QUALIFIED_NAME))
LABEL_VALUE = text("text", labels.label_value, maxLength=labels.LABEL_MAX, pattern=pattern(f"({labels.NAME_PART})?"))
SELECTOR = text("a label selector", labels.selector, minLength=1)
NAME = text("a name", labels.dns_label, minLength=1, maxLength=labels.LABEL_MAX, pattern=pattern(labels.DNS_LABEL))
ANY_TEXT = text("text", longest=_LONGEST_TEXT)
SEED = whole("a whole number", least=0)
