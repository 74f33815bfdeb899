"""Good files made bad: bytes, structure, types, sizes and strings that somebody might send us on purpose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

import yaml

STRINGS = (
    "\x1b]0;OWNED\x07r",
    "\x1b[2J\x1b[31mcluster is fine",
    "k\n::stop-commands::zz",
    "\n##[error]x",
    "\x9b31m",
    "\u202egnp.exe",
    "a" * 300,
    "b" * 5000,
    "../../../../version",
    "/dev/zero",
    "/dev/stdin",
    "\x00",
    "\x7f",
    "",
    " ",
    "::",
    "x" * 64,
    "9" * 5000,
    "1e999999999",
    "9" * 30,
    "5Zi",
    "-3",
    "1m" * 400,
    "a," * 3000,
    "k in (" + "a," * 200,
    "ä€😀",
    "\u2028::error::",
    "y",
    "0x" + "f" * 99,
    ".inf",
    "~",
    "1.99",
    "v1.99.0",
    "100%",
    "a%",
    "taint=a:NoExecute",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    5,
    2**31,
    2**63,
    -(2**63),
    10**40,
    1e308,
    1e-320,
    0.5,
    [],
    {},
    [None],
    [[]],
    [{}],
    {"a": 5},
    {"": None},
    {"a": {"b": ["c"]}},
)
SNIPPETS = (
    b'"\\UFFFFFFFF"',
    b'"\\ud800"',
    b"\x00",
    b"\xff\xfe",
    b"\xc2\x9b",
    b"\x1b[31m",
    b"&a [*a]",
    b"*nowhere",
    b"<<: [1]",
    b"!!python/object/apply:os.system [id]",
    b"!!binary aGk=",
    b"? [a]\n: b\n",
    b"---\n",
    b"...\n",
    b"%YAML 9.9\n",
    b"\t",
    b"'",
    b'"',
    b": ",
    b"- ",
    b"{",
    b"[" * 70,
    b"[" * 5000,
    b"]",
    b"|\n",
    b"\r",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b"#" * 20,
    b"\n\n",
    b"1e999999999",
    b"null",
)


def hostile(seed: bytes, rng: Random) -> bytes:
    """One mutation of a good YAML or JSON text: of its bytes, or of its structure."""
    if rng.random() < 0.35:
        return _bytes(seed, rng)
    documents = list(yaml.load_all(seed, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    spoiled = [_spoiled(document, rng) for document in documents]
    if rng.random() < 0.5:
        text = "\n---\n".join(json.dumps(one, ensure_ascii=rng.random() < 0.5) for one in spoiled)
    else:
        text = yaml.dump_all(spoiled, allow_unicode=rng.random() < 0.5, sort_keys=False)
    data = text.encode("utf-8", "surrogatepass")
    return _bytes(data, rng) if rng.random() < 0.1 else data


def hostile_json(seed: Any, rng: Random) -> bytes:
    """One mutation of a good JSON value, sometimes of its bytes."""
    data = json.dumps(_spoiled(seed, rng), ensure_ascii=rng.random() < 0.5).encode()
    return _bytes(data, rng) if rng.random() < 0.25 else data


def _bytes(seed: bytes, rng: Random) -> bytes:
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 1, 5, 50)))
        match rng.randrange(6):
            case 0:
                data[at:at] = rng.choice(SNIPPETS)
            case 1:
                data[at:end] = rng.choice(SNIPPETS)
            case 2:
                del data[at:end]
            case 3:
                data[at:at] = data[at:end] * rng.choice((2, 30))
            case 4:
                data[at:at] = bytes([rng.randrange(256)])
            case _:
                data[at:at] = json.dumps(rng.choice(STRINGS)).encode()
    if rng.random() < 0.05:
        del data[rng.randrange(len(data) + 1) :]
    return bytes(data)


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*before, key)
        yield from places(child, (*before, key))


def _spoiled(document: Any, rng: Random) -> Any:
    copy = deepcopy(document)
    change = _bend if rng.random() < 0.4 else _spoil
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        ways = list(places(copy))
        if not ways:
            return _odd(rng)
        *way, last = rng.choice(ways)
        inner = copy
        for key in way:
            inner = inner[key]
        change(inner, last, rng)
    return copy


def _bend(inner: Any, last: Any, rng: Random) -> None:
    """Change one value into another of its type, so that readers go on and what comes after them sees it."""
    value = inner[last]
    if isinstance(value, bool):
        inner[last] = not value
    elif isinstance(value, int | float):
        inner[last] = rng.choice((0, 1, -1, 7, 1000, 2**31, 2**63 - 1, -(2**63), 0.25))
    elif isinstance(value, str):
        inner[last] = rng.choice(("", "a", "b", "spot", "x", "default", "web", "1", "0s", "1s", "100", "NoExecute"))
    elif isinstance(value, list):
        rng.shuffle(value)
        value *= rng.choice((0, 1, 1, 2))
    elif isinstance(value, dict) and value:
        del value[rng.choice(list(value))]


def _spoil(inner: Any, last: Any, rng: Random) -> None:
    """Change, take out, repeat, rename or nest one value."""
    match rng.randrange(8):
        case 0:
            del inner[last]
        case 1 if isinstance(inner, list):
            inner[last:last] = [deepcopy(inner[last])] * rng.choice((1, 3, 300))
        case 2 if isinstance(inner, dict):
            inner[rng.choice(STRINGS)] = inner.pop(last)
        case 3:
            inner[last] = [inner[last]] if rng.random() < 0.5 else {"a": inner[last]}
        case 4 | 5:
            inner[last] = deepcopy(rng.choice(VALUES))
        case 6 if isinstance(inner, dict):
            inner[f"{str(last)[:-1]}x"] = _odd(rng)
        case _:
            inner[last] = rng.choice(STRINGS)


def _odd(rng: Random) -> Any:
    return deepcopy(rng.choice(VALUES)) if rng.random() < 0.5 else rng.choice(STRINGS)
