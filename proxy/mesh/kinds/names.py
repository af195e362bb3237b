"""Names in Istio's objects, as its validation takes them (pkg/config/labels, ValidateWildcardDomain)."""

from __future__ import annotations

import re

from proxy.mesh.kinds.addresses import is_ip
from proxy.mesh.reading.schema import At, mapping, matching, text

_LABEL = r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?"
_QUALIFIED = r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LONGEST_LABEL = 63
_LONGEST_HOST = 255
_is_label = re.compile(_LABEL).fullmatch
_is_first_label = re.compile(rf"\*|(?:\*|\*-)?{_LABEL}").fullmatch
_is_prefix = re.compile(rf"{_LABEL}(?:\.{_LABEL})*").fullmatch
_is_qualified = re.compile(_QUALIFIED).fullmatch
_LONGEST_PREFIX = 253


def is_label(name: str) -> bool:
    """Whether it is a DNS-1123 label, of which Istio takes capitals too."""
    return len(name) <= _LONGEST_LABEL and _is_label(name) is not None


def is_host(name: str, wildcard: bool = True) -> bool:
    """Whether it is a host name; one with `wildcard` may begin with "*" alone or before its first label."""
    first, dot, rest = name.partition(".")
    begins = len(first) <= _LONGEST_LABEL and (_is_first_label if wildcard else _is_label)(first)
    return bool(begins) and len(name) <= _LONGEST_HOST and (not dot or _is_rest(rest))


def _is_rest(name: str) -> bool:
    *labels, last = name.split(".")
    # What ends with a dot is complete. A last label of digits would make it an address.
    return all(is_label(each) for each in labels) and (not last or (is_label(last) and not last.isdecimal()))


host = matching(is_host, 'a host name ("*" only at its beginning)')
whole_host = matching(lambda name: is_ip(name) or is_host(name, wildcard=False), "a host name or an IP address")


def labels(at: At, value: object) -> tuple[tuple[str, str], ...] | None:
    """Labels that select, in the order of their keys."""
    found = mapping(text)(at, value)
    for key, each in (found or {}).items():
        if not _is_key(key):
            at.down(key).fault("is not a label: letters, digits, -, _ and ., with a domain and / before it or not")
        elif each and not _is_qualified(each):
            at.down(key).fault("must be a label's value: letters, digits, -, _ and .")
    return None if found is None else tuple(sorted(found.items()))


def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    good = not slash or (len(prefix) <= _LONGEST_PREFIX and _is_prefix(prefix) is not None)
    return good and len(name) <= _LONGEST_LABEL and _is_qualified(name) is not None
