"""Kubernetes' rules for names, label keys and values, and kubectl's selector syntax. Pure.

Source: k8s.io/apimachinery pkg/util/validation (IsQualifiedName, IsValidLabelValue, IsDNS1123Label, IsDNS1123Subdomain)
and pkg/labels (Parse).
"""

from __future__ import annotations

import re

from harness.formats.problems import BadValue
from harness.model.experiment import Requirement
from harness.model.names import DNS_LABEL as DNS_LABEL
from harness.model.names import KEY_MAX, is_dns_label, is_label_key, is_label_value, is_subdomain
from harness.model.names import LABEL_MAX as LABEL_MAX
from harness.model.names import NAME_PART as NAME_PART
from harness.model.names import QUALIFIED_NAME as QUALIFIED_NAME
from harness.model.names import SUBDOMAIN as SUBDOMAIN
from harness.model.names import SUBDOMAIN_MAX as SUBDOMAIN_MAX
from harness.model.taints import Effect, Taint

MAX_SELECTOR = 4096
MAX_TERMS = 100


def dns_label(text: str) -> str:
    """`text`, if it is an RFC 1123 label; BadValue otherwise."""
    if is_dns_label(text):
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
    if len(text) > KEY_MAX:
        raise BadValue(f"a key has at most {KEY_MAX} characters, found {len(text)}", "shorten it")
    prefix, slash, _ = text.rpartition("/")
    if slash and not is_subdomain(prefix):
        raise BadValue(f'"{text}" is not a key: what stands before the / must be a DNS name', "write example.com/name")
    if not is_label_key(text):
        raise BadValue(
            f'"{text}" is not a key: at most {LABEL_MAX} letters, digits, -, _ and ., a letter or digit at both ends',
            "write it like spot or example.com/spot",
        )
    return text


def label_value(text: str) -> str:
    """`text`, if it may be the value of a label or taint (it may be empty); BadValue otherwise."""
    if not is_label_value(text):
        raise BadValue(
            f'"{text}" is not a label value: at most {LABEL_MAX} letters, digits, -, _ and ., '
            "a letter or digit at both ends"
        )
    return text


def object_name(text: str) -> str:
    """`text`, if pods and nodes may be called so (an RFC 1123 subdomain); BadValue otherwise."""
    if is_subdomain(text):
        return text
    raise BadValue(f'"{text}" is no name: lower-case letters, digits, - and ., a letter or digit at both ends')


def parse_taint(text: str) -> Taint:
    """kubectl's ``key=value:Effect`` or ``key:Effect``; BadValue otherwise."""
    left, colon, effect = text.rpartition(":")
    key, _, value = left.partition("=")
    if not colon or not is_label_key(key) or not is_label_value(value) or effect not in list(Effect):
        raise BadValue(f'"{text}" is no taint', f"write key=value:Effect; effects: {', '.join(Effect)}")
    return Taint(key=key, value=value, effect=Effect(effect))


_TERM = re.compile(
    r"(?P<not>!)?\s*(?P<key>[^\s!=<>(),]+)\s*"
    r"(?:(?P<op>==|=|!=)\s*(?P<value>[^\s!=<>(),]*)|(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?\s*"
)


def selector(text: str) -> tuple[Requirement, ...]:
    """kubectl's label selector: ``k=v``, ``k==v``, ``k!=v``, ``k``, ``!k``, ``k in (a,b)``, ``k notin (a,b)``, joined
    by commas, all of which must hold. BadValue for anything else, also for an empty one (it would match everything),
    and for more than MAX_TERMS terms or MAX_SELECTOR characters.
    """
    if len(text) > MAX_SELECTOR:
        raise BadValue(f"a selector has at most {MAX_SELECTOR} characters, found {len(text):,}", "shorten it")
    if not text.strip():
        raise BadValue("an empty selector matches everything", "say which, such as pool=spot")
    terms = _terms(text)
    if len(terms) > MAX_TERMS:
        raise BadValue(f"a selector has at most {MAX_TERMS} terms, found {len(terms):,}", "use k in (a,b)")
    return tuple(map(_requirement, terms))


def _terms(text: str) -> list[str]:
    """The terms between commas; a comma inside ``(a,b)`` is no end of a term."""
    terms: list[list[str]] = []
    depth = 0
    for part in text.split(","):
        if depth > 0:
            terms[-1].append(part)
        else:
            terms.append([part])
        depth = max(0, depth) + part.count("(") - part.count(")")
    return [",".join(parts).strip() for parts in terms]


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
