"""Single values as people write them: durations, rates, addresses, what a good request is. Text in, value out; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlsplit

from harness.formats.meant import did_you_mean
from harness.formats.problems import BadValue
from harness.model.experiment import SloKind

_NUMBER = r"[0-9]+(\.[0-9]+)?"
DURATION = rf"(?=.)({_NUMBER}h)?({_NUMBER}m)?({_NUMBER}s)?({_NUMBER}ms)?"
"""Hours, minutes, seconds, milliseconds, in that order, each with its unit: ``1m30s``, ``250ms``."""
RATE = rf"{_NUMBER}/[smh]"
"""So many a second, minute or hour: ``100/s``, ``0.5/s``, ``50/m``."""
GOAL = rf"success|latency *<= *{DURATION}"
URL = r"https?://[^/\s?#@]+([/?][!-\x22$-~]*)?"
"""Host, port, path and query; the path in printable ASCII, as it goes over the wire."""
HEADER_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
"""A token of RFC 9110."""
HEADER_VALUE = r"[\t\x20-\x7e\x80-\xff]*"
RESERVED_HEADERS = ("connection", "content-length", "expect", "transfer-encoding")
"""What the load process writes itself."""

QUANTITY = r"[0-9]{1,30}(\.[0-9]{1,30})?([numkMGTPE]|[KMGTPE]i)?"
"""A resource quantity as people write it: ``8``, ``500m``, ``200Mi``, ``1.5Gi``."""

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
"""What ``taintlab lab up --flag`` takes; all but the kubelet, which is one a node, can be restarted as a fault."""
LAB_FLAG = rf"({'|'.join(COMPONENTS)})=--[a-z0-9-]+(=.*)?"

MAX_DURATION_S = 24 * 3600.0
"""A day: longer is a slip of the unit."""
MAX_RATE_PER_S = 100_000.0
"""More than the load processes of one machine can send."""

_LONGEST = 64
"""Characters of a duration or rate; what is longer is not looked at."""
_UNIT_S = {"h": Decimal(3600), "m": Decimal(60), "s": Decimal(1), "ms": Decimal("0.001")}
_DURATION_EXAMPLES = "write it like 250ms, 5s, 1m30s or 2h"


def duration_s(text: str) -> float:
    """Seconds of a duration such as ``1m30s``; BadValue for a number without a unit, a negative or an unknown form."""
    if len(text) > _LONGEST:
        raise BadValue(f"a duration is needed, found {len(text):,} characters", _DURATION_EXAMPLES)
    if not re.fullmatch(DURATION, text):
        _refuse_duration(text)
    total = sum(Decimal(number) * _UNIT_S[unit] for number, unit in re.findall(r"([0-9.]+)(ms|h|m|s)", text))
    if total > MAX_DURATION_S:
        raise BadValue(f"{text} is longer than a day", "is it the unit?")
    return float(total)


_SPELLED_UNITS = {
    **dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), Decimal("0.001")),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), Decimal(1)),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), Decimal(60)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), Decimal(3600)),
    **dict.fromkeys(("d", "day", "days"), Decimal(86400)),
}


def _refuse_duration(text: str) -> None:
    """Raise BadValue with the fix that fits what was probably meant."""
    if text.lstrip().startswith("-"):
        raise BadValue(f"a duration must not be negative, found {text}")
    if re.fullmatch(_NUMBER, text.strip()):
        raise BadValue(f"a duration needs a unit, found {text}", f"write {text.strip()}s")
    spelled = re.findall(rf"({_NUMBER})\s*([A-Za-z]+)", text)
    if re.fullmatch(rf"(\s*{_NUMBER}\s*[A-Za-z]+)+\s*", text) and all(u.lower() in _SPELLED_UNITS for *_, u in spelled):
        total = sum(Decimal(number) * _SPELLED_UNITS[unit.lower()] for number, _, unit in spelled)
        raise BadValue(f'"{text}" is not a duration', f"write {format_duration(float(total))}")
    raise BadValue(f'"{text}" is not a duration', _DURATION_EXAMPLES)


def format_duration(seconds: float) -> str:
    """The shortest way to write it: ``250ms``, ``5s``, ``1m30s``, ``2h``; ``0s`` for nothing."""
    rest = round(Decimal(repr(seconds)) * 1000)
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def rate_per_s(text: str) -> float:
    """Arrivals a second of a rate such as ``100/s`` or ``50/m``; above 0. BadValue otherwise."""
    if len(text) > _LONGEST:
        raise BadValue(f"a rate is needed, found {len(text):,} characters", "write it like 100/s, 0.5/s or 50/m")
    if not re.fullmatch(RATE, text):
        if text.lstrip().startswith("-"):
            raise BadValue(f"a rate must be above 0, found {text}")
        number = re.match(rf"\s*{_NUMBER}", text)
        per = "m" if re.search(r"/\s*m|rpm|per m", text) else "h" if re.search(r"/\s*h|per h", text) else "s"
        fix = f"write {number[0].strip()}/{per}" if number else "write it like 100/s, 0.5/s or 50/m"
        raise BadValue(f'a rate says how many per s, m or h, found "{text}"', fix)
    number_text, _, unit = text.partition("/")
    rate = float(Decimal(number_text) / _UNIT_S[unit])
    if rate == 0:
        raise BadValue("a rate must be above 0", "leave load out for a run without traffic")
    if rate > MAX_RATE_PER_S:
        raise BadValue(f"{text} is more than one machine sends: at most {MAX_RATE_PER_S:.0f}/s")
    return rate


def format_rate(per_s: float) -> str:
    """``100/s``; by the minute or hour where that is a whole number and the second's is not."""
    for unit, size in (("s", 1), ("m", 60), ("h", 3600)):
        if (count := round(per_s * size, 9)).is_integer():
            return f"{count:.0f}/{unit}"
    return f"{per_s:g}/s"


def http_url(text: str) -> str:
    """`text`, if it is an absolute http or https address with a host; BadValue otherwise."""
    try:
        parts = urlsplit(text)
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise BadValue(
            f'"{text}" is not an address: {error}', "write it like http://web.default.svc:8080/path"
        ) from error
    if parts.scheme not in ("http", "https") or not parts.netloc:
        rest = text.partition("://")[2] if "://" in text else re.sub("^(https?:)?/*", "", text)
        raise BadValue(f'"{text}" is not an http address', f"write http://{rest or 'web.default.svc'}")
    if parts.username is not None:
        raise BadValue("an address must not hold a user or password", "send an Authorization header instead")
    if "#" in text:
        raise BadValue("a fragment (#...) is never sent to a server", f"write {text.partition('#')[0]}")
    if not parts.hostname or port == 0:
        missing = "host" if not parts.hostname else "port (0 is none)"
        raise BadValue(f'"{text}" has no {missing}', "write it like http://web.default.svc:8080/path")
    if not re.fullmatch(URL, text):
        raise BadValue(f'"{text}" holds a blank or a character that is not ASCII', "percent-encode it, such as %20")
    return text


@dataclass(frozen=True, slots=True)
class Goal:
    """What makes a request good: success, or success within `threshold_s`."""

    kind: SloKind
    threshold_s: float | None = None


def goal(text: str) -> Goal:
    """``success`` or ``latency <= 250ms``; BadValue otherwise."""
    if text == "success":
        return Goal(SloKind.SUCCESS)
    match = re.fullmatch(r"latency *(<=?|>=?|==?) *(.+)", text)
    if match is None:
        raise BadValue(f'"{text}" does not say what a good request is', 'write success, or "latency <= 250ms"')
    if re.fullmatch(_NUMBER, match[2].strip()):
        raise BadValue(f"a latency needs a unit, found {match[2]}", f"write latency <= {match[2].strip()}ms")
    threshold_s = duration_s(match[2].strip())
    if match[1] != "<=":
        raise BadValue(f"latency is compared with <=, found {match[1]}", f"write latency <= {match[2].strip()}")
    if threshold_s == 0:
        raise BadValue("no answer comes within 0 s", "write latency <= 250ms")
    return Goal(SloKind.LATENCY, threshold_s)


def header_name(text: str) -> str:
    """`text`, if it may be the name of a header that the user sets; BadValue otherwise."""
    if not re.fullmatch(HEADER_NAME, text):
        raise BadValue(f'"{text}" is not the name of a header', "write it like X-Request-From")
    if text.lower() in RESERVED_HEADERS:
        raise BadValue(
            f"{text} is written by the load process itself", "take it out; see load.connection and load.body"
        )
    return text


def header_value(text: str) -> str:
    """`text`, if it may be sent as a header's value (Latin-1 without control characters); BadValue otherwise."""
    if not re.fullmatch(HEADER_VALUE, text):
        raise BadValue("a header's value must not hold line ends, control characters or characters beyond Latin-1")
    return text


def quantity(text: str) -> str:
    """`text`, if it is a Kubernetes quantity that is not negative and has no exponent; BadValue otherwise."""
    if re.fullmatch(QUANTITY, text):
        return text
    raise BadValue(f'"{text}" is no Kubernetes quantity', "write 8, 500m, 200Mi, 1.5Gi")


def lab_flag(text: str) -> str:
    """`text`, if it is ``COMPONENT=--flag=value`` as ``taintlab lab up --flag`` takes it; BadValue otherwise."""
    if re.fullmatch(LAB_FLAG, text):
        return text
    component, equals, flag = text.partition("=")
    if equals and component not in COMPONENTS:
        raise BadValue(f'no component is called "{component}"', did_you_mean(component, COMPONENTS))
    if equals and flag and not flag.startswith("--"):
        raise BadValue(f'"{text}" is not COMPONENT=--flag=value', f"write {component}=--{flag.lstrip('-')}")
    raise BadValue(f'"{text}" is not COMPONENT=--flag=value', "write kube-controller-manager=--kube-api-qps=50")
