"""Kubernetes quantities (``250m``, ``1.5Gi``, ``2e3``) as whole numbers.

Source: k8s.io/apimachinery pkg/api/resource/quantity.go; both roundings below go up, as there.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import ceil

_PATTERN = re.compile(
    r"([+-]?(?:[0-9]{1,64}\.?[0-9]{0,64}|\.[0-9]{1,64}))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]{1,3}))?"
)
_MAX_EXPONENT = 64
"""Beyond it lies nothing that a node or pod could have (the API server caps quantities at 2^63-1), but a number whose
digits would fill the memory."""
_SCALE = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    **{unit + "i": Fraction(2 ** (10 * power)) for power, unit in enumerate("KMGTPE", start=1)},
}


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Fraction:
    """The exact number; ValueError for what is no quantity."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:100]!r} is no Kubernetes quantity")
    number, suffix, exponent = match.groups()
    if abs(int(exponent or 0)) > _MAX_EXPONENT:
        raise ValueError(f"{text!r} is beyond every Kubernetes quantity")
    scale = _SCALE[suffix] if suffix else Fraction(10) ** int(exponent or 0)
    return Fraction(number) * scale


@lru_cache(maxsize=4096)
def amount(resource: str, text: str) -> int:
    """What the scheduler counts `resource` in: thousandths of a core for ``cpu``, whole units (bytes, devices) for all
    else; rounded up. ValueError for what is no quantity.
    """
    number = parse_quantity(text)
    return ceil(number * 1000) if resource == "cpu" else ceil(number)
