"""Frozen values to plain JSON and back, by their own declarations."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")


def plain(value: Any) -> Any:
    """Frozen dataclasses, enums and tuples as JSON values; dataclasses of a union carry their class name as
    ``type``.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [plain(item) for item in value]
    return value


def decode(cls: type[T], value: Any) -> T:
    """The value of type `cls` that `plain` made `value` from; ValueError when it does not fit (written by another
    version?).
    """
    try:
        return typing.cast(T, _decode(cls, value))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a {cls.__name__} of this version: {error!r}") from error


def _decode(hint: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(arguments, value)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_decode(arguments[0], item) for item in value)
        return tuple(_decode(part, item) for part, item in zip(arguments, value, strict=True))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        names = [field.name for field in dataclasses.fields(hint) if field.name in value]
        return hint(**{name: _decode(hints[name], value[name]) for name in names})
    return value


def _decode_union(arguments: tuple[Any, ...], value: Any) -> Any:
    if value is None:
        return None
    options = [option for option in arguments if option is not types.NoneType]
    if isinstance(value, dict) and "type" in value:
        for option in options:
            if getattr(option, "__name__", None) == value["type"]:
                return _decode(option, value)
    if len(options) != 1:
        raise TypeError(f"cannot tell which of {options} {value!r} is")
    return _decode(options[0], value)
