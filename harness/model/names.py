"""What Kubernetes lets things be called: RFC 1123 names, keys and values of labels and taints. Pure.

Source: k8s.io/apimachinery pkg/util/validation (IsQualifiedName, IsValidLabelValue, IsDNS1123Label,
IsDNS1123Subdomain).
"""

from __future__ import annotations

import re

LABEL_MAX = 63
SUBDOMAIN_MAX = 253
KEY_MAX = SUBDOMAIN_MAX + 1 + LABEL_MAX
DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
"""One RFC 1123 label, at most LABEL_MAX characters."""
SUBDOMAIN = rf"{DNS_LABEL}(\.{DNS_LABEL})*"
"""An RFC 1123 subdomain, at most SUBDOMAIN_MAX characters."""
NAME_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
"""A label value that is not empty, or the part of a key after the slash: at most LABEL_MAX characters."""
QUALIFIED_NAME = rf"({SUBDOMAIN}/)?{NAME_PART}"
"""A key of a label or taint, or the name of a resource."""


def is_dns_label(text: str) -> bool:
    """An RFC 1123 label: lower-case letters, digits and dashes, the first and last a letter or digit."""
    return len(text) <= LABEL_MAX and re.fullmatch(DNS_LABEL, text) is not None


def is_subdomain(text: str) -> bool:
    """An RFC 1123 subdomain, as most objects are called: labels with dots between them."""
    return len(text) <= SUBDOMAIN_MAX and re.fullmatch(SUBDOMAIN, text) is not None


def is_label_key(text: str) -> bool:
    """A qualified name: at most 63 characters, perhaps after a DNS name of at most 253 and a slash."""
    prefix, slash, name = text.rpartition("/")
    return (not slash or is_subdomain(prefix)) and _is_name_part(name)


def is_label_value(text: str) -> bool:
    """Empty, or at most 63 letters, digits, dashes, dots and underscores, the first and last a letter or digit."""
    return not text or _is_name_part(text)


def _is_name_part(text: str) -> bool:
    return len(text) <= LABEL_MAX and re.fullmatch(NAME_PART, text) is not None
