"""Run ids: unique across machines, in the order of time, and label values."""

from __future__ import annotations

from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_STAMP_BITS, _RANDOM_BITS = 48, 80
_NAME_CHARACTERS = 63 - 1 - 26
"""A label value has 63 characters at most (k8s.io/apimachinery pkg/util/validation, LabelValueMaxLength)."""


def new_run_id(experiment: str, *, wall_ns: int, random: Callable[[int], bytes]) -> str:
    """``<experiment>-<ULID>``: 48 bits of time in milliseconds and 80 random ones, in Crockford's base 32, lower case
    (https://github.com/ulid/spec). The ULID alone is the identity; a name above 36 characters is cut, for people.

    `wall_ns`: now, since the epoch. `random`: that many random bytes (`secrets.token_bytes`).
    """
    stamp = (wall_ns // 1_000_000) & ((1 << _STAMP_BITS) - 1)
    number = stamp << _RANDOM_BITS | int.from_bytes(random(_RANDOM_BITS // 8), "big")
    ulid = "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -5, -5))
    name = experiment[:_NAME_CHARACTERS].rstrip("-._")
    return f"{name}-{ulid}" if name else ulid
