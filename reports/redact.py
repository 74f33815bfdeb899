"""Takes secrets out of an experiment's YAML before it is shown, by place, so that comments and layout stay as written.

Redacted: values under keys that name a secret (token, password, authorization, cookie, api-key, ...), the `value` of
every entry of an `env` list, `data` and `stringData` of a Secret, and anything after ``Bearer`` or ``Basic``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

REDACTED = "[redacted]"

_SECRET_KEY = re.compile(
    r"authori[sz]ation|token|passw|secret(?!name)|cookie|api[-_]?key|access[-_]?key|private[-_]?key|credential", re.I
)
_SCHEME = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9+/._~=-]{6,}")
_USERINFO = re.compile(r"(://[^/\s:@'\"]+:)[^/\s@'\"]+(?=@)")


def redact_yaml(text: str) -> str | None:
    """`text` with `REDACTED` in place of each secret; None when `text` is not YAML and so cannot be shown safely."""
    try:
        spans = sorted(
            {span for document in yaml.compose_all(text, Loader=yaml.SafeLoader) for span in _spans(document)}
        )
    except (yaml.YAMLError, RecursionError):
        return None
    out: list[str] = []
    at = 0
    for start, end in spans:
        if start < at:
            continue
        out += [text[at:start], REDACTED]
        at = end
        if text[:end].endswith("\n"):
            out.append("\n")
    out.append(text[at:])
    return redact_text("".join(out))


def redact_text(text: str) -> str:
    """`text` without bearer tokens, basic credentials and passwords in URLs."""
    return _USERINFO.sub(rf"\1{REDACTED}", _SCHEME.sub(rf"\1 {REDACTED}", text))


def _spans(node: yaml.Node | None, *, secret: bool = False, env: bool = False) -> Iterator[tuple[int, int]]:
    """(start, end) in characters of each scalar to hide below `node`."""
    if isinstance(node, yaml.ScalarNode):
        if secret and node.value and node.tag != "tag:yaml.org,2002:bool":
            yield node.start_mark.index, node.end_mark.index
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _spans(item, secret=secret, env=env)
    elif isinstance(node, yaml.MappingNode):
        is_secret = any(key.value == "kind" and value.value == "Secret" for key, value in node.value)
        for key, value in node.value:
            name = str(key.value)
            hidden = (
                secret
                or (env and name == "value")
                or (is_secret and name in ("data", "stringData"))
                or (_SECRET_KEY.search(name) is not None and isinstance(value, yaml.ScalarNode))
            )
            yield from _spans(value, secret=hidden, env=name == "env")
