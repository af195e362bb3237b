"""What the value of a setting may look like: each function turns a flag, an environment text or a YAML value into the
setting's value, or raises ValueError saying what is expected and how to write it. Pure; knows no setting by name."""

import math
import os
import re
from collections.abc import Callable

from proxy import addresses
from state.server import redis_url as urls

Kind = Callable[[object], object]

ISTIOD_PORT = 15012

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = r"\d+(?:\.\d+)?"
_PART = re.compile(rf"({_NUMBER})(ms|s|m|h|)")
_DURATION = re.compile(rf"{_NUMBER}|(?:{_NUMBER}(?:ms|s|m|h)){{1,4}}")
_DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SHORT = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"


_DNS_NAME = rf"(?=.{{1,253}}$){_SHORT}(\.{_SHORT})*\.?"
"""Of labels of at most 63 characters (RFC 1035, 2.3.4): no resolver is asked for others."""


def text(value: object) -> str:
    """Any non-empty text."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} must be a text that is not empty")
    return value


def boolean(value: object) -> bool:
    """true/false, yes/no, on/off, 1/0."""
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{value!r} must be true or false")


def integer(low: int, high: int) -> Kind:
    """A whole number from `low` to `high`."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,9}", str(value)) or not low <= int(str(value)) <= high:
            raise ValueError(f"{value!r} must be a whole number from {low} to {high}")
        return int(str(value))

    return parse


def seconds(low: float, high: float = math.inf) -> Kind:
    """A number of seconds, or numbers with units: 500ms, 20s, 5m, 1h30m."""

    def parse(value: object) -> float:
        good = not isinstance(value, bool) and _DURATION.fullmatch(str(value))
        result = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(str(value))) if good else -1.0
        if not low <= result <= high:
            bounds = f"at least {low:g} s" if high == math.inf else f"from {low:g} to {high:g} s"
            raise ValueError(f"{value!r} must be a time {bounds}, such as 20, 20s or 500ms")
        return result

    return parse


def choice(*words: str, **synonyms: str) -> Kind:
    """One of `words`; a synonym becomes the word it stands for."""

    def parse(value: object) -> str:
        word = synonyms.get(str(value).lower(), str(value).lower())
        if word not in words:
            raise ValueError(f"{value!r} must be one of {', '.join(words)}")
        return word

    return parse


def paths(value: object) -> tuple[str, ...]:
    """Files and directories: one, a list, or several in one text separated by `:` as in PATH."""
    items = value if isinstance(value, (list, tuple)) else [part for part in text(value).split(os.pathsep) if part]
    if not items or not all(isinstance(item, str) and item for item in items):
        raise ValueError(f"{value!r} must be a path or a list of paths")
    return tuple(items)


def path(value: object) -> str:
    """One file or directory."""
    if "\0" in text(value):
        raise ValueError(f"{value!r} must be a path")
    return text(value)


def trust_domain(value: object) -> str:
    """What stands between `spiffe://` and the next slash; SPIFFE-ID section 2.1."""
    if not re.fullmatch(r"[a-z0-9._-]{1,255}", text(value)):
        raise ValueError(f"{value!r} must be a trust domain, such as cluster.local: lower-case letters, digits, . - _")
    return text(value)


def trust_domains(value: object) -> tuple[str, ...]:
    """One trust domain, a list, or several in one text separated by commas; the same twice counts once."""
    given = value if isinstance(value, (list, tuple)) else [value]
    items = [part.strip() for item in given for part in text(item).split(",")]
    return tuple(dict.fromkeys(trust_domain(item) for item in items))


def host(value: object) -> str:
    """The address of an interface: IPv4 or IPv6, the latter with or without brackets."""
    address = text(value)
    inner = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    try:
        addresses.split(addresses.join(inner, 0))
    except ValueError:
        inner = ""
    if not inner or not re.fullmatch(r"[0-9a-fA-F:.%\w-]+", inner) or re.fullmatch(r"[^:]+:\d+", inner):
        raise ValueError(
            f"{value!r} must be an address without a port, such as 127.0.0.1 or ::1 (ports come from the Gateway)"
        )
    return inner


def host_port(value: object) -> str:
    """HOST:PORT; port 0 picks a free one."""
    return addresses.join(*addresses.split(text(value)))


def host_port_or_off(value: object) -> str | None:
    """HOST:PORT, or `off`."""
    return None if value is False or value == "off" else host_port(value)


def name_servers(value: object) -> tuple[str, ...]:
    """`ip` or `ip:port` of name servers, a list or separated by commas; 53 is the port of those without."""
    given = value if isinstance(value, (list, tuple)) else [value]
    items = [part.strip() for item in given for part in text(item).split(",")]
    return tuple(dict.fromkeys(map(_name_server, items)))


def _name_server(value: str) -> str:
    ip, port = (value, 53) if addresses.is_address(value) else addresses.split(value)
    if not addresses.is_address(ip):
        raise ValueError(f"{value!r} must be an IP address, with a port or without: 10.96.0.10, 127.0.0.1:5353")
    return addresses.join(ip, port)


def loopback_port(value: object) -> str:
    """HOST:PORT that only this machine can reach."""
    address = host_port(value)
    if not addresses.is_loopback(addresses.split(address)[0]):
        raise ValueError(f"{value!r} must be on a loopback address (127.0.0.1:15000): what it shows is not protected")
    return address


def istiod(value: object) -> str:
    """istiod://HOST or istiod://HOST:PORT, with the port; Istio's own for signing certificates if there is none."""
    scheme, _, place = text(value).partition("://")
    if not re.search(r":\d+$", place) or place.endswith("]"):
        place = f"{place}:{ISTIOD_PORT}"
    try:
        host = addresses.split(place)[0] if scheme == "istiod" else ""
    except ValueError:
        host = ""
    if not (addresses.is_address(host) or re.fullmatch(_DNS_NAME, host, re.IGNORECASE)):
        raise ValueError(f"{value!r} must be istiod://HOST:PORT, such as istiod://istiod.istio-system.svc:15012")
    return f"istiod://{peer(place)}"


def visible(value: object) -> str:
    """A word that can stand in a header: no blanks, nothing that cannot be seen."""
    if not re.fullmatch(r"[!-~]{1,128}", text(value)):
        raise ValueError(f"{value!r} must be a word without blanks")
    return text(value)


def peer(value: object) -> str:
    """HOST:PORT of somebody we send to, so the port may not be 0."""
    address = host_port(value)
    if addresses.split(address)[1] == 0:
        raise ValueError(f"{value!r}: the port may not be 0 here")
    return address


def namespaced_name(value: object) -> str:
    """NAMESPACE/NAME of a Kubernetes object."""
    if not re.fullmatch(f"{_DNS_LABEL}/{_DNS_LABEL}([.]{_DNS_LABEL})*", text(value)):
        raise ValueError(f"{value!r} must be NAMESPACE/NAME, such as httpbin/httpbin-waypoint")
    return text(value)


def locality(value: object) -> str:
    """REGION/ZONE/SUBZONE, of which the last may be missing."""
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+){0,2}", text(value)):
        raise ValueError(f"{value!r} must be a region, region/zone or region/zone/subzone, such as europe-west1/b")
    return text(value)


def key_prefix(value: object) -> str:
    """The first part of every Redis key: no braces (they mark the cluster), no spaces, no glob characters."""
    if not re.fullmatch(r"[A-Za-z0-9_.:/-]{1,64}", text(value)):
        raise ValueError(f"{value!r} must be 1 to 64 letters, digits or any of _ . : / -")
    return text(value)


def mesh_id(value: object) -> str:
    """What tells two meshes in one Redis apart: a part of every key, so as `key_prefix`, and no colon."""
    if not re.fullmatch(r"[A-Za-z0-9_./-]{1,64}", text(value)):
        raise ValueError(f"{value!r} must be 1 to 64 letters, digits or any of _ . / -")
    return text(value)


def redis_url(value: object) -> str:
    """`embedded` or the URL of a Redis."""
    url = text(value)
    if url != "embedded":
        try:
            urls.parse(url)
        except ValueError as fault:
            raise ValueError(f"{masked_url(url)!r} {fault}") from None
    return url


def user_name(value: object) -> str:
    """A user of an ACL: no blanks, nothing that cannot be seen."""
    if not re.fullmatch(r"[!-~]{1,128}", text(value)):
        raise ValueError(f"{value!r} must be a user's name, without blanks")
    return text(value)


def masked_url(url: str) -> str:
    """The URL with its password hidden, fit for logs and the admin pages."""
    return re.sub(r"(?<=password=)[^&]*", "***", re.sub(r"(://[^:@/]*):.*@", r"\1:***@", url))
