"""Texts in routes: names of headers and hosts, and regular expressions (RE2, which Envoy has too)."""

from __future__ import annotations

import re

import re2

from proxy.mesh.kinds.addresses import is_ip
from proxy.mesh.reading.metadata import is_label, is_subdomain
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import At, Check, filled, matching

_LONGEST_NAME = 256
_LONGEST_HOST = 253
_is_host = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*").fullmatch
_is_token = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+").fullmatch
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def _is_name(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and _is_token(text) is not None


def _is_hostname(text: str) -> bool:
    return len(text) <= _LONGEST_HOST and _is_host(text) is not None and not is_ip(text)


token = matching(_is_name, f"a name: letters, digits and !#$%&'*+-.^_`|~, at most {_LONGEST_NAME}")
hostname = matching(_is_hostname, "a host name in lower case, and no address")
any_hostname = matching(
    lambda text: _is_hostname(text.removeprefix("*.")), 'a host name in lower case, "*." at most before it'
)
namespace = matching(is_label, "the name of a namespace")
section = matching(is_subdomain, "a name of lower-case letters, digits, - and .")


def short(longest: int) -> Check[str]:
    """Text that is not empty, of at most so many characters."""

    def check(at: At, value: object) -> str | None:
        found = filled(at, value)
        if found is not None and len(found) > longest:
            at.fault(f"has {len(found)} characters; at most {longest} are allowed")
            return None
        return found

    return check


def expression(at: At, text: str) -> None:
    """That a text is a regular expression."""
    try:
        re2.compile(text, _OPTIONS)
    except re2.error as error:
        said = error.args[0].decode(errors="replace")
        at.fault(f"must be a regular expression as RE2 has them, not {shown(text)}: {said}")
