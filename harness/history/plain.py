"""Frozen values to plain JSON and back, by their own declarations."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar

from harness.history.strict import INTEGERS
from harness.model.faults import Fault

T = TypeVar("T")


def plain(value: Any) -> Any:
    """Frozen dataclasses, enums and tuples as JSON values; dataclasses carry their class name as ``type``, faults
    their kind. Numbers that JSON does not have (NaN, infinities) become None.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": value.kind if isinstance(value, Fault) else type(value).__name__, **fields}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def decode(cls: type[T], value: Any, faults: Sequence[type[Fault]] = ()) -> T:
    """The value of type `cls` that `plain` made `value` from; ValueError naming the place when it does not fit (written
    by another version, or edited). Fields that `cls` does not have are skipped. `faults`: the kinds of faults that may
    be in it, told apart by `Fault.kind` (taintlab 0.1.0 wrote the name of the class).
    """
    known = {tag: kind for kind in faults for tag in (kind.kind, kind.__name__)}
    return typing.cast(T, _Decoder(known).decode(cls, value, "$"))


class _Decoder:
    """Decodes along type hints. `faults`: the kinds by their tags."""

    def __init__(self, faults: Mapping[str, type[Fault]]) -> None:
        self._faults = faults

    def decode(self, hint: Any, value: Any, at: str) -> Any:
        """A value of the type `hint`, at the place `at`."""
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if hint is Any:
            return value
        if origin in (typing.Union, types.UnionType):
            return self._decode_union(arguments, value, at)
        if origin is tuple:
            return self._decode_tuple(arguments, value, at)
        if origin is frozenset:
            return frozenset(self._decode_tuple((arguments[0], ...), value, at))
        if origin is not None and issubclass(origin, Mapping):
            return {
                str(key): self.decode(arguments[1], item, f"{at}.{key}") for key, item in _need(value, dict, at).items()
            }
        if isinstance(hint, type) and issubclass(hint, Enum):
            return _decode_enum(hint, value, at)
        if hint is Fault:
            return self._decode_fault(value, at)
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            return self._decode_dataclass(hint, value, at)
        return _decode_scalar(hint, value, at)

    def _decode_tuple(self, arguments: tuple[Any, ...], value: Any, at: str) -> tuple[Any, ...]:
        items = _need(value, list, at)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(self.decode(arguments[0], item, f"{at}[{n}]") for n, item in enumerate(items))
        if len(items) != len(arguments):
            raise ValueError(f"expected a list of {len(arguments)}, got {len(items)} - at `{at}`")
        pairs = zip(arguments, items, strict=True)
        return tuple(self.decode(part, item, f"{at}[{n}]") for n, (part, item) in enumerate(pairs))

    def _decode_dataclass(self, hint: Any, value: Any, at: str) -> Any:
        given, hints = _need(value, dict, at), _hints(hint)
        fields = dataclasses.fields(hint)
        for field in fields:
            optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
            if field.name not in given and not optional:
                raise ValueError(f"misses {field.name} - at `{at}`")
        names = [field.name for field in fields if field.name in given]
        return hint(**{name: self.decode(hints[name], given[name], f"{at}.{name}") for name in names})

    def _decode_fault(self, value: Any, at: str) -> Any:
        tag = _need(value, dict, at).get("type")
        kind = self._faults.get(tag) if isinstance(tag, str) else None
        if kind is None:
            names = ", ".join(dict.fromkeys(kind.kind for kind in self._faults.values()))
            raise ValueError(f"expected one of {names}, got {_named(tag)} - at `{at}.type`")
        try:
            return self._decode_dataclass(kind, value, at)
        except ValueError as error:
            if " - at `" in str(error):
                raise
            raise ValueError(f"{error} - at `{at}`") from error  # the fault's own refusal knows no place

    def _decode_union(self, arguments: tuple[Any, ...], value: Any, at: str) -> Any:
        options = [option for option in arguments if option is not types.NoneType]
        if value is None and len(options) < len(arguments):
            return None
        if len(options) == 1:
            return self.decode(options[0], value, at)
        kind = _need(value, dict, at).get("type")
        for option in options:
            if option.__name__ == kind:
                return self.decode(option, value, at)
        names = ", ".join(option.__name__ for option in options)
        raise ValueError(f"expected one of {names}, got {_named(kind)} - at `{at}.type`")


def _decode_scalar(hint: Any, value: Any, at: str) -> Any:
    if hint is float and type(value) is int:
        return float(_decode_scalar(int, value, at))
    if hint is None or hint is types.NoneType:
        hint = types.NoneType
    if hint not in (str, int, float, bool, types.NoneType):
        raise TypeError(f"{at}: no rule to read {hint!r}")
    _need(value, hint, at)
    if hint is int and not -INTEGERS <= value < INTEGERS:
        raise ValueError(f"a whole number beyond 64 bits - at `{at}`")
    return value


def _decode_enum(hint: type[Enum], value: Any, at: str) -> Enum:
    try:
        return hint(value)
    except ValueError:
        words = ", ".join(str(member.value) for member in hint)
        raise ValueError(f"expected one of {words}, got {_named(value)} - at `{at}`") from None


def _need(value: Any, kind: type[Any], at: str) -> Any:
    if type(value) is not kind:
        raise ValueError(f"expected {_WORDS[kind]}, got {_named(value)} - at `{at}`")
    return value


_WORDS: Mapping[type[Any], str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    types.NoneType: "null",
}


def _named(value: Any) -> str:
    return repr(value[:60]) if isinstance(value, str) else _WORDS.get(type(value), type(value).__name__)


@lru_cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)
