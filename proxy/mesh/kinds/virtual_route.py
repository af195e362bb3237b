"""What a VirtualService does with a request that it has chosen: where it goes, or how it is answered, and what is done
to it on the way. Rules of Istio's `validateHTTPRoute`, fields of networking/v1alpha3/virtual_service.proto.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from http import HTTPStatus

from proxy.mesh.kinds import names
from proxy.mesh.kinds.destination_rule import expanded
from proxy.mesh.kinds.header_edits import Headers, authority, headers
from proxy.mesh.kinds.string_match import regular_expression
from proxy.mesh.kinds.virtual_faults import HTTP_STATUS, percentage
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import (
    INT32_MAX,
    At,
    at_most_one,
    boolean,
    count,
    duration,
    fields,
    filled,
    integer,
    matching,
    one_of,
    port_number,
    text,
)
from proxy.mesh.traffic.routing import DirectResponse

_LARGEST_BODY = 1 << 20
"""Octets; Istio's own limit."""
RETRIED = ("5xx", "gateway-error", "reset", "retriable-4xx")
RETRIED_GRPC = ("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable")
ALWAYS = ("connect-failure", "refused-stream", "reset-before-request", "retriable-status-codes")
"""What is tried again anyway, or names the codes beside it."""
NEVER = ("envoy-ratelimited", "retriable-headers", "http3-post-connect-failure")
"""What Istio takes and nothing here answers with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """`port` of a destination."""

    number: int = required(port_number)


_path = matching(lambda path: all("!" <= each <= "~" for each in path), "a path, without blanks")
_host = matching(lambda host: host != "*" and names.is_host(host), "a host name")


def _new_text(at: At, value: object) -> str | None:
    found = filled(at, value)
    return None if found is None else _path(at, found)


def _whole_host(at: At, value: object) -> str | None:
    found = _host(at, value)
    return None if found is None else expanded(found, at.manifest.namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """`host`: its full name. `port` None: the only one of the host, else the frontend's."""

    host: str = required(_whole_host)
    subset: str = optional(matching(names.is_label, "the name of a subset: letters, digits and -"), "")
    port: Port | None = optional(struct(Port), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One of `route`."""

    destination: Destination = required(struct(Destination))
    weight: int = optional(count, 0)
    headers: Headers | None = optional(headers, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorPolicy:
    """One of `mirrors`."""

    destination: Destination = required(struct(Destination))
    percentage: float | None = optional(percentage, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """Whose rules stand in the place of this one; `namespace` "": that of who says so."""

    name: str = optional(text, "")
    namespace: str = optional(text, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegexRewrite:
    """Of the path, what `match` matches; `rewrite` may have \\1 for a group of it."""

    match: str = required(regular_expression)
    rewrite: str = required(_new_text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriting:
    """`uri`: for the prefix that was matched, or all of the path."""

    uri: str = optional(_path, "")
    authority: str = optional(authority, "")
    uri_regex_rewrite: RegexRewrite | None = optional(struct(RegexRewrite), None)


def _rewrites(at: At, found: Rewriting) -> None:
    if found.uri and found.uri_regex_rewrite:
        at.down("uriRegexRewrite").fault("cannot be used together with uri")
    if not (found.uri or found.uri_regex_rewrite or found.authority):
        at.fault("rewrites nothing: give uri, uriRegexRewrite or authority, or remove it")


rewriting = struct(Rewriting, rules=(_rewrites,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirecting:
    """`port` 0: that of `derive_port`."""

    uri: str = optional(_path, "")
    prefix_rewrite: str = optional(_path, "")
    authority: str = optional(authority, "")
    port: int = optional(integer(0, 65535), 0)
    derive_port: str = optional(one_of("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"), "")
    scheme: str = optional(one_of("", "http", "https"), "")
    redirect_code: int = optional(integer(300, 399), 301)


def _redirects(at: At, found: Redirecting) -> None:
    if found.uri and found.prefix_rewrite:
        at.down("prefixRewrite").fault("cannot be used together with uri")
    if not any((found.uri, found.prefix_rewrite, found.authority, found.port, found.derive_port, found.scheme)):
        at.fault("says nothing: give uri, prefixRewrite, authority, scheme or port")


redirecting = struct(Redirecting, given=(at_most_one("port", "derivePort"),), rules=(_redirects,))


def _octets(at: At, value: object) -> bytes | None:
    found = text(at, value)
    try:
        return None if found is None else base64.b64decode(found, validate=True)
    except binascii.Error:
        at.fault("must be base64")
        return None


_body = fields({"string": text, "bytes": _octets}, rules=(at_most_one("string", "bytes"),))
_direct = fields({"status": HTTP_STATUS, "body": _body}, ("status",))


def direct_response(at: At, value: object) -> DirectResponse | None:
    """`directResponse`."""
    found = _direct(at, value)
    if found is None:
        return None
    status, body = found["status"], found.get("body", {})
    assert isinstance(status, int) and isinstance(body, dict)
    octets = body.get("bytes", str(body.get("string", "")).encode())
    if len(octets) > _LARGEST_BODY:
        at.down("body").fault(f"is larger than {_LARGEST_BODY} octets")
        return None
    return DirectResponse(status, octets)


def _conditions(at: At, value: object) -> tuple[str, ...] | None:
    found = text(at, value)
    if not found:
        return None if found is None else ()
    conditions = tuple(found.split(","))
    known = {*RETRIED, *RETRIED_GRPC, *ALWAYS, *NEVER}
    if wrong := next((each for each in conditions if each not in known and not is_status(each)), None):
        at.fault(f"{shown(wrong)} is no condition of Envoy's and no status")
        return None
    return conditions


def is_status(text: str) -> bool:
    """Whether it is the number of an HTTP status that has a name."""
    return text.isascii() and text.isdigit() and int(text) in set(HTTPStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """`retries`. Without attempts there are none."""

    attempts: int = optional(integer(0, INT32_MAX), 0)
    per_try_timeout: int | None = optional(duration, None)
    retry_on: tuple[str, ...] = optional(_conditions, ())
    retry_remote_localities: bool | None = optional(boolean, None)
    retry_ignore_previous_hosts: bool | None = optional(boolean, None)
    backoff: int | None = optional(duration, None)


def _switched_off(at: At, found: Retrying) -> None:
    asked = found.per_try_timeout is not None or found.retry_on or found.retry_remote_localities is not None
    if not found.attempts and asked:
        at.down("attempts").fault("is 0 or not given, so there are no retries: give it, or remove the rest")


retrying = struct(Retrying, rules=(_switched_off,))
