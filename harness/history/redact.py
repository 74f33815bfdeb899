"""Takes secrets out of what a run keeps and shows, by place and denied by default. Pure.

A value in a place where secrets stand is replaced by `hashed` of it, so that two runs can still be compared. The hash
has no key: who can guess a value can check the guess, so a password from a word list is not protected by it, a random
token is. A key would have to be kept on each machine, and runs of two machines could not be compared.

Hidden, wherever they stand: the values of request headers (``headers``, ``httpHeaders``), ``body``, ``command`` and
``args``, the value of each entry of ``env``, ``annotations``, ``data``, ``stringData`` and ``binaryData``, everything
under a key that names a secret (`names_secret`); in any text, user and password and the query of a URL, and what
follows ``Bearer``, ``Basic`` or ``token``. Of a Kubernetes object, in addition, every text under a key that is not
known to hold none (`_OPEN`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

from harness.model.experiment import Experiment, Load, Manifest

_HASHED = re.compile(r"sha256:[0-9a-f]{12}")
_SECRET_KEY = re.compile(
    r"authori[sz]ation|token|passw|passphrase|secret(?!name$)|cookie|api[-_]?key|access[-_]?key|private[-_]?key"
    r"|credential|(^|[-_.])(pwd?|pass|auth|key[-_]?id)$",
    re.I,
)
_HIDDEN_KEYS = frozenset(
    ("headers", "httpHeaders", "body", "command", "args", "annotations", "data", "stringData", "binaryData")
)
_SCHEME = re.compile(r"\b(Bearer|Basic|token(?=\s+\S*\d))(\s+)(?!sha256:)([A-Za-z0-9+/._~=-]{6,})", re.I)
_URL = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,30}://)([^\s\"'<>]+)")
_REST = re.compile(r"([^/?#]*)([^?#]*)(.*)", re.S)
_REFERENCES = frozenset(("secretKeyRef", "secretRef", "imagePullSecrets"))
"""Keys that name a Secret rather than hold one."""
_MAPS = frozenset(("labels", "matchLabels", "nodeSelector", "selector", "requests", "limits"))
"""Maps whose own keys are free."""
_OPEN_UNDER: Mapping[str, frozenset[str]] = {
    "value": frozenset(("tolerations", "taints")),
    "values": frozenset(("matchExpressions", "matchFields")),
}
_OPEN = frozenset(
    (
        "apiVersion",
        "kind",
        "name",
        "namespace",
        "labels",
        "matchLabels",
        "selector",
        "matchExpressions",
        "key",
        "operator",
        "effect",
        "nodeSelector",
        "image",
        "imagePullPolicy",
        "protocol",
        "targetPort",
        "type",
        "restartPolicy",
        "schedulerName",
        "priorityClassName",
        "serviceAccountName",
        "serviceName",
        "topologyKey",
        "whenUnsatisfiable",
        "nodeName",
        "hostname",
        "subdomain",
        "dnsPolicy",
        "appProtocol",
        "storageClassName",
        "accessModes",
        "volumeMode",
        "volumeName",
        "claimName",
        "mountPath",
        "requests",
        "limits",
        "maxSurge",
        "maxUnavailable",
        "minAvailable",
        "schedule",
        "concurrencyPolicy",
        "completionMode",
        "podManagementPolicy",
        "persistentVolumeClaimRetentionPolicy",
        "whenDeleted",
        "whenScaled",
        "resource",
        "resourceName",
        "divisor",
        "fieldPath",
        "medium",
        "sizeLimit",
        "externalTrafficPolicy",
        "internalTrafficPolicy",
        "sessionAffinity",
        "ipFamilies",
        "ipFamilyPolicy",
        "clusterIP",
        "nodeAffinityPolicy",
        "nodeTaintsPolicy",
        "matchLabelKeys",
        "mismatchLabelKeys",
        "unhealthyPodEvictionPolicy",
        "preemptionPolicy",
        "runtimeClassName",
        "os",
        "scheme",
        "policyTypes",
        "scopes",
        "scopeName",
    )
)
"""Keys whose texts the scheduler, the controllers and our judges go by, and that no API means for a secret."""


class Place(Enum):
    """What stands here. ENV: a list of entries of which `value` is hidden."""

    OPEN = "open"
    ENV = "env"
    HIDDEN = "hidden"


def hashed(value: object) -> str:
    """``sha256:`` and 12 hex digits of the text of `value`; equal values are equal there, and what is hashed already
    stays.
    """
    text = value if isinstance(value, str) else str(value)
    if _HASHED.fullmatch(text):
        return text
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def names_secret(key: str) -> bool:
    """Whether a key's name says that a secret is under it: ``password``, ``DB_PASS``, ``x-api-key``, ``authToken``."""
    return _SECRET_KEY.search(key) is not None and key not in _REFERENCES


def place_below(key: str, place: Place) -> Place:
    """The place of the value under `key`, in a mapping that stands at `place`."""
    if key == "<<":
        return place
    if place is Place.HIDDEN or key in _HIDDEN_KEYS or names_secret(key):
        return Place.HIDDEN
    if place is Place.ENV and key not in ("name", "valueFrom"):
        return Place.HIDDEN
    return Place.ENV if key == "env" else Place.OPEN


def redact_text(text: str) -> str:
    """`text` without user, password and query of each URL, and without what follows ``Bearer`` and the like."""
    if "://" in text:
        text = _URL.sub(lambda found: found[1] + _bare(found[2]), text)
    return _SCHEME.sub(lambda found: f"{found[1]}{found[2]}{hashed(found[3])}", text)


def redact_url(url: str) -> str:
    """A URL, its scheme perhaps left out, without user, password, query and fragment."""
    scheme, mark, rest = url.partition("://")
    return scheme + mark + _bare(rest) if mark else _bare(url)


def _bare(rest: str) -> str:
    """What follows ``://``, with user information, query and fragment hashed."""
    found = _REST.fullmatch(rest)
    assert found is not None  # it matches every text
    user, at, host = found[1].rpartition("@")
    tail = found[3][:1] + hashed(found[3][1:]) if found[3][1:] else found[3]
    return (hashed(user) if at else "") + at + host + found[2] + tail


def redact_texts(value: Any) -> Any:
    """`redact_text` of every text in a JSON value."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {key: redact_texts(item) for key, item in value.items()}
    return [redact_texts(item) for item in value] if isinstance(value, list | tuple) else value


def redact_object(body: Mapping[str, Any]) -> dict[str, Any]:
    """A Kubernetes object of which a text is kept only where it is known to be no secret; numbers are kept outside of
    hidden places, true, false and null everywhere.
    """
    out: dict[str, Any] = _object(body, Place.OPEN, key="", above="")
    return out


def _object(value: Any, place: Place, *, key: str, above: str) -> Any:
    """`key`: under which `value` stands; `above`: the key above that."""
    if isinstance(value, Mapping):
        return {name: _object(item, place_below(name, place), key=name, above=key) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_object(item, place, key=key, above=above) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if place is Place.HIDDEN:
        return hashed(value)
    if not isinstance(value, str):
        return value
    known = key in _OPEN or above in _MAPS or above in _OPEN_UNDER.get(key, ())
    return redact_text(value) if known else hashed(value)


def redact_load(load: Load) -> Load:
    """Traffic without header values, body and the secrets of its URL."""
    headers = tuple((name, hashed(value)) for name, value in load.headers)
    return replace(load, url=redact_url(load.url), headers=headers, body=hashed(load.body) if load.body else "")


def redact_experiment(experiment: Experiment) -> Experiment:
    """The experiment as it is kept in a run folder: everything that judging needs, and no secret by `redact_object` and
    `redact_load`.
    """
    return replace(
        experiment,
        description=redact_text(experiment.description),
        load=None if experiment.load is None else redact_load(experiment.load),
        workload=tuple(_manifest(manifest) for manifest in experiment.workload),
        lab=replace(experiment.lab, flags=tuple(_flag(flag) for flag in experiment.lab.flags)),
    )


def _manifest(manifest: Manifest) -> Manifest:
    return replace(manifest, body=redact_object(manifest.body))


def _flag(flag: str) -> str:
    name, mark, value = flag.rpartition("=")
    return f"{name}={hashed(value)}" if mark and names_secret(name) else redact_text(flag)
