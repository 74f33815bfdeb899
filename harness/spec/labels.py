"""Kubernetes' rules for names, label keys and values, and kubectl's selector syntax. Pure.

Source: k8s.io/apimachinery pkg/util/validation (IsQualifiedName, IsValidLabelValue, IsDNS1123Label, IsDNS1123Subdomain)
and pkg/labels (Parse).
"""

from __future__ import annotations

import re

from harness.model.experiment import Requirement
from harness.spec.problems import BadValue

LABEL_MAX = 63
SUBDOMAIN_MAX = 253
DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
"""One RFC 1123 label, at most 63 characters."""
SUBDOMAIN = rf"{DNS_LABEL}(\.{DNS_LABEL})*"
"""An RFC 1123 subdomain, at most 253 characters."""
NAME_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
"""A label value that is not empty, or the part of a label key after the slash: at most 63 characters."""
QUALIFIED_NAME = rf"({SUBDOMAIN}/)?{NAME_PART}"
"""A label key or a taint key."""


def dns_label(text: str) -> str:
    """`text`, if it is an RFC 1123 label; BadValue otherwise."""
    if re.fullmatch(DNS_LABEL, text) and len(text) <= LABEL_MAX:
        return text
    if len(text) > LABEL_MAX:
        raise BadValue(f"a name has at most {LABEL_MAX} characters, found {len(text)}", "shorten it")
    better = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    raise BadValue(
        f'"{text}" is not a name: lower-case letters, digits and -, with a letter or digit at both ends',
        f"write {better}" if better else "",
    )


def qualified_name(text: str) -> str:
    """`text`, if it may be the key of a label or taint; BadValue otherwise."""
    prefix, slash, name = text.rpartition("/")
    if slash and not (re.fullmatch(SUBDOMAIN, prefix) and len(prefix) <= SUBDOMAIN_MAX):
        raise BadValue(f'"{text}" is not a key: what stands before the / must be a DNS name', "write example.com/name")
    if not re.fullmatch(NAME_PART, name) or len(name) > LABEL_MAX:
        raise BadValue(
            f'"{text}" is not a key: at most {LABEL_MAX} letters, digits, -, _ and ., a letter or digit at both ends',
            "write it like spot or example.com/spot",
        )
    return text


def label_value(text: str) -> str:
    """`text`, if it may be the value of a label or taint (it may be empty); BadValue otherwise."""
    if text and (not re.fullmatch(NAME_PART, text) or len(text) > LABEL_MAX):
        raise BadValue(
            f'"{text}" is not a label value: at most {LABEL_MAX} letters, digits, -, _ and ., '
            "a letter or digit at both ends"
        )
    return text


_TERM = re.compile(
    r"(?P<not>!)?\s*(?P<key>[^\s!=<>(),]+)\s*"
    r"(?:(?P<op>==|=|!=)\s*(?P<value>[^\s!=<>(),]*)|(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?\s*"
)


def selector(text: str) -> tuple[Requirement, ...]:
    """kubectl's label selector: ``k=v``, ``k==v``, ``k!=v``, ``k``, ``!k``, ``k in (a,b)``, ``k notin (a,b)``, joined
    by commas, all of which must hold. BadValue for anything else, also for an empty one (it would match everything).
    """
    if not text.strip():
        raise BadValue("an empty selector matches everything", "say which, such as pool=spot")
    return tuple(_requirement(term.strip()) for term in re.split(r",(?![^(]*\))", text))


def _requirement(term: str) -> Requirement:
    match = _TERM.fullmatch(term)
    if match is None or (match["not"] and (match["op"] or match["set"])):
        raise BadValue(
            f'"{term}" is not a term of a selector' if term else "a term of the selector is empty",
            "write k=v, k!=v, k, !k, k in (a,b) or k notin (a,b), joined by commas",
        )
    key = qualified_name(match["key"])
    if match["set"]:
        values = tuple(label_value(value.strip()) for value in match["values"].split(","))
        return Requirement(key=key, values=values, negated=match["set"] == "notin")
    if match["op"]:
        return Requirement(key=key, values=(label_value(match["value"]),), negated=match["op"] == "!=")
    return Requirement(key=key, negated=bool(match["not"]))
